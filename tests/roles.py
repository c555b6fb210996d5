"""Cases of a balancer made into cases of a member and of a sender."""

from __future__ import annotations

import struct
from ipaddress import ip_address, ip_network
from typing import Final

from hypothesis import strategies as st

from remainder.config import Cluster, Config, Member, ReturnPath, Router, Sender
from remainder.fleet import member_plan, return_plan
from remainder.flow import Address
from remainder.plan import Plan
from remainder.reference import Node
from remainder.reference.parse import DecidedError, ethernet
from tests.strategies import Case, cases

OWN_MAC: Final = bytes.fromhex("02000000a001")
ASKER_MAC: Final = bytes.fromhex("02000000b001")
ASKERS: Final = [ip_address(text) for text in ("2001:db8::63", "::", "2001:db8::", "::63")]
"""Of their halves none, both, and each is empty."""

TAGS: Final = [bytes.fromhex(tag) for tag in ("", "81000000", "8100e000", "81000005", "88a80005")]

SHORTEST: Final = {b"\x08\x00": 34, b"\x86\xdd": 54}
"""The kernel's test facility refuses shorter frames to a program behind the stack."""


@st.composite
def member_cases(draw: st.DrawFn) -> Case:
    """Every VIP becomes a shared address; the balancer's own MAC becomes the cluster's."""
    case = draw(cases())
    clusters = []
    for number, vip in enumerate(dict.fromkeys(item.vip for item in case.config.service)):
        service = next(item for item in case.config.service if item.vip == vip)
        whole = not service.key.reads_ports and draw(st.booleans())
        clusters.append(
            Cluster(
                name=f"cluster-{number}",
                address=vip,
                key=service.key,
                table=service.table,
                slots=service.slots,
                members=[
                    Member(name=server.name, interface="eth0", weight=server.weight)
                    for server in service.servers
                ],
                fragments="forward" if whole else "drop",
            )
        )
    if draw(st.booleans()):
        clusters.append(replace_name(clusters[0], "others"))
    config = Config(cluster=clusters, secret=case.config.secret)
    name = draw(st.sampled_from([member.name for item in clusters for member in item.members]))
    plan = member_plan(config, clusters, node=name)
    node = Node(mac=OWN_MAC, macs={}, cluster_mac=case.node.mac, vlan=case.node.vlan)
    asking = draw(st.lists(questions(plan, node), max_size=8))
    return Case(config, plan, node, [*case.frames, *asking])


def replace_name(cluster: Cluster, name: str) -> Cluster:
    """The same for whatever no other cluster takes."""
    return Cluster(
        name=name,
        address="any",
        key=cluster.key,
        table=cluster.table,
        slots=cluster.slots,
        members=cluster.members,
        fragments=cluster.fragments,
    )


@st.composite
def questions(draw: st.DrawFn, plan: Plan, node: Node) -> bytes:
    """ARP requests and neighbour solicitations, most of them well-formed and for us."""
    vip = min(plan.vips, key=str)
    strange = type(vip)(int(vip) ^ 77)
    unspecified = type(vip)(0)
    target = draw(st.sampled_from([*sorted(plan.vips, key=str), strange, unspecified]))
    frame = bytearray(_arp(target) if target.version == 4 else _solicitation(target, draw))
    own = b"" if node.vlan is None else struct.pack("!HH", 0x8100, 0xE000 | node.vlan)
    frame[12:12] = draw(st.sampled_from([own, own, own, own, *TAGS]))
    match draw(st.integers(0, 5)):
        case 0:
            at = draw(st.integers(0, len(frame) - 1))
            frame[at] ^= 1 << draw(st.integers(0, 7))
        case 1:
            frame[:6] = node.cluster_mac
        case 2:
            del frame[draw(st.integers(14, len(frame))) :]
        case 3:
            frame += bytes(draw(st.integers(0, 20)))
    return bytes(frame)


def _arp(target: Address) -> bytes:
    head = bytes.fromhex("0806 0001 0800 06 04 0001")
    return (
        b"\xff" * 6 + ASKER_MAC + head + ASKER_MAC + b"\xc0\x00\x02\x63" + bytes(6) + target.packed
    )


def _solicitation(target: Address, draw: st.DrawFn) -> bytes:
    asker = draw(st.sampled_from(ASKERS)).packed
    group = b"\xff\x02" + bytes(9) + b"\x01\xff" + target.packed[13:]
    message = b"\x87\x00\x12\x34" + bytes(4) + target.packed + b"\x01\x01" + ASKER_MAC
    ip = struct.pack("!IHBB", 6 << 28, len(message), 58, 255) + asker + group
    return b"\x33\x33" + group[12:] + ASKER_MAC + b"\x86\xdd" + ip + message


@st.composite
def sender_cases(draw: st.DrawFn) -> Case:
    """What would be answers of the services go out; so do the requests, as flows of others."""
    case = draw(cases())
    first = case.config.service[0]
    whole = not first.key.reads_ports and draw(st.booleans())
    path = ReturnPath(
        name="back",
        key=first.key,
        table=first.table,
        slots=first.slots,
        routers=[
            Router(name=server.name, address=server.address, weight=server.weight)
            for server in first.servers
        ],
        senders=[Sender(name="s", interface="eth0")],
        others=draw(st.booleans()),
        fragments="forward" if whole else "drop",
    )
    config = Config(service=case.config.service, return_path=[path], secret=case.config.secret)
    networks = ("198.51.100.0/26", "2001:db8:51::/123", "192.0.2.0/24", "2001:db8:2::/64")
    node = Node(
        mac=OWN_MAC,
        macs=case.node.macs,
        vlan=case.node.vlan,
        on_link=[ip_network(text) for text in draw(st.sets(st.sampled_from(networks)))],
    )
    frames = [
        turned(frame, node.vlan) if draw(st.integers(0, 9)) else frame
        for frame in case.frames
        if len(frame) >= SHORTEST.get(frame[12:14], 15)
    ]
    return Case(config, return_plan(config, [path]), node, frames)


def turned(frame: bytes, vlan: int | None = None) -> bytes:
    """The frame that goes the other way, as far as it can be told; checksums stay as they are."""
    try:
        version, at = ethernet(frame, vlan)
    except DecidedError:
        return frame
    size = 4 if version == 4 else 16
    source_at = at + (12 if version == 4 else 8)
    ports_at = at + (4 * (frame[at] & 15) if version == 4 else 40) if at < len(frame) else at
    new = bytearray(frame)
    for start, width in ((source_at, size), (ports_at, 2)):
        one, other = frame[start : start + width], frame[start + width : start + 2 * width]
        if len(other) == width:
            new[start : start + 2 * width] = other + one
    return bytes(new)
