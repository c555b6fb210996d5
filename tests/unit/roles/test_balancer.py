"""Where a balancer would lose packets it is refused, with what to use instead."""

from __future__ import annotations

import pytest

from remainder.errors import HostError
from remainder.kernel.netlink import Interface
from remainder.roles import balancer


def bond() -> Interface:
    return Interface(
        index=7,
        name="bond0",
        mac=bytes.fromhex("020000000c00"),
        mtu=1500,
        up=True,
        kind="bond",
        xdp_mode=None,
        xdp_program=None,
    )


def test_a_bond_that_gives_out_the_macs_of_its_ports_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(balancer, "bond_mode", {"bond0": "balance-alb"}.get)
    with pytest.raises(HostError, match=r"bond0 is a bond in mode balance-alb.*balance-tlb"):
        balancer.Balancer().refuse(bond())


@pytest.mark.parametrize("mode", ["balance-tlb", "802.3ad", "active-backup", ""])
def test_a_bond_in_another_mode_is_taken(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setattr(balancer, "bond_mode", {"bond0": mode}.get)

    assert balancer.Balancer().refuse(bond()) is None  # type: ignore[func-returns-value]
