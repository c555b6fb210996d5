"""A virtual machine with one of Debian's kernels and this host's files.

The guest's root is the host's, read-only through 9p, with a layer of memory above it: the same
Python, the same tree, another kernel.  A folder (``job``) is shared for writing: there the guest
leaves what it found out.  The hardware's help (KVM) is taken where it works; where it is
missing, qemu translates, ten to twenty times slower.
"""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.machines import emulator
from tests.machines.kernels import Kernel, modules_for

ROOT: Final = Path(__file__).resolve().parents[2]
CPUS: Final = 2
MEMORY_MB: Final = 2048
LINES_SHOWN: Final = 30
_ENVIRONMENT: Final = "HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BASE: Final = ("virtio_pci", "9p", "9pnet_virtio", "overlay")
_ALIVE_S: Final = 30
"""With KVM a kernel is up in two; where it is not, KVM here is of no use to this kernel."""

_FIRST: Final = """#!/bin/busybox sh
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /host /layer /root
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module; done
options=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o $options,ro,cache=loose host /host || echo "INIT: no host"
mount -t tmpfs -o size=75% layer /layer; mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /root ||
	echo "INIT: no root"
cd /root
"""

_GUEST: Final = """
mount -t proc proc proc; mount -t sysfs sys sys
mount -t tmpfs run run; mount -t tmpfs tmp tmp; chmod 1777 tmp
mount -t devtmpfs dev dev; mkdir -p run/job run/lock run/netns dev/pts dev/shm
mount -t devpts pts dev/pts; mount -t tmpfs shm dev/shm
ln -sf /proc/self/fd dev/fd
mount -t bpf bpf sys/fs/bpf; mount -t cgroup2 cgroup sys/fs/cgroup
mount -t 9p -o $options,cache=none job run/job || echo "INIT: no job"
at=lib/modules/$(uname -r); mkdir -p $at; mount -t 9p -o $options,ro,cache=loose modules $at
hostname guest; ip link set lo up
: >run/job/alive
chroot . /bin/sh /run/job/command >run/job/output 2>&1 </dev/null
echo $? >run/job/status
sync; echo o >/proc/sysrq-trigger; sleep 60
"""
"""Run the command in the files of the root, with nothing else beside it."""

_BOOTED: Final = """
mount -t 9p -o $options,cache=none job job || echo "INIT: no job"
at=lib/modules/$(uname -r); mkdir -p $at; mount -t 9p -o $options,ro,cache=loose modules $at
: >job/alive
exec switch_root /root /sbin/init
"""
"""Hand a Debian over to its own systemd; its unit machine.service runs the command."""

_MODPROBE: Final = """#!/bin/busybox sh
exec /bin/busybox chroot /root @modprobe@ "$@"
"""
"""What the kernel itself calls, in the first root, when a module is needed."""


class MachineError(Exception):
    """A guest that did not do what it should; the message has its last words."""


@dataclass(frozen=True)
class Root:
    """The files that a guest has."""

    path: Path
    home: Path
    """this tree, as the guest sees it"""
    systemd: bool = False
    """it boots by its own systemd, whose machine.service runs the command"""


HOST: Final = Root(Path("/"), ROOT)


@dataclass(frozen=True)
class Finished:
    """A guest that has ended in order."""

    status: int
    output: str
    boot_s: float
    total_s: float


def has_kvm() -> bool:
    """Whether this processor helps: where a hypervisor hides that it can, /dev/kvm is no help."""
    flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    return (" vmx" in flags or " svm" in flags) and os.access("/dev/kvm", os.R_OK | os.W_OK)


@cache
def compile_python() -> None:
    """Where a guest has to translate, compiling is most of the start of every process."""
    folders = [str(ROOT / name) for name in ("src", "tests", "scripts")]
    subprocess.run((sys.executable, "-m", "compileall", "-q", *folders), check=False)


