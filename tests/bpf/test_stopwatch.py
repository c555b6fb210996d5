"""The stopwatch: its driver restores packets, and its numbers are of the packets it says."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator

import pytest

from remainder.errors import HostError
from remainder.flow import Flow
from remainder.kernel import libbpf
from remainder_bench import stopwatch
from remainder_bench.cases import CLIENT_PORT, FIRST_VIP, PORT
from remainder_bench.packets import CLIENT, PACKETS, ack, template_of
from remainder_bench.stopwatch import EVERY_PACKET_NEW, Peers, Stopwatch, Watch
from tests.bpf.btf import Btf

pytestmark = pytest.mark.bpf

SHORT = 6
"""2**6 packets a chunk: enough to see that it works"""


@pytest.fixture(scope="module")
def watch() -> Iterator[Stopwatch]:
    with stopwatch.stopwatch() as running:
        yield running


@pytest.fixture(scope="module")
def peers() -> Iterator[Peers]:
    loaded = stopwatch.load_peers(sessions=1 << 16)
    yield loaded
    loaded.close()


def _flow(version: int, protocol: int = 6) -> Flow:
    return Flow(CLIENT[version], CLIENT_PORT, FIRST_VIP[version], PORT, protocol)


def test_the_watch_has_the_layout_of_the_kernel() -> None:
    with libbpf.opened(stopwatch.DRIVER) as opened:
        size, fields = Btf(opened.btf()).layout("watch")

    assert size == ctypes.sizeof(Watch)
    assert fields == [
        (name, getattr(Watch, name).offset, getattr(Watch, name).size)
        for name, *_ in Watch._fields_
    ]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", PACKETS)
def test_a_packet_comes_out_of_the_driver_as_it_was_made(
    watch: Stopwatch, peers: Peers, kind: str, version: int
) -> None:
    frame = PACKETS[kind](_flow(version, 17 if kind == "udp" else 6))

    assert ("tx", frame) == watch.one(peers.only_return, template_of(frame))


def test_every_run_sees_fresh_packets(watch: Stopwatch, peers: Peers) -> None:
    """``remember`` rewrites the destination MAC; the next packet has the old one again."""
    template = template_of(ack(_flow(4)))
    watch.run(peers.remember, template, flows=1, chunk_shift=SHORT)
    _, after = watch.one(peers.only_return, template)

    assert template.frame == after


def test_flows_are_as_many_as_said(watch: Stopwatch) -> None:
    """The table of sessions counts them: one for one flow, a new one for every packet."""
    template = template_of(ack(_flow(4)))
    for flows, expected in ((1, 1), (64, 64), (EVERY_PACKET_NEW, (32 << SHORT) + 1)):
        peers = stopwatch.load_peers(sessions=1 << 16)
        try:
            lap = watch.run(peers.remember, template, flows=flows, chunk_shift=SHORT)
            key = ctypes.create_string_buffer(peers.sessions.key_size)
            found, bpf = 0, libbpf.library()
            previous = None
            while bpf.bpf_map_get_next_key(peers.sessions.fd, previous, key) == 0:
                found, previous = found + 1, ctypes.create_string_buffer(key.raw, len(key))
        finally:
            peers.close()

        assert (32 << SHORT) + 1 == lap.packets
        assert expected == found


def test_time_is_more_for_a_program_that_does_more(watch: Stopwatch, peers: Peers) -> None:
    template = template_of(ack(_flow(4)))
    floor = watch.run(peers.only_return, template, flows=1)
    more = watch.run(peers.remember, template, flows=1)

    assert 0 < floor.ns < more.ns


def test_what_the_kernel_refuses_to_jump_to_cannot_be_measured(watch: Stopwatch) -> None:
    """Here, a descriptor that is no program at all."""
    template = template_of(ack(_flow(4)))
    with pytest.raises(HostError, match="cannot be benchmarked"):
        watch.run(0, template, flows=1)


def test_programs_with_and_without_several_buffers_are_measured_side_by_side(
    watch: Stopwatch, peers: Peers
) -> None:
    """The kernel lets a program jump to its own kind alone, so there are two drivers."""
    template = template_of(ack(_flow(4)))
    with libbpf.opened(stopwatch.PEERS) as opened:
        opened.load("remember")
        plain = opened.program_fd("only_return")
    try:
        told = [watch.one(program, template)[0] for program in (plain, peers.only_return, plain)]
    finally:
        os.close(plain)

    assert ["tx", "tx", "tx"] == told
