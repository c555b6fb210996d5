"""Publishing is one write: no packet sees a mixture, and nothing grows."""

from __future__ import annotations

import dataclasses
import random
import re
import threading
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from remainder.config import Config, Server, Service
from remainder.flow import Address, Flow
from remainder.kernel import counters, dataplane, image
from remainder.kernel import tables as running_tables
from remainder.kernel.abi import Feature
from remainder.kernel.bpf_changes import fill, move_counters
from remainder.kernel.counters import Count
from remainder.kernel.libbpf import Map
from remainder.kernel.oracle import CLIENT_MAC, OWN_MAC, made_up_macs
from remainder.kernel.plane import Wish
from remainder.outcome import Outcome
from remainder.plan import Plan, make_plan
from remainder.reference import Node
from remainder.reference.frame import frame_of
from remainder_lab.patience import patient
from tests.bpf.kernel import kernel

pytestmark = pytest.mark.bpf

VIP = IPv4Address("203.0.113.10")
FRAMES = 30_000


def _reached(plan: Plan, flow: Flow) -> Address:
    """Where a flow of the plan is sent."""
    address = plan.where(flow).address
    assert address is not None
    return address


def _config(key: str, table: str, first: int, servers: int) -> Config:
    return Config(
        secret="00" * 16,
        service=[
            Service(
                name="web", vip=str(VIP), port=80, protocol="tcp", key=key, table=table,
                servers=[
                    Server(name=f"s{number}", address=f"192.0.2.{number}")
                    for number in range(first, first + servers)
                ],
            )
        ],
    )  # fmt: skip


def _plan(key: str, table: str, first: int, servers: int) -> Plan:
    return make_plan(_config(key, table, first, servers))


def _flows(count: int) -> list[Flow]:
    random_ = random.Random(count)
    return [
        Flow(IPv4Address(random_.getrandbits(32)), random_.randrange(65536), VIP, 80, 6)
        for _ in range(count)
    ]


def test_no_packet_sees_a_mixture_of_two_plans() -> None:
    """While two plans with nothing in common take turns, every packet gets the answer of one."""
    one = _plan("src_ip + dst_ip", "modulo", 10, 7)
    other = _plan("hash(src_ip, src_port)", "maglev", 100, 13)
    both = made_up_macs(one) | {
        address: b"\x02\x02" + mac[2:] for address, mac in made_up_macs(other).items()
    }
    capacity = image.capacity_for(other)
    loaded = dataplane.load(capacity, image.features_of(one) | image.features_of(other))
    tables = loaded.tables()
    tables.set_own_mac(OWN_MAC)
    images = []
    for plan in (one, other):
        numbers, _ = image.allocate_counters(plan, {})
        images.append(image.image_of(plan, capacity, counters=numbers, macs=both))
    tables.publish(images[0])
    stop = threading.Event()
    publications = 0

    def publish() -> None:
        nonlocal publications
        while not stop.is_set():
            publications += 1
            tables.publish(images[publications % 2])

    cases = [
        (
            frame_of(flow, source_mac=CLIENT_MAC, destination_mac=OWN_MAC),
            {both[_reached(plan, flow)] for plan in (one, other)},
        )
        for flow in _flows(500)
    ]
    publisher = threading.Thread(target=publish)
    publisher.start()
    seen: set[bytes] = set()
    try:
        number = 0
        deadline_s = time.monotonic() + patient(60)
        while (number < FRAMES or publications <= 10) and time.monotonic() < deadline_s:
            number += 1
            frame, answers = cases[number % len(cases)]
            verdict, sent = loaded.run(frame)

            assert verdict == 3
            assert sent[:6] in answers
            seen.add(sent[:6])
    finally:
        stop.set()
        publisher.join()
        loaded.close()

    assert publications > 10
    assert set(both.values()) == seen


def _other(number: int) -> Plan:
    """Plans with nothing in common: servers, table, key and secret are each another."""
    service = Service(
        name="web", vip=str(VIP), port=80, protocol="tcp",
        key="hash(src_ip, src_port)" if number % 2 else "src_ip + src_port",
        table="maglev" if number > 1 else "modulo",
        slots=[None, None, 31, 37][number],
        servers=[
            Server(name=f"s{number}-{one}", address=f"192.0.2.{20 * number + one}")
            for one in range(1, 6)
        ],
    )  # fmt: skip
    more = [replace(service, name=f"port-{port}", port=port) for port in range(81, 81 + 9 * number)]
    return make_plan(Config(secret=f"{number:02x}" * 16, service=[service, *more]))