@contextmanager
def running(
    kernel: Kernel,
    job: Path,
    command: str,
    *,
    more: Sequence[str] = (),
    modules: Sequence[str] = (),
    root: Root = HOST,
    inside: Sequence[str] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """A guest that runs a command of the shell, in this tree; killed at the end.

    ``inside`` is a command that starts qemu, in a network namespace for example.
    """
    for name in ("alive", "status", "output"):
        (job / name).unlink(missing_ok=True)
    script = f"cd {root.home}\nexport {_ENVIRONMENT}\n{command}\n"
    (job / "command").write_text(script, encoding="utf-8")
    (job / "initrd").write_bytes(initrd(kernel, modules, root))
    if root == HOST:
        compile_python()
    kvm = has_kvm() and kernel.architecture == "amd64"
    process = _start(kernel, job, root, more, "kvm" if kvm else "tcg", inside)
    try:
        if kvm and not _within(_ALIVE_S, job / "alive", process):
            process.kill()
            process.wait()
            process = _start(kernel, job, root, more, "tcg", inside)
        yield process
    finally:
        process.kill()
        process.wait()


def run(
    kernel: Kernel,
    job: Path,
    command: str,
    *,
    limit_s: float,
    more: Sequence[str] = (),
    modules: Sequence[str] = (),
    root: Root = HOST,
) -> Finished:
    """Boot, run a command to its end, and power off."""
    start_s = time.monotonic()
    with running(kernel, job, command, more=more, modules=modules, root=root) as process:
        alive = _within(limit_s, job / "alive", process)
        boot_s = time.monotonic() - start_s
        with suppress(subprocess.TimeoutExpired):
            process.wait(limit_s - boot_s)
        finished = process.returncode is not None
    output = _text(job / "output")
    if not alive or not (job / "status").exists():
        why = "ended" if finished else f"was still busy after {limit_s:.0f} s"
        raise MachineError(f"Linux {kernel.version} {why}\n{last_words(job)}")
    return Finished(int(_text(job / "status")), output, boot_s, total_s=time.monotonic() - start_s)


def last_words(job: Path) -> str:
    """The end of what qemu, the console and the command said."""
    console, output = (_text(job / name).splitlines() for name in ("console", "output"))
    return "\n".join(["--- console", *console[-LINES_SHOWN:], "--- output", *output[-LINES_SHOWN:]])


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _within(limit_s: float, path: Path, process: subprocess.Popen[bytes]) -> bool:
    """Whether a file appears while a process runs."""
    deadline_s = time.monotonic() + limit_s
    while not path.exists():
        if time.monotonic() > deadline_s or process.poll() is not None:
            return path.exists()
        time.sleep(0.05)
    return True


def _start(  # noqa: PLR0917  (the parts of one command)
    kernel: Kernel,
    job: Path,
    root: Root,
    more: Sequence[str],
    how: str,
    inside: Sequence[str],
) -> subprocess.Popen[bytes]:
    accelerator = {"kvm": "kvm", "tcg": "tcg,thread=multi"}[how]
    console = emulator.HARDWARE[kernel.architecture].console
    words = f"console={console} quiet panic=-1 mitigations=off net.ifnames=0 nokaslr"
    return emulator.start(
        kernel.architecture,
        "-accel", accelerator,
        "-smp", str(CPUS), "-m", str(MEMORY_MB * (2 if root.systemd else 1)),
        "-serial", f"file:{job / 'console'}",
        "-device", "virtio-rng-pci",
        *_shared(root.path, "host", "readonly=on"),
        *_shared(kernel.modules, "modules", "readonly=on"),
        *_shared(job, "job", "readonly=off"),
        "-kernel", str(kernel.vmlinuz), "-initrd", str(job / "initrd"), "-append", words,
        *more,
        log=job / "qemu",
        inside=inside,
    )  # fmt: skip


def _shared(folder: Path, tag: str, access: str) -> tuple[str, str]:
    words = f"local,path={folder},mount_tag={tag},security_model=none,multidevs=remap,{access}"
    return "-virtfs", words


def initrd(kernel: Kernel, modules: Sequence[str], root: Root = HOST) -> bytes:
    """A first root: busybox, the modules in their order, and what mounts the second."""
    loaded = modules_for(kernel, [*_BASE, *modules])
    order = "".join(f"{name}.ko\n" for name, _ in loaded)
    second = _BOOTED if root.systemd else _GUEST
    tools = emulator.tree()
    modprobe = shlex.join(emulator.command("kmod", name="modprobe"))
    if kernel.architecture != "amd64":  # its root has its own
        tools, modprobe = root.path, "/usr/sbin/modprobe"
    busybox = (tools / "usr" / "bin" / "busybox").read_bytes()
    files = [
        ("bin", None), ("sbin", None), ("modules", None),
        ("bin/busybox", busybox),
        ("init", (_FIRST + second).encode()),
        ("sbin/modprobe", _MODPROBE.replace("@modprobe@", modprobe).encode()),
        ("modules/order", order.encode()),
        *((f"modules/{name}.ko", content) for name, content in loaded),
    ]  # fmt: skip
    return _cpio(files)


def _cpio(files: Sequence[tuple[str, bytes | None]]) -> bytes:
    """An archive as the kernel reads it ("newc"); no content: a folder."""
    parts = []
    for number, (name, content) in enumerate([*files, ("TRAILER!!!", b"")], start=1):
        mode = stat.S_IFDIR | 0o755 if content is None else stat.S_IFREG | 0o755
        body = content or b""
        fields = (number, mode, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + "".join(f"{field:08x}" for field in fields).encode()
        head += name.encode() + b"\0"
        parts += [head, bytes(-len(head) % 4), body, bytes(-len(body) % 4)]
    return b"".join(parts)
