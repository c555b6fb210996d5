"""All members of a cluster see the same frame, and exactly one keeps it (claims 28-30, 34-43)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import pytest
from hypothesis import given, settings

from remainder.config import Cluster, Config, Member
from remainder.fleet import member_plan
from remainder.flow import Flow
from remainder.outcome import Outcome
from remainder.plan import Plan
from remainder.reference import Node, process
from remainder.reference.frame import frame_of
from tests import recipes
from tests.bpf.kernel import Kernel, kernel
from tests.roles import member_cases
from tests.strategies import Case

SUM3: Final = "src_ip + dst_ip + dst_port"
SUM5: Final = "src_ip + src_port + dst_ip + dst_port + protocol"
HASH: Final = "hash(src_ip, src_port, dst_ip, dst_port, protocol)"
CLUSTER_MAC: Final = bytes.fromhex("03005e524d44")
ROUTER_MAC: Final = bytes.fromhex("0200000000fe")
SHARED: Final = ("203.0.113.20", "2001:db8:113::20")
SECRET: Final = "000102030405060708090a0b0c0d0e0f"
MOST: Final = 64
DROP, PASS, TX = 1, 2, 3


def config_of(members: int, key: str, table: str, *addresses: str) -> Config:
    """Clusters of the same members, with weights 1, 2, 3, 1, … where there are many."""
    weights = [1 + number % 3 if members > 4 else 1 for number in range(members)]
    return Config(
        secret=SECRET,
        cluster=[
            Cluster(
                name=f"c{number}",
                address=address,
                key=key,
                table=table,
                members=[
                    Member(name=f"m{index}", interface="eth0", weight=weight)
                    for index, weight in enumerate(weights)
                ],
            )
            for number, address in enumerate(addresses)
        ],
    )


def plans_of(config: Config) -> dict[str, Plan]:
    """Member → what it calculates."""
    names = {member.name for cluster in config.cluster for member in cluster.members}
    return {name: member_plan(config, config.cluster, node=name) for name in sorted(names)}


def node_of(number: int) -> Node:
    return Node(
        mac=bytes.fromhex("020000000a00")[:-1] + bytes([number]), macs={}, cluster_mac=CLUSTER_MAC
    )


@contextmanager
def all_members(config: Config) -> Iterator[list[Kernel]]:
    """The real program of every member."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(kernel(plan, node_of(number)))
            for number, plan in enumerate(plans_of(config).values())
        ]


def random_flow(random_: random.Random, destination: str | None = None) -> Flow:
    """Any source, any ports; to an address, or to anywhere."""
    version = ip_address(destination).version if destination else random_.choice([4, 6])
    kind, bits = (IPv4Address, 32) if version == 4 else (IPv6Address, 128)
    target = ip_address(destination) if destination else kind(random_.getrandbits(bits))
    return Flow(
        kind(random_.getrandbits(bits)),
        random_.randrange(65536),
        target,
        random_.randrange(1, 65536),
        random_.choice([6, 17, 132]),
    )


@settings(max_examples=150)
@given(case=member_cases())
def test_exactly_one_member_of_any_cluster_keeps_a_frame(case: Case) -> None:
    """Whatever the file and the frame: kept once, left by every other member of that cluster."""
    plans = plans_of(case.config)
    for frame in case.frames[:20]:
        results = {name: process(plan, case.node, frame) for name, plan in plans.items()}
        outcomes = Counter(result.outcome for result in results.values())
        if not outcomes.keys() & {Outcome.KEPT, Outcome.LEFT}:
            assert len(outcomes) == 1
            continue
        (service,) = {result.choice for result in results.values()}
        (owner,) = {result.owner for result in results.values()}
        members = {
            member.name
            for cluster in case.config.cluster
            if service in (cluster.name, f"{cluster.name}/ipv4", f"{cluster.name}/ipv6")
            for member in cluster.members
        }

        assert {Outcome.KEPT: 1, Outcome.LEFT: len(plans) - 1} == {
            outcome: outcomes[outcome] for outcome in (Outcome.KEPT, Outcome.LEFT)
        }
        assert owner in members
        assert results[owner].outcome == Outcome.KEPT


