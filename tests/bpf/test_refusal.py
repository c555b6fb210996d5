"""What the kernel really says to a program that it does not want, and to whom."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from remainder.errors import HostError
from remainder.kernel import libbpf
from scripts.compile_bpf import compile_file

pytestmark = pytest.mark.bpf

FLEET = Path(__file__).parents[1] / "golden" / "fleet.toml"
GOOD_AND_BAD = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int good(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int bad(struct xdp_md *ctx)
{
	return *(__u32 *)(long)ctx->data;
}

char _license[] SEC("license") = "Dual BSD/GPL";
"""


def test_a_rejected_program_is_named_with_kernel_compiler_and_verdict(tmp_path: Path) -> None:
    """Also where it is not the one that was asked for, but one beside it; root is not blamed."""
    source, compiled = tmp_path / "two.bpf.c", tmp_path / "two.bpf.o"
    source.write_text(GOOD_AND_BAD)
    compile_file(source, compiled)
    clang = subprocess.run(("clang", "--version"), capture_output=True, text=True, check=True)
    version = re.search(r"clang version ([\w.]+)", clang.stdout)
    with libbpf.opened(compiled) as opened, pytest.raises(HostError) as refused:
        opened.load("good")
    sentence = str(refused.value)

    assert version is not None
    assert (
        f"the kernel's verifier rejected program 'bad' (Linux {platform.release()}, compiled by "
        f"clang {version[1]}): " in sentence
    )
    assert "invalid access to packet" in sentence
    assert "as root" not in sentence
    assert "\n" not in sentence


@pytest.mark.root
def test_root_without_capabilities_is_told_which_are_missing() -> None:
    """As in most containers."""
    done = subprocess.run(
        (
            *("setpriv", "--bounding-set", "-bpf,-perfmon,-sys_admin", "--"),
            *(sys.executable, "-m", "remainder", "check", str(FLEET), "--node", "lb1", "--strict"),
        ),
        capture_output=True,
        text=True,
        check=False,
    )

    assert 1 == done.returncode, done.stderr
    assert "NO  root or capabilities: loading a data plane requires root, or CAP_BPF and CAP_P" in (
        done.stdout
    )
    assert "and this process lacks CAP_BPF and CAP_PERFMON; run as root, or with th" in done.stdout
