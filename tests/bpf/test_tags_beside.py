"""VLAN tags that the kernel keeps beside a frame: who sees them, on a real device.

A VLAN interface and a bridge that filters VLANs put them there, and a veth passes them on.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from typing import Final

import pytest

from remainder.config import Config, ReturnPath, Router, Sender, Server, Service
from remainder.fleet import return_plan
from remainder.flow import Flow
from remainder.kernel import libbpf, netlink, netns
from remainder.outcome import Outcome
from remainder.plan import Plan, make_plan
from remainder.reference import Node
from remainder.reference.frame import frame_of
from scripts.compile_bpf import compile_file
from tests.bpf.kernel import Kernel, kernel

pytestmark = [pytest.mark.bpf, pytest.mark.root]

MADE: Final = """
ip link add near type veth peer name far
ip link set near up
ip link set far up
"""
PUSH: Final = """
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int push(struct __sk_buff *skb)
{
	bpf_skb_vlan_push(skb, bpf_htons(0x8100), 5);
	return -1; /* the next program */
}

char _license[] SEC("license") = "GPL";
"""
VIP, CLIENT = ip_address("203.0.113.10"), ip_address("198.51.100.7")
SERVER_MAC: Final = bytes.fromhex("020000000011")
FAR_MAC: Final = bytes.fromhex("0200000000f0")
FRAMES: Final = 5

SERVICE: Final = Service(
    name="web",
    vip=VIP,
    port=80,
    protocol="tcp",
    key="src_ip",
    table="modulo",
    servers=[Server(name="s1", address="192.0.2.11")],
)
PATH: Final = ReturnPath(
    name="back",
    key="src_ip",
    table="modulo",
    routers=[Router(name="r1", address="192.0.2.1")],
    senders=[Sender(name="s1", interface="near")],
)


@pytest.fixture(scope="module")
def pushing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A program that puts the tag of VLAN 5 beside every frame that leaves, as a bridge does."""
    folder = tmp_path_factory.mktemp("push")
    source = folder / "push.bpf.c"
    source.write_text(PUSH)
    compile_file(source, folder / "push.bpf.o")
    with libbpf.opened(folder / "push.bpf.o") as opened:
        opened.load("push")
        descriptor = opened.program_fd("push")
    yield descriptor
    os.close(descriptor)


def seen_of(plan: Plan, vlan: int | None, flow: Flow, *, pushing: int | None) -> Outcome:
    """What becomes of frames with tag 5: a sender sees them leave, a balancer arrive."""
    address = SERVICE.servers[0].address if plan.role == "balancer" else PATH.routers[0].address
    node = Node(mac=FAR_MAC, macs={address: SERVER_MAC}, vlan=vlan)
    frame = frame_of(flow, source_mac=SERVER_MAC, destination_mac=FAR_MAC)
    if pushing is None:
        frame = frame[:12] + bytes.fromhex("81000005") + frame[12:]

    def body() -> Outcome:
        for line in filter(None, MADE.splitlines()):
            subprocess.run(line.split(), check=True)
        near, far = (netlink.interface(name).index for name in ("near", "far"))
        with ExitStack() as stack, kernel(plan, node) as running:

            def keep(link: int) -> None:
                stack.callback(os.close, link)

            if pushing is not None:
                keep(libbpf.attach_behind(pushing, near, libbpf.TCX_EGRESS))
            program = running.loaded.program_fd
            if plan.role == "balancer":
                keep(libbpf.attach(program, far, "generic"))
            else:
                keep(libbpf.attach_behind(program, near, libbpf.TCX_EGRESS))
            return _seen(running, frame)

    return netns.apart(body)


def _seen(running: Kernel, frame: bytes) -> Outcome:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sending:
        sending.bind(("near", 0))
        for _ in range(FRAMES):
            sending.send(frame)
    deadline_s = time.monotonic() + 5
    moved: Counter[Outcome] = Counter()
    while time.monotonic() < deadline_s:
        moved = Counter({one: count.packets for one, count in running.outcomes().items()})
        ours = [one for one in MEANT if moved[one] >= FRAMES]
        if ours:
            return ours[0]
        time.sleep(0.01)
    raise AssertionError(moved)


MEANT: Final = (Outcome.RETURNED, Outcome.FORWARDED, Outcome.OTHER_VLAN)


@pytest.mark.parametrize(
    ("vlan", "outcome"),
    [(5, Outcome.RETURNED), (6, Outcome.OTHER_VLAN), (None, Outcome.OTHER_VLAN)],
)
@pytest.mark.parametrize("beside", [False, True])
def test_a_sender_is_shown_the_tag_beside_the_frame(
    vlan: int | None,
    outcome: Outcome,
    beside: bool,  # noqa: FBT001
    pushing: int,
) -> None:
    config = Config(service=[SERVICE], return_path=[PATH])
    flow = Flow(VIP, 80, CLIENT, 4321, 6)
    plan = return_plan(config, [PATH])

    assert outcome == seen_of(plan, vlan, flow, pushing=pushing if beside else None)


@pytest.mark.parametrize(("vlan", "outcome"), [(5, Outcome.FORWARDED), (None, Outcome.OTHER_VLAN)])
def test_xdp_sees_the_tag_that_is_in_the_frame(vlan: int | None, outcome: Outcome) -> None:
    plan, flow = make_plan(Config(service=[SERVICE])), Flow(CLIENT, 4321, VIP, 80, 6)

    assert outcome == seen_of(plan, vlan, flow, pushing=None)


@pytest.mark.parametrize(("vlan", "outcome"), [(5, Outcome.OTHER_VLAN), (None, Outcome.FORWARDED)])
def test_xdp_does_not_see_a_tag_beside_the_frame(
    vlan: int | None, outcome: Outcome, pushing: int
) -> None:
    """Which limits.md says: the frame looks untagged."""
    plan, flow = make_plan(Config(service=[SERVICE])), Flow(CLIENT, 4321, VIP, 80, 6)

    assert outcome == seen_of(plan, vlan, flow, pushing=pushing)