def test_the_old_plan_answers_until_the_new_one_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after each table is filled the old plan answers; behind publish, the new one."""
    plans = [_other(number) for number in range(4)]
    macs = {address: mac for plan in plans for address, mac in made_up_macs(plan).items()}
    macs = {address: b"\x02\x03" + address.packed for address in macs}
    capacity = image.capacity_for(plans[3])
    features = image.features_of(plans[0]) | image.features_of(plans[1])
    loaded = dataplane.load(capacity, features)
    tables = loaded.tables()
    tables.set_own_mac(OWN_MAC)
    flows = _flows(60)
    frames = [frame_of(flow, source_mac=CLIENT_MAC, destination_mac=OWN_MAC) for flow in flows]
    current: list[Plan] = []
    asked = 0

    def agree() -> None:
        nonlocal asked
        for plan in current:
            for flow, frame in zip(flows, frames, strict=True):
                asked += 1
                address = _reached(plan, flow)
                assert macs[address] == loaded.run(frame)[1][:6]

    write = running_tables._write

    def watched(*arguments: Any) -> None:
        agree()
        write(*arguments)
        agree()

    monkeypatch.setattr(running_tables, "_write", watched)
    numbers: dict[tuple[str, str], int] = {}
    for round_ in range(8):
        plan = plans[round_ % 4]
        numbers, _ = image.allocate_counters(plan, numbers)
        tables.publish(image.image_of(plan, capacity, counters=numbers, macs=macs))
        current[:] = [plan]
        agree()
    loaded.close()

    assert asked > 3000


def test_a_half_is_not_filled_while_packets_may_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """``publish`` returns at once, and the next one waits for who read the half before it."""
    left = threading.Event()
    monkeypatch.setattr(running_tables, "wait_for_packets_in_flight", lambda: left.wait(60))
    plan = _plan("src_ip", "modulo", 10, 2)
    capacity = image.capacity_for(plan)
    numbers, _ = image.allocate_counters(plan, {})
    made = image.image_of(plan, capacity, counters=numbers, macs={})
    loaded = dataplane.load(capacity, image.features_of(plan))
    for again in (loaded, dataclasses.replace(loaded, found=True)):
        left.clear()
        tables = again.tables()
        half = tables.half
        if not again.found:
            tables.publish(made)
            half = tables.half
        publisher = threading.Thread(target=tables.publish, args=(made,))
        publisher.start()
        publisher.join(0.2)
        waited = publisher.is_alive() and tables.half == half
        left.set()
        publisher.join()

        assert waited
        assert tables.half == 1 - half
    loaded.close()


def test_where_the_kernel_does_not_wait_for_packets_the_clock_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With CPUs without a tick (nohz_full) membarrier is refused."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    running_tables.wait_for_packets_in_flight()

    assert [] == slept

    monkeypatch.setattr(running_tables, "_MEMBARRIER_CMD_GLOBAL", 1 << 20)
    running_tables.wait_for_packets_in_flight()

    assert [running_tables._LONGER_THAN_A_PACKET_S] == slept


def test_a_new_mac_is_used_at_once_and_by_every_service_of_the_server() -> None:
    """A neighbour moved: nothing is published, the next packet goes there, in every service."""
    two = [
        replace(service, name=f"web-{port}", port=port)
        for service in _config("src_ip", "modulo", 10, 1).service
        for port in (80, 81)
    ]
    plan = make_plan(Config(service=two))
    first, second = make_plan(Config(service=two[::-1])), plan
    server = IPv4Address("192.0.2.10")
    flow = _flows(1)[0]
    frames = [
        frame_of(
            Flow(flow.src_ip, flow.src_port, VIP, port, 6),
            source_mac=CLIENT_MAC,
            destination_mac=OWN_MAC,
        )
        for port in (80, 81)
    ]
    with kernel(first, Node(mac=OWN_MAC, macs={})) as running:
        for published in (first, second):
            running.tables.publish(
                image.image_of(
                    published, running.loaded.capacity, counters=running.numbers, macs={}
                )
            )
            unresolved = [running.process(frame).outcome for frame in frames]
            running.tables.set_mac(server, b"\x02\xaa\xaa\xaa\xaa\xaa")
            resolved = [(running.process(frame).frame or b"")[:6] for frame in frames]
            running.tables.set_mac(server, b"\x02\xbb\xbb\xbb\xbb\xbb")
            moved = [(running.process(frame).frame or b"")[:6] for frame in frames]

            assert [Outcome.UNRESOLVED] * 2 == unresolved
            assert [b"\x02\xaa\xaa\xaa\xaa\xaa"] * 2 == resolved
            assert [b"\x02\xbb\xbb\xbb\xbb\xbb"] * 2 == moved


def test_a_packet_reads_once_which_half_is_current() -> None:
    """Law 4 in the source: a second look could see another half; no race test would hit it."""
    sources = {
        path.name: re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        for path in dataplane.BPF.glob("*.[ch]")
    }
    looks = {name: len(re.findall(r"live\.half", text)) for name, text in sources.items()}
    finds = {name: len(re.findall(r"= current_tables\(", text)) for name, text in sources.items()}

    assert {"maps.h": 1} == {name: count for name, count in looks.items() if count}
    # Who asks for a shared address is no packet of a session, nor is what goes to another MAC
    # of this machine: neighbour.h and own.h look for themselves.  A server's whole way is found
    # in a function of its own, which is given no pointers: its one look is that of way.h.
    assert {
        "flow.h": 1, "neighbour.h": 1, "own.h": 1, "way.h": 1
    } == {name: count for name, count in finds.items() if count}  # fmt: skip


def test_a_slot_of_nobody_is_an_outcome_of_its_own() -> None:
    """A broken table drops and says so; it never sends to somebody by chance."""
    plan = _plan("src_ip", "modulo", 10, 2)
    frame = frame_of(_flows(1)[0], source_mac=CLIENT_MAC, destination_mac=OWN_MAC)
    with kernel(plan, Node(mac=OWN_MAC, macs=made_up_macs(plan))) as running:
        for half in running.tables._halves:
            half.slots[:] = 0xFFFF
        nobody = running.process(frame)

    assert Outcome.NO_OWNER is nobody.outcome


def test_maps_hold_no_trace_of_the_flows_that_passed() -> None:
    """100,000 flows later only counters differ: there is nothing else that could be written."""
    plan = _plan("hash(src_ip, src_port)", "maglev", 10, 5)
    with kernel(plan, Node(mac=OWN_MAC, macs=made_up_macs(plan))) as running:
        maps = running.loaded.maps
        before = {name: _content(maps[name]) for name in maps if name not in COUNTERS}
        memory = {name: _memory(maps[name].fd) for name in maps}
        for flow in _flows(100_000):
            running.loaded.run(frame_of(flow, source_mac=CLIENT_MAC, destination_mac=OWN_MAC))
        after = {name: _content(maps[name]) for name in maps if name not in COUNTERS}
        forwarded = running.outcomes()[Outcome.FORWARDED].packets

        assert 100_000 == forwarded
        assert forwarded == sum(count.packets for count in running.sent().values())
        assert before == after
        assert memory == {name: _memory(maps[name].fd) for name in maps}


COUNTERS = {"outcomes", "servers"}


def _content(kernel_map: Map) -> bytes:
    return b"".join(kernel_map.lookup(at) for at in range(kernel_map.max_entries))


def _memory(fd: int) -> int:
    """Bytes that the kernel charges for a map."""
    lines = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("memlock"))


def test_a_larger_program_takes_the_counters_over() -> None:
    """Replacing a program with another of other features keeps what was counted."""
    plan = _plan("src_ip", "modulo", 10, 2)
    frame = frame_of(_flows(1)[0], source_mac=CLIENT_MAC, destination_mac=OWN_MAC)
    with kernel(plan, Node(mac=OWN_MAC, macs=made_up_macs(plan))) as running:
        running.process(frame)
        old = running.loaded
        new = dataplane.load(
            old.capacity,
            old.features | Feature.HASH,
            counters={name: old.maps[name] for name in COUNTERS},
        )
        before = counters.outcomes(new.maps)
        new.close()

    assert 1 == before[Outcome.FORWARDED].packets


def test_who_stays_keeps_its_count_in_maps_of_another_size() -> None:
    """Also where its old number is beyond the end of the new map."""
    many, few = _plan("src_ip", "modulo", 1, 250), _plan("src_ip", "modulo", 249, 4)
    large = dataclasses.replace(image.capacity_for(many), counters=4096)
    old = dataplane.load(large, image.features_of(many))
    new = dataplane.load(image.capacity_for(few), image.features_of(few))
    numbers = {name: 3800 + at for at, name in enumerate(image.allocate_counters(many, {})[0])}
    kept = Count(packets=7, bytes=420)
    counters.write(old.maps["servers"], numbers["web", "s250"], kept)
    stay = move_counters(few, numbers, old, new)
    numbers, fresh = image.allocate_counters(few, stay)

    assert {("web", "s249"), ("web", "s250")} == set(stay)
    assert kept == counters.read(new.maps["servers"], numbers["web", "s250"])
    assert numbers["web", "s250"] not in fresh
    for loaded in (old, new):
        loaded.close()


def test_a_server_that_comes_counts_from_its_first_packet() -> None:
    """Its counter is at zero before the plan is current, and no other plan counts there."""
    first, second = _plan("src_ip", "modulo", 10, 2), _plan("src_ip", "modulo", 20, 2)
    frame = frame_of(_flows(1)[0], source_mac=CLIENT_MAC, destination_mac=OWN_MAC)
    capacity = image.capacity_for(first)
    loaded = dataplane.load(capacity, image.features_of(first))
    tables = loaded.tables()
    tables.set_own_mac(OWN_MAC)
    interface: Any = None  # tables do not depend on it
    macs = made_up_macs(first) | made_up_macs(second)
    numbers: dict[tuple[str, str], int] = {}
    for at in range(capacity.counters):
        counters.write(loaded.maps["servers"], at, Count(packets=99))
    for plan in (first, second, first, second):
        before = numbers
        wish = Wish(node="n", plan=plan, interface=interface, mode="auto", macs=macs)
        numbers = fill(tables, loaded, wish, before)
        tables.flip()
        loaded.run(frame)

        assert not set(before.values()) & set(numbers.values())
        assert [0, 1] == sorted(
            count.packets for count in counters.servers(loaded.maps, numbers).values()
        )
    loaded.close()