@pytest.mark.bpf
@pytest.mark.parametrize(
    ("members", "key", "table"),
    [
        (2, SUM3, "modulo"),
        (3, SUM5, "modulo"),
        (7, HASH, "maglev"),
        (MOST, SUM3, "modulo"),
        (MOST, HASH, "maglev"),
    ],
)
def test_of_all_real_members_exactly_one_keeps_each_frame(
    members: int, key: str, table: str
) -> None:
    """2 to 64 members with weights, broken frames, fragments and quoted sessions among them."""
    config = config_of(members, key, table, *SHARED)
    plan = member_plan(config, config.cluster)
    random_ = random.Random(f"{members}{key}")
    aims = recipes.aims_of(plan)
    frames = [
        recipes.frame(random_.randbytes(recipes.RECIPE_BYTES), aims, CLUSTER_MAC)
        for _ in range(200)
    ]
    with all_members(config) as running:
        kept = left = 0
        for frame in frames:
            said = [one.loaded.run(frame) for one in running]
            expected = [
                process(one.plan, node_of(number), frame) for number, one in enumerate(running)
            ]

            assert [result.frame or frame for result in expected] == [new for _, new in said]
            keepers = [result for result in expected if result.outcome == Outcome.KEPT]
            if keepers:
                assert [DROP] * (members - 1) + [PASS] == sorted(verdict for verdict, _ in said)
                kept += len(keepers)
                left += members - 1
        totals = Counter[Outcome]()
        for one in running:
            totals.update({outcome: count.packets for outcome, count in one.outcomes().items()})

    assert kept > 50
    assert (kept, left) == (totals[Outcome.KEPT], totals[Outcome.LEFT])
    assert len(frames) * members == totals.total()


@pytest.mark.bpf
@pytest.mark.parametrize("members", [1, 3, 64])
def test_the_member_is_the_remainder(members: int) -> None:
    """Claims 29 and 41: member number (source + destination + destination port) % N keeps it."""
    config = equal_weights(config_of(members, SUM3, "modulo", *SHARED))
    random_ = random.Random(members)
    names = [member.name for member in config.cluster[0].members]
    order = sorted(names)
    with all_members(config) as running:
        for number in range(100):
            flow = random_flow(random_, SHARED[number % 2])
            frame = frame_of(flow, source_mac=ROUTER_MAC, destination_mac=CLUSTER_MAC)
            keepers = [
                name
                for name, one in zip(order, running, strict=True)
                if one.loaded.run(frame)[0] == PASS
            ]
            total = int(flow.src_ip) + int(flow.dst_ip) + flow.dst_port

            assert [names[total % members]] == keepers


def equal_weights(config: Config) -> Config:
    return Config(
        secret=config.secret,
        cluster=[
            Cluster(
                name=cluster.name,
                address=cluster.address,
                key=cluster.key,
                table=cluster.table,
                members=[Member(name=member.name, interface="eth0") for member in cluster.members],
            )
            for cluster in config.cluster
        ],
    )


@pytest.mark.bpf
def test_packets_through_the_cluster_are_kept_by_one_router() -> None:
    """Transparent: to whatever address behind it, both families, with its own MAC and no more."""
    config = config_of(4, SUM5, "maglev", "any")
    plan = member_plan(config, config.cluster)
    random_ = random.Random(28)
    kept = Counter[str]()
    with all_members(config) as running:
        for _ in range(300):
            flow = random_flow(random_)
            frame = frame_of(flow, source_mac=ROUTER_MAC, destination_mac=CLUSTER_MAC)
            said = [one.loaded.run(frame) for one in running]
            (keeper,) = [number for number, (verdict, _) in enumerate(said) if verdict == PASS]

            assert said[keeper][1] == node_of(keeper).mac + frame[6:]
            assert plan.where(flow).owner == f"m{keeper}"
            kept[f"m{keeper}"] += 1

    assert len(kept) == 4


@pytest.mark.bpf
def test_what_is_to_a_members_own_mac_is_never_selected() -> None:
    """A cluster with ``any`` leaves the member reachable, and answers ARP for nothing."""
    config = config_of(3, SUM5, "maglev", "any")
    random_ = random.Random(34)
    question = bytes.fromhex(
        "ffffffffffff 0200000000fe 0806 0001 0800 06 04 0001"
        "0200000000fe c0000201 000000000000 cb007114"
    )
    with all_members(config) as running:
        for number, one in enumerate(running):
            flow = random_flow(random_)
            own = frame_of(flow, source_mac=ROUTER_MAC, destination_mac=node_of(number).mac)

            assert one.loaded.run(own) == (PASS, own)
            assert one.loaded.run(question.ljust(60, b"\0"))[0] == PASS
            assert one.outcomes()[Outcome.OTHER_MAC].packets == 2


