"""A host of the lab: a network namespace that ends with its block.

Rule: whatever happens inside the block, namespace and processes are gone
behind it; what a killed process left behind, ``remove_leftovers`` takes away.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

import remainder
from remainder.errors import HostError
from remainder_lab import namespaces
from remainder_lab.patience import patient
from remainder_lab.running import GRACE_S, MARK, Running, end, end_marked

P = ParamSpec("P")
R = TypeVar("R")

RUN_LIMIT_S: Final = 60.0

_NO_DUPLICATE_DETECTION: Final = 0x02  # IFA_F_NODAD
_SYSCTLS: Final[tuple[tuple[str, int], ...]] = (
    # The lab does not inherit what the machine it runs on filters.
    *((f"net.ipv4.conf.{which}.rp_filter", 0) for which in ("all", "default")),
    *((f"net.ipv4.conf.{which}.send_redirects", 0) for which in ("all", "default")),
    ("net.ipv4.ip_forward", 0),
    # Addresses are usable at once, and stay when an interface goes down.
    *(
        (f"net.ipv6.conf.{which}.{name}", value)
        for which in ("all", "default")
        for name, value in (
            ("disable_ipv6", 0),
            ("accept_dad", 0),
            ("dad_transmits", 0),
            ("accept_ra", 0),
            ("keep_addr_on_down", 1),
        )
    ),
)


@dataclass(frozen=True)
class Interface:
    """A network interface, as it was when asked."""

    index: int
    name: str
    mac: str
    mtu: int
    up: bool
    carrier: bool


class Host:
    """A network namespace as a context manager, named ``rmd-PID-NAME``.

    At the end its processes get SIGTERM, and SIGKILL ``grace_s`` later.
    """

    def __init__(self, name: str, *, grace_s: float = GRACE_S) -> None:
        self.name = name
        self.grace_s = grace_s
        self.namespace = ""
        self.processes: list[Running] = []

    def __enter__(self) -> Self:
        self.namespace = namespaces.free_name(self.name)
        try:
            namespaces.create(self.namespace)
            self.call(_write_sysctls, _SYSCTLS)
            self.netlink(_up, "lo")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process inside, then the namespace.  A second call does nothing."""
        if not self.namespace:
            return
        with uninterrupted():
            end(self.processes, grace_s=self.grace_s)
            self.processes.clear()
            end_marked(self.namespace)
            namespaces.remove(self.namespace)
            self.namespace = ""

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What a Python function returns, or raises, when run inside."""
        return namespaces.call(self._name(), function, *args, **kwargs)

    def netlink(
        self, function: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """What a function returns that is given pyroute2's ``IPRoute`` inside, then the rest.

        One call for many changes: the door is opened once.
        """

        def inside() -> R:
            # Servers and clients import this package too, and need no netlink.
            from pyroute2 import IPRoute  # noqa: PLC0415

            with IPRoute() as ip:
                return function(ip, *args, **kwargs)

        return self.call(inside)

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The command that runs a command inside.

        ``ip netns exec`` would mount a fresh /sys and hide /sys/fs/bpf.
        """
        nsenter = shutil.which("nsenter")
        if nsenter is None:
            raise HostError("nsenter not found in PATH; install the package util-linux")
        return [nsenter, f"--net={namespaces.FOLDER / self._name()}", "--", *argv]

    def run(
        self, argv: Sequence[str], *, limit_s: float = RUN_LIMIT_S, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside to its end, with ``given`` as its input.

        The return code is the caller's to judge.  Raises HostError if it takes too long.
        """
        try:
            return subprocess.run(
                self.inside(argv),
                input=given,
                stdin=subprocess.DEVNULL if given is None else None,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=patient(limit_s),
                env=self.environment(),
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise HostError(
                f"{' '.join(argv)} on {self.name} took longer than {limit_s:g} s"
            ) from None

    def popen(self, argv: Sequence[str], *, title: str | None = None) -> Running:
        """Start a command inside; it is ended with the host at the latest."""
        process = Running(
            self.inside(argv),
            title=title or f"{' '.join(argv)} on {self.name}",
            env=self.environment(),
        )
        for ended in [known for known in self.processes if known.poll() is not None]:
            ended.release()
            self.processes.remove(ended)
        self.processes.append(process)
        return process

    def environment(self) -> dict[str, str]:
        """What a process inside finds: these very packages, and the mark it is known by."""
        sources = dict.fromkeys(str(Path(of).parents[1]) for of in (remainder.__file__, __file__))
        path = os.pathsep.join(filter(None, (*sources, os.environ.get("PYTHONPATH"))))
        return {
            **os.environ,
            MARK: self._name(),
            "PYTHONPATH": path,
            "PYTHONUNBUFFERED": "1",
        }

    def sysctl(self, name: str, value: int | str) -> None:
        """Set ``net.ipv4.ip_forward`` or another name below ``net`` inside."""
        self.sysctls([(name, value)])

    def sysctls(self, settings: Iterable[tuple[str, int | str]]) -> None:
        """Set many at once."""
        self.call(_write_sysctls, tuple(settings))

    def interface(self, name: str) -> Interface:
        """An interface's index, MAC and state.  Raises HostError if there is none."""

        def ask(ip: Any) -> Interface:
            index = _index(ip, name, self.name)
            (link,) = ip.get_links(index)
            return Interface(
                index=index,
                name=name,
                mac=link.get("address"),
                mtu=link.get("mtu"),
                up=link["state"] == "up",
                carrier=bool(link.get("carrier")),
            )

        return self.netlink(ask)

    def mac(self, interface: str) -> str:
        """The MAC of an interface, like ``02:00:5e:00:53:01``."""
        return self.interface(interface).mac

    def mac_bytes(self, interface: str) -> bytes:
        """The same, as bytes of a frame."""
        return bytes.fromhex(self.mac(interface).replace(":", ""))

    def switch_on(self, interface: str) -> None:
        """Switch an interface on."""
        self.netlink(_up, interface)

    def add_addresses(self, interface: str, addresses: Iterable[str]) -> None:
        """Put addresses like ``192.0.2.2/24`` on an interface; one that is there stays."""
        values = [ip_interface(text) for text in addresses]

        def add(ip: Any) -> None:
            index = _index(ip, interface, self.name)
            for value in values:
                ip.addr(
                    "replace",
                    index=index,
                    address=str(value.ip),
                    prefixlen=value.network.prefixlen,
                    flags=_NO_DUPLICATE_DETECTION if value.version == 6 else 0,
                )

        self.netlink(add)

    def add_route(
        self, destination: str, *, via: str | None = None, interface: str | None = None
    ) -> None:
        """Route a prefix (``0.0.0.0/0`` and ``::/0`` are the rest of the world).

        Replaces the route that is there, so moving traffic leaves no gap.
        """
        network = ip_network(destination)

        def add(ip: Any) -> None:
            where: dict[str, object] = {}
            if via is not None:
                where["gateway"] = via
            if interface is not None:
                where["oif"] = _index(ip, interface, self.name)
            ip.route("replace", dst=str(network), **where)

        self.netlink(add)

    def _name(self) -> str:
        if not self.namespace:
            raise HostError(f"host {self.name} is used outside of its with block")
        return self.namespace


def python_module(module: str, *arguments: str) -> list[str]:
    """The command that runs a module with the interpreter of this process."""
    return [sys.executable, "-m", module, *arguments]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let no Ctrl-C cut the cleaning short; one that comes meanwhile counts when that is done.

    Likewise SIGTERM and SIGHUP.
    """
    with _held(signal.SIGHUP), _held(signal.SIGTERM), _held(signal.SIGINT):
        yield


@contextmanager
def _held(number: signal.Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(number, lambda came_number, _: came.append(came_number))
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL if before is None else before)
        if came:
            signal.raise_signal(number)


def end_processes(hosts: Iterable[Host]) -> None:
    """End the processes of many hosts together, instead of one grace after the other."""
    with uninterrupted():
        end([process for host in hosts for process in host.processes])


def _write_sysctls(settings: Iterable[tuple[str, int | str]]) -> None:
    for name, value in settings:
        path = Path("/proc/sys", name.replace(".", "/"))
        try:
            path.write_text(str(value))
        except OSError as error:
            raise HostError(
                f"sysctl {name} = {value} failed: {error.strerror}; does this kernel have it?"
            ) from error


def _up(ip: Any, interface: str) -> None:
    ip.link("set", ifname=interface, state="up")


def _index(ip: Any, interface: str, host: str) -> int:
    with suppress(IndexError):
        return int(ip.link_lookup(ifname=interface)[0])
    raise HostError(f"host {host} has no interface {interface}")
