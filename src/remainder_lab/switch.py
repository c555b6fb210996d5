"""A switch: hosts around one XDP program.

For what is measured: a bridge makes an skb of every frame and costs more than
a balancer, which hides all differences between balancers.  For what is merely
tried there is the Segment; it can learn, be silenced, and lets MAC addresses move.

Rule: every host gets a MAC address whose last byte is the number of its port.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import ip_interface
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from remainder_lab.ethtool import gro_on
from remainder_lab.host import Host
from remainder_lab.wire import End, Wire

if TYPE_CHECKING:
    from remainder_lab.switching import Switching

MAC: Final = "02:00:5e:00:53:{:02x}"


class Switch:
    """A namespace with a switch as a context manager; every host gets a port of its name."""

    def __init__(self, name: str = "switch") -> None:
        self.host = Host(name)
        self._ends: list[End] = []
        self._stack = ExitStack()
        self._switching: Switching

    def __enter__(self) -> Self:
        # Only where a lab has a switch: one without it needs no libbpf.
        from remainder_lab.switching import Switching  # noqa: PLC0415

        with ExitStack() as stack:
            stack.enter_context(self.host)
            self._switching = Switching()
            stack.callback(self._switching.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @contextmanager
    def wired(
        self, host: Host, interface: str = "eth0", *, addresses: Iterable[str] = ()
    ) -> Iterator[Wire]:
        """Wire a host to the switch for as long as the block runs.

        Its end takes frames without an skb (GRO), and sends with checksums in them.
        """
        port, number = host.name[:15], len(self._ends)
        end = End(host=host, interface=interface, addresses=tuple(addresses))
        with Wire(
            replace(end, addresses=()),
            End(host=self.host, interface=port, xdp=True),
            pass_all=gro_on,
        ) as wire:
            host.netlink(_rename, interface, MAC.format(number))
            host.add_addresses(interface, end.addresses)
            index = self.host.interface(port).index
            self.host.call(self._switching.add_port, number, index)
            self._ends.append(end)
            yield wire

    def introduce(self) -> None:
        """Let all hosts know each other's MAC for good: what is lost shall not be an ARP reply."""
        macs = {
            str(ip_interface(address).ip): MAC.format(number)
            for number, end in enumerate(self._ends)
            for address in end.addresses
        }
        for end in self._ends:
            own = {str(ip_interface(address).ip) for address in end.addresses}
            known = {address: mac for address, mac in macs.items() if address not in own}
            end.host.netlink(_acquaint, end.interface, known)


def _rename(ip: Any, interface: str, mac: str) -> None:
    (index,) = ip.link_lookup(ifname=interface)
    ip.link("set", index=index, address=mac)


def _acquaint(ip: Any, interface: str, macs: Mapping[str, str]) -> None:
    (index,) = ip.link_lookup(ifname=interface)
    for address, mac in macs.items():
        ip.neigh("replace", dst=address, lladdr=mac, ifindex=index, state="permanent")