@pytest.mark.bpf
def test_a_more_special_cluster_wins_over_any() -> None:
    """The members may share an address and route what is not for it, each by its own rule."""
    config = Config(
        cluster=[
            config_of(2, SUM3, "modulo", SHARED[0]).cluster[0],
            Cluster(
                name="through",
                address="any",
                key="dst_ip",
                table="modulo",
                members=[Member(name=name, interface="eth0") for name in ("m1", "m0")],
            ),
        ]
    )
    with all_members(config) as running:
        for target, keeper in ((SHARED[0], "m0"), ("192.0.2.100", "m1")):
            flow = Flow(ip_address("198.51.100.8"), 5, ip_address(target), 0x8000, 6)
            frame = frame_of(flow, source_mac=ROUTER_MAC, destination_mac=CLUSTER_MAC)
            verdicts = [one.loaded.run(frame)[0] for one in running]

            assert keeper == ("m0", "m1")[verdicts.index(PASS)]
            assert sorted(verdicts) == [DROP, PASS]


@pytest.mark.parametrize("members", [3, 10, 64])
def test_a_stable_table_moves_little_more_than_the_leavers_share(members: int) -> None:
    """Maglev: the leaver's slots, and a few per cent of the others'; modulo: nearly all."""
    moved = {
        table: share_moved(config_of_equal(members, table), config_of_equal(members - 1, table))
        for table in ("maglev", "modulo")
    }
    print(f"{members} to {members - 1} members: {moved}")

    assert 1 / members - 0.02 < moved["maglev"] < 1 / members + 0.05
    assert abs(moved["modulo"] - (1 - 1 / members)) < 0.03


def config_of_equal(members: int, table: str) -> Config:
    return equal_weights(config_of(members, SUM5, table, SHARED[0]))


def share_moved(before: Config, after: Config) -> float:
    """Of 5,000 random flows."""
    random_ = random.Random(14)
    flows: Sequence[Flow] = [random_flow(random_, SHARED[0]) for _ in range(5_000)]
    plans = [member_plan(config, config.cluster) for config in (before, after)]
    return sum(plans[0].where(flow).owner != plans[1].where(flow).owner for flow in flows) / 5_000


@pytest.mark.parametrize("table", ["maglev", "modulo"])
def test_a_member_of_weight_zero_may_be_taken_out_and_nothing_moves(table: str) -> None:
    """So a member can be emptied first, and stopped when its last session has ended."""
    members = [Member(name=name, interface="eth0") for name in ("m1", "m2", "m4")]
    empty = Member(name="m3", interface="eth0", weight=0)
    without, emptied = (
        Config(cluster=[Cluster(name="c", address=SHARED[0], key=SUM5, table=table, members=those)])
        for those in (members, [*members[:2], empty, *members[2:]])
    )

    assert share_moved(emptied, without) == 0


UNSPECIFIED: Final = {
    "an ARP request": "ffffffffffff 02000000b001 0806 0001 0800 0604 0001 02000000b001 c0000263"
    " 000000000000 00000000",
    "a neighbour solicitation": "3333ff000000 02000000b001 86dd 6000000000203aff"
    " 20010db8000000000000000000000063 ff0200000000000000000001ff000000"
    " 8700 1234 00000000 00000000000000000000000000000000 0101 02000000b001",
    "an error that quotes another's packet": "03005e524d44 020000000b00 0800"
    " 4500003800004000 4001 0000 c6336407 00000000"
    " 0303 0000 00000000 4500001c00004000 4011 0000 c0000201 c6336407 0035 1000 0008 0000",
}
"""what is about 0.0.0.0 → a frame"""


@pytest.mark.parametrize("about", UNSPECIFIED)
def test_a_cluster_for_any_address_is_not_that_of_the_unspecified_one(about: str) -> None:
    """A table writes "any" as 0.0.0.0 and ::, which nobody may ask for."""
    frame = bytes.fromhex(UNSPECIFIED[about])
    plan = plans_of(config_of(2, SUM3, "modulo", "any"))["m0"]
    node = Node(mac=ROUTER_MAC, macs={}, cluster_mac=CLUSTER_MAC)
    with kernel(plan, node) as running:
        expected, actual = process(plan, node, frame), running.process(frame)

    assert (expected.outcome, expected.frame) == (actual.outcome, actual.frame)
    assert actual.outcome in (Outcome.OTHER_MAC, Outcome.NOT_VIP)
