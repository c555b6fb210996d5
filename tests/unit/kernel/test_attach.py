"""Native first, generic with a warning, and nobody is pushed out."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from remainder.errors import HostError
from remainder.kernel import attach as module
from remainder.kernel import libbpf
from remainder.kernel.attach import attach, foreign_program
from remainder.kernel.card import Card
from remainder.kernel.netlink import Interface

CARD = Interface(
    index=7, name="eth0", mac=bytes(6), mtu=9000, up=True, kind=None, xdp_mode=None,
    xdp_program=None,
)  # fmt: skip


def refusing(number: int, *modes: str) -> object:
    """What the kernel does with a driver that lacks some modes."""

    def try_(program_fd: int, ifindex: int, mode: str) -> int:
        if mode in modes:
            failure = HostError(f"attaching in {mode} mode: {number}")
            failure.errno = number
            raise failure
        return 42

    return try_


def tried(
    monkeypatch: pytest.MonkeyPatch, kernel: object, interface: Interface, mode: str
) -> tuple[tuple[int, str], list[str]]:
    warnings: list[str] = []
    monkeypatch.setattr(libbpf, "attach", kernel)
    monkeypatch.setattr(module, "card", lambda _: Card("e1000e"))
    return attach(3, interface, mode, warnings.append), warnings


def test_a_card_that_can_runs_natively_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ((42, "native"), []) == tried(monkeypatch, refusing(0), CARD, "auto")


def test_a_card_that_cannot_runs_generically_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = refusing(errno.EOPNOTSUPP, "native")
    (_, mode), (warning,) = tried(monkeypatch, kernel, CARD, "auto")

    assert "generic" == mode
    assert "eth0 runs in generic mode" in warning
    assert "MTU 9000" in warning
    assert "three times as much" in warning


def test_a_veth_is_left_to_generic_mode_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    veth = replace(CARD, kind="veth")
    (_, mode), (warning,) = tried(monkeypatch, refusing(0), veth, "auto")

    assert "generic" == mode
    assert "--mode native asks for it" in warning

    attached, (warning,) = tried(monkeypatch, refusing(0), veth, "native")

    assert (42, "native") == attached
    assert "unless an XDP program runs at its peer" in warning


@pytest.mark.parametrize("mode", ["auto", "native", "generic"])
def test_somebody_elses_program_stays(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    with pytest.raises(HostError, match="runs another XDP program already"):
        tried(monkeypatch, refusing(errno.EBUSY, "native", "generic"), CARD, mode)

    assert "(id 99" in str(foreign_program(replace(CARD, xdp_program=99)))
