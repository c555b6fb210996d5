"""Debian as it is installed: a root with its own packages and this tree, booted by systemd.

The packages are configured natively, in a root of their own, and what ./demo and ./test set up
is set up there too; the guest then boots that root, with a layer of memory above it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

from tests.machines import machine, packages
from tests.machines.kernels import Kernel
from tests.machines.machine import ROOT, Finished, Root
from tests.machines.packages import BOOKWORM, TRIXIE, PackageError, Suite

DEBIANS: Final = {"Debian 12": ("oldest", BOOKWORM), "Debian 13": ("stable", TRIXIE)}
"""Name → (its kernel, its packages)."""

HOME: Final = "/opt/remainder"
"""Where the tree is in the guest; a service may not look into /root."""

_PACKAGES: Final = (
    "?essential", "?priority(required)", "systemd-sysv", "dbus", "udev", "iproute2", "kmod",
    "iputils-ping", "procps",
    # What scripts/setup.sh would install, for a guest has no mirror.
    "clang", "libbpf-dev", "linux-libc-dev", "libbpf1", "util-linux", "keepalived", "nftables",
    "haproxy", "python3", "python3-venv", "libpython3-dev",
)  # fmt: skip

_CONFIGURE: Final = r"""
set -eu
root=$1
mount --bind /dev "$root/dev"; mount -t proc proc "$root/proc"; mount -t tmpfs tmp "$root/tmp"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"; chmod +x "$root/usr/sbin/policy-rc.d"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
for list in passwd group; do
	cp "$root/usr/share/base-passwd/$list.master" "$root/etc/$list"
done
options='--force-depends --force-unsafe-io'
chroot "$root" sh -c "dpkg $options --install /debs/base-passwd_*.deb /debs/base-files_*.deb"
chroot "$root" sh -c "dpkg $options --install /debs/*.deb" ||
	chroot "$root" dpkg --force-depends --configure --pending
"""

_SET_UP: Final = r"""
set -eu
root=$1
mount --bind /dev "$root/dev"; mount -t proc proc "$root/proc"; mount -t tmpfs tmp "$root/tmp"
mkdir -p "$root/wheels"; mount --bind "$2" "$root/wheels"
export LC_ALL=C.UTF-8 HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
chroot "$root" bash -c 'cd /opt/remainder && . scripts/setup.sh && prepare test && prepare run &&
	.venv/bin/python -m compileall -q src tests scripts'
"""

_UNIT: Final = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c '/bin/sh /job/command >/job/output 2>&1; echo $? >/job/status'
ExecStopPost=/bin/systemctl --no-block poweroff --force
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
"""


def root(name: str) -> Path:
    """A root of a Debian, made once, with this tree as it is now in HOME."""
    _, suite = DEBIANS[name]
    tree = packages.CACHE / _folder(name)
    if not (tree / "made").exists():
        _make(tree, suite)
    _copy_tree(tree)
    return tree


def _make(tree: Path, suite: Suite) -> None:
    if tree.exists():
        shutil.rmtree(tree)
    debs = tree / "debs"
    (debs / "partial").mkdir(parents=True)
    packages.download(suite, _PACKAGES, debs)
    packages.unpack_all(debs, tree)
    for folder in ("dev", "proc", "sys", "tmp", "run", "job", "root", "etc", "var/lib/dpkg"):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    for folder in ("info", "updates", "triggers", "alternatives", "parts"):
        (tree / "var/lib/dpkg" / folder).mkdir(exist_ok=True)
    for name in ("status", "available"):
        (tree / "var/lib/dpkg" / name).touch()
    _aside(_CONFIGURE, str(tree))
    shutil.rmtree(debs)
    (tree / "etc/systemd/system/machine.service").write_text(_UNIT, encoding="utf-8")
    wants = tree / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "machine.service").symlink_to("../machine.service")
    (tree / "etc/hostname").write_text("debian\n", encoding="utf-8")
    (tree / "made").touch()


def _copy_tree(tree: Path) -> None:
    """This tree as a user would have cloned it, and set up by its own script."""
    home = tree / HOME.lstrip("/")
    listed = subprocess.run(
        ("git", "ls-files", "-z"), cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    home.mkdir(parents=True, exist_ok=True)
    for old in home.iterdir():  # a file that is no more would be found by tests
        if old.name != ".venv":
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    for name in listed.split("\0"):
        source, target = ROOT / name, home / name
        if not name or not os.path.lexists(source):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            target.unlink()
        shutil.copy2(source, target, follow_symlinks=False)
    python = next(tree.glob("usr/bin/python3.[0-9][0-9]")).name.removeprefix("python")
    _aside(_SET_UP, str(tree), str(_wheels(python)))


def _wheels(python: str) -> Path:
    """Everything that pip will ask for in the guest's root, for its Python."""
    folder = packages.CACHE / f"wheels-{python}"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["test"],
        *project["build-system"]["requires"],
    ]
    platforms = [f"--platform=manylinux_2_{minor}_x86_64" for minor in (17, 24, 26, 27, 28, 31)]
    run = subprocess.run(
        (
            sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:",
            "--dest", str(folder), "--python-version", python, "--implementation", "cp",
            *platforms, "--platform=manylinux2014_x86_64", "setuptools", "editables", *wanted,
        ),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if run.returncode != 0:
        raise PackageError(f"wheels for Python {python} are not to be had: {run.stderr[-1000:]}")
    return folder


def _aside(script: str, *arguments: str) -> None:
    """Run a script in a mount namespace of its own, so that nothing stays mounted."""
    run = subprocess.run(
        ("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *arguments),
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if run.returncode != 0:
        raise PackageError(f"{arguments[0]} cannot be set up:\n{(run.stdout + run.stderr)[-3000:]}")


def run(name: str, kernel: Kernel, job: Path, command: str, *, limit_s: float) -> Finished:
    """Boot a Debian by its systemd, run a command when it is up, and power off.

    The guest reads its root from here, so no other run may renew it meanwhile.
    """
    with (packages.CACHE / f"{_folder(name)}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        files = Root(root(name), home=Path(HOME), systemd=True)
        return machine.run(kernel, job, command, limit_s=limit_s, root=files)


def _folder(name: str) -> str:
    """``debian-12``."""
    return name.lower().replace(" ", "-")
