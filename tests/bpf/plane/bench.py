"""An interface of its own, and planes of the real kernel on it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from remainder.config import Config, Server, Service
from remainder.flow import Flow
from remainder.kernel import libbpf, netlink
from remainder.kernel.bpf_plane import BpfPlane
from remainder.kernel.bpf_planes import BpfPlanes
from remainder.kernel.oracle import CLIENT_MAC
from remainder.kernel.plane import Wish
from remainder.plan import Plan, make_plan
from remainder.reference.frame import frame_of
from tests.warnings import Warned

VIP = "203.0.113.10"
NODE = "plane-test"
MACS = {ip_address(f"192.0.2.{one}"): b"\2\0\0\0\1" + bytes([one]) for one in (1, 2)}


def plan_of(*servers: int, key: str = "src_ip + dst_ip + dst_port") -> Plan:
    return make_plan(
        Config(
            secret="5a" * 16,
            service=[
                Service(
                    name="web", vip=VIP, port=80, protocol="tcp", key=key, table="modulo",
                    servers=[Server(name=f"s{one}", address=f"192.0.2.{one}") for one in servers],
                )
            ],
        )
    )  # fmt: skip


@dataclass
class Bench:
    """An interface of its own, and planes on it."""

    planes: BpfPlanes

    def wish(self, plan: Plan, name: str = "va") -> Wish:
        return Wish(
            node=NODE,
            plan=plan,
            interface=netlink.interface(name),
            mode="generic",
            macs=MACS,
        )

    def server(self, plane: BpfPlane, plan: Plan) -> str:
        """Whom the program that is attached sends a packet to, told by its MAC address."""
        flow = Flow(IPv4Address("198.51.100.7"), 4000, IPv4Address(VIP), 80, 6)
        own = netlink.interface_at(plane.ifindex)
        frame = frame_of(flow, source_mac=CLIENT_MAC, destination_mac=own.mac)
        program_fd = libbpf.program_by_id(own.xdp_program or 0)
        try:
            _, after = libbpf.test_run(program_fd, frame)
        finally:
            os.close(program_fd)
        names = {MACS[address]: name for _, name, address in plan.reached}
        return names.get(after[:6], "nobody")


def first(bench: Bench, plan: Plan) -> BpfPlane:
    prepared = bench.planes.prepare(bench.wish(plan), None)
    plane = prepared.commit(Warned())
    prepared.finish()
    assert isinstance(plane, BpfPlane)
    return plane


def attached(*names: str) -> list[bool]:
    return [netlink.interface(name).xdp_program is not None for name in names]
