"""What the kernel refused is said as it is: rejected, not permitted, or too old."""

from __future__ import annotations

import errno
import platform
from pathlib import Path

import pytest

from remainder.errors import Unsupported
from remainder.kernel import refusal
from remainder.plan import Role
from scripts import host

CAP_SYS_ADMIN = 1 << 21
CAP_NET_ADMIN = 1 << 12
CAP_BPF = 1 << 39
CAP_PERFMON = 1 << 38

LOG = """\
func#0 @0
0: R1=ctx(off=0,imm=0) R10=fp0
; int bad(struct xdp_md *ctx)
17: (0f) r2 += r3
math between pkt pointer and register with unbounded min value is not allowed
processed 18 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 1
"""


def holding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capabilities: int) -> None:
    """As if this process had these capabilities and no others."""
    path = tmp_path / "status"
    path.write_text(f"Name:\tpython3\nCapPrm:\t0\nCapEff:\t{capabilities:016x}\n")
    monkeypatch.setattr(refusal, "_STATUS", path)


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        (0, ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"]),
        (CAP_NET_ADMIN, ["CAP_BPF", "CAP_PERFMON"]),
        (CAP_SYS_ADMIN, ["CAP_NET_ADMIN"]),
        (CAP_SYS_ADMIN | CAP_NET_ADMIN, []),
        (CAP_BPF | CAP_NET_ADMIN | CAP_PERFMON, []),
    ],
)
def test_the_capabilities_that_are_missing_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, held: int, missing: list[str]
) -> None:
    holding(monkeypatch, tmp_path, held)

    assert missing == refusal.missing_capabilities()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES])
def test_who_lacks_a_capability_is_told_which(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    holding(monkeypatch, tmp_path, CAP_NET_ADMIN)
    failure = refusal.failure(number, "loading x.bpf.o")

    assert number == failure.errno
    assert "this process lacks CAP_BPF and CAP_PERFMON; run as root" in str(failure)


@pytest.mark.parametrize(
    ("said", "named"),
    [("none [integrity] confidentiality\n", True), ("[none] integrity confidentiality\n", False)],
)
def test_root_is_never_told_to_be_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, *, named: bool
) -> None:
    """Who has the capabilities looks for another reason; lockdown is named if it is on."""
    holding(monkeypatch, tmp_path, CAP_SYS_ADMIN | CAP_NET_ADMIN)
    (tmp_path / "lockdown").write_text(said)
    monkeypatch.setattr(refusal, "_LOCKDOWN", tmp_path / "lockdown")
    sentence = str(refusal.failure(errno.EPERM, "loading x.bpf.o"))

    assert "as root" not in sentence
    assert "something else forbids it" in sentence
    assert named == ("kernel lockdown is 'integrity'" in sentence)


def test_other_errors_are_left_as_the_kernel_says_them() -> None:
    failure = refusal.failure(errno.ENOMEM, "loading x.bpf.o")

    assert "loading x.bpf.o: Cannot allocate memory" == str(failure)
    assert errno.ENOMEM == failure.errno


def test_a_rejection_has_program_kernel_compiler_and_the_verdict() -> None:
    sentence = str(refusal.rejected("bad", LOG, "clang 19.1.7"))

    assert (
        f"the kernel's verifier rejected program 'bad' (Linux {platform.release()}, compiled by "
        f"clang 19.1.7): " in sentence
    )
    assert "unbounded min value is not allowed; please report this sentence" in sentence
    assert "processed" not in sentence
    assert "permi" not in sentence


@pytest.mark.parametrize(
    ("compiled", "compiler"),
    [
        (b"\0Debian clang version 14.0.6\0server.bpf.c\0", "clang 14.0.6"),
        (b"\0Ubuntu clang version 18.1.3 (1ubuntu1)\0", "clang 18.1.3"),
        (b"\0clang version 19.1.7 (Red Hat, Inc. 19.1.7-2.el10)\0", "clang 19.1.7"),
        (b"\0GNU C17 13.2.0\0", "an unknown compiler"),
    ],
)
def test_an_object_says_who_compiled_it(compiled: bytes, compiler: str) -> None:
    assert compiler == refusal.compiler_of(compiled)


@pytest.mark.parametrize(
    ("release", "is_too_old"),
    [
        ("5.10.0-32-amd64", True),
        ("5.15.0-119-generic", True),
        ("6.0.19", True),
        ("6.1.0-37-amd64", False),
        ("6.12.48+deb13-cloud-arm64", False),
        ("7.3", False),
        ("unheard-of", False),
    ],
)
@pytest.mark.parametrize("role", ["balancer", "member", "sender"])
def test_a_kernel_that_is_too_old_is_told_which_one_is_needed(
    monkeypatch: pytest.MonkeyPatch, role: Role, release: str, *, is_too_old: bool
) -> None:
    monkeypatch.setattr(platform, "release", lambda: release)
    sentence = refusal.too_old(role, release)

    assert is_too_old == (sentence is not None)
    assert is_too_old == (refusal.on_old_kernel(release) != "")
    assert is_too_old == host.older(release)
    if sentence is None:
        refusal.refuse_old_kernel(role)
    else:
        assert f"Linux {release} is too old: a {role} needs 6.1 or newer" in sentence
        with pytest.raises(Unsupported, match="is too old"):
            refusal.refuse_old_kernel(role)


def test_the_scripts_know_the_same_oldest_kernel() -> None:
    assert {host.FLOOR} == set(refusal.FLOOR.values())
