"""Do witnesses tell the truth about sessions?

The lab itself: if it lies, no other test in it proves anything.
"""

from __future__ import annotations

import socket
import time

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from remainder.errors import HostError
from remainder_lab import (
    OneService,
    Witness,
    flow_of,
    hold_sessions,
    http_sessions,
    sessions_at,
    torn,
    udp_exchanges,
    witness,
)
from tests.lab.straight import account, route_to

root = pytest.mark.root
bpf = pytest.mark.bpf


@root
@pytest.mark.parametrize("version", [4, 6])
def test_witnesses_and_clients_tell_the_same(to_s1: OneService, version: int) -> None:
    with to_s1.witnesses() as witnesses:
        sources = to_s1.client_addresses[version][:50]
        claimed = account(
            http_sessions(to_s1.clients, to_s1.web(version), sources=sources)
            + udp_exchanges(to_s1.clients, to_s1.echo(version), sources=sources, datagrams=3)
        )
        seen = sessions_at(witnesses.values())

    assert claimed == {flow: set(servers) for flow, servers in seen.items() if flow in claimed}
    assert [3] * 50 == [seen[flow]["s1"] for flow in claimed if flow.protocol == 17]
    assert {} == torn(seen)
    assert [0] * 4 == [one.lost for one in witnesses.values()]


@root
def test_a_session_that_changes_its_server_is_torn_and_is_found(to_s1: OneService) -> None:
    with (
        to_s1.witnesses() as witnesses,
        hold_sessions(
            to_s1.clients,
            to_s1.web(),
            sources=to_s1.client_addresses[4],
            sessions=20,
            interval_s=0.1,
        ) as held,
    ):
        route_to(to_s1, "s2")
        try:
            time.sleep(1)
        finally:
            route_to(to_s1, "s1")
        sessions = held.stop()
        found = torn(sessions_at(witnesses.values()))

    assert [False] * 20 == [session.ok for session in sessions]
    assert {session.flow for session in sessions} == set(found)
    assert all({"s1", "s2"} == set(servers) for servers in found.values())


@root
def test_a_witness_does_not_count_what_a_switch_floods(to_s1: OneService) -> None:
    stranger = Ether(dst="02:00:5e:00:53:01") / IP(dst="192.0.2.99") / UDP(dport=9) / b"flooded"

    def flood() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(("eth0", 0))
            raw.send(bytes(stranger))

    with to_s1.witnesses() as witnesses:
        to_s1.router.call(flood)
        udp_exchanges(to_s1.clients, to_s1.echo(), sources=["198.51.100.2"])
        seen = sessions_at(witnesses.values())

    assert ["203.0.113.10"] == [str(flow.dst_ip) for flow in seen]


@root
def test_an_account_with_gaps_is_refused(
    to_s1: OneService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness, "_ROOM_BYTES", 4096)
    monkeypatch.setattr(witness, "_POLL_S", 60.0)
    with Witness(to_s1.servers["s1"]) as cramped:
        udp_exchanges(to_s1.clients, to_s1.echo(), sources=to_s1.client_addresses[4], datagrams=2)

        with pytest.raises(HostError, match=r"the witness on s1 lost \d+ packets"):
            sessions_at([cramped])


@root
def test_a_witness_can_start_anew(to_s1: OneService) -> None:
    with Witness(to_s1.servers["s1"]) as one:
        udp_exchanges(to_s1.clients, to_s1.echo(), sources=["198.51.100.2"])
        assert one.packets()

        one.forget()

        assert {} == one.packets()


FRAMES: list[tuple[str, Packet, str | None]] = [
    ("tcp", IP(src="198.51.100.7", dst="203.0.113.10") / TCP(sport=1, dport=80), "1 80 6"),
    ("options", IP(options=[b"\x01" * 4]) / UDP(sport=1, dport=7), "1 7 17"),
    ("first fragment", IP(flags="MF") / UDP(sport=1, dport=7) / b"x", "1 7 17"),
    ("later fragment", IP(frag=5, proto=17) / b"payload of a fragment", "0 0 17"),
    ("echo", IP() / ICMP(type=8, id=77), "77 0 1"),
    ("unreachable", IP() / ICMP(type=3, id=77), "0 0 1"),
    ("tcp6", IPv6() / TCP(sport=1, dport=80), "1 80 6"),
    ("behind options", IPv6() / IPv6ExtHdrDestOpt() / UDP(sport=1, dport=7), "1 7 17"),
    ("first fragment6", IPv6() / IPv6ExtHdrFragment(m=1) / UDP(sport=1, dport=7), "1 7 17"),
    ("later fragment6", IPv6() / IPv6ExtHdrFragment(offset=9, nh=17) / b"payload", "0 0 17"),
    ("echo6", IPv6() / ICMPv6EchoRequest(id=77), "77 0 58"),
    ("no next header", IPv6(nh=59), "0 0 59"),
    ("arp", ARP(), None),
]


@pytest.mark.parametrize(
    ("packet", "wanted"), [row[1:] for row in FRAMES], ids=[row[0] for row in FRAMES]
)
def test_a_witness_reads_the_five_fields(packet: Packet, wanted: str | None) -> None:
    flow = flow_of(bytes(Ether(dst="02:00:5e:00:53:01", src="02:00:5e:00:53:02") / packet))
    fields = flow and f"{flow.src_port} {flow.dst_port} {flow.protocol}"

    assert wanted == fields
    if flow is not None:
        assert (packet.src, packet.dst) == (str(flow.src_ip), str(flow.dst_ip))


@pytest.mark.parametrize("length", range(54))
def test_a_witness_survives_a_frame_cut_short(length: int) -> None:
    for packet in (IP() / TCP(), IPv6() / TCP()):
        whole = bytes(Ether(dst="02:00:5e:00:53:01", src="02:00:5e:00:53:02") / packet)
        flow_of(whole[:length])
