"""Many flows at once get the answers that each of them gets alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.answers import ENDS
from remainder.config import Config, Server, Service
from remainder.fleet import member_plan, return_plan
from remainder.flow import Flow
from remainder.flows import Flows, by_family
from remainder.plan import Plan, make_plan
from remainder_lab.patience import patient
from tests.fleets import cluster, fleet, return_path, service
from tests.strategies import configs, flows, flows_to

MANY = 10_000_000


def alone(plan: Plan, flow: Flow) -> dict[str, Any]:
    decision = plan.where(flow)
    owned = decision.owner is not None
    return {
        "end": "owned" if owned else decision.outcome,
        "choice": decision.choice,
        "key": decision.key,
        "slot": decision.slot,
        "owner": (decision.owner, decision.address) if owned else None,
    }


def together(plan: Plan, some: Sequence[Flow]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = [{} for _ in some]
    for numbers, columns in by_family(some):
        answers = plan.where_many(columns)
        for row, number in enumerate(numbers):
            chosen = int(answers.choice[row])
            planned = plan.choices[chosen] if chosen >= 0 else None
            owner = planned.owners[answers.owner[row]] if planned else None
            told[number] = {
                "end": ENDS[answers.end[row]],
                "choice": planned.name if planned else None,
                "key": answers.key(row),
                "slot": int(answers.slot[row]) if planned else None,
                "owner": (owner.name, owner.address) if owner else None,
            }
    return told


@given(st.data())
def test_many_flows_are_answered_like_each_of_them(data: st.DataObject) -> None:
    plan = make_plan(data.draw(configs()))
    some = data.draw(st.lists(flows_to(plan) | flows(), min_size=1, max_size=60))

    assert [alone(plan, flow) for flow in some] == together(plan, some)


@given(st.lists(flows(), min_size=1, max_size=60), st.sampled_from(["src_ip", "hash(src_ip)"]))
def test_members_and_senders_answer_many_flows_alike(some: list[Flow], key: str) -> None:
    config = fleet(
        service=[service(key=key)],
        cluster=[cluster(key=key), cluster(name="one", address="2001:db8::10", key="dst_port")],
        return_path=[return_path(key=key, others=True)],
        secret="0f" * 16,
    )
    for plan in (
        member_plan(config, config.cluster, node="r1"),
        return_plan(config, config.return_path),
    ):
        assert [alone(plan, flow) for flow in some] == together(plan, some)


def test_two_vips_whose_words_add_up_alike_are_told_apart() -> None:
    """The mixed words of the first two are equal unless the factor is changed for them."""
    factor = 0x9E37_79B9_7F4A_7C15
    low = int.from_bytes((1).to_bytes(8, "big"), "little")
    vips = [bytes(8) + low.to_bytes(8, "little"), bytes(8) + low.to_bytes(8, "little")]
    vips[0] = (0x20010DB8).to_bytes(4, "big") + bytes(4) + (1).to_bytes(8, "big")
    first, second = (int.from_bytes(vips[0][at : at + 8], "little") for at in (0, 8))
    other = first + (1 << 56)  # the last byte of the first half
    vips[1] = other.to_bytes(8, "little") + ((second - (1 << 56) * factor) % 2**64).to_bytes(
        8, "little"
    )
    services = [
        Service(
            name=f"s{number}", vip=str(_address(vip)), port=80, protocol="tcp", key="src_ip",
            table="modulo", servers=[Server(name="a", address="2001:db8:1::1")],
        )
        for number, vip in enumerate(vips)
    ]  # fmt: skip
    plan = make_plan(Config(service=services))
    some = [Flow("2001:db8::7", 1, one.vip, 80, 6) for one in services]

    assert ["s0", "s1"] == [answer["choice"] for answer in together(plan, some)]


def _address(packed: bytes) -> Any:
    from ipaddress import IPv6Address  # noqa: PLC0415

    return IPv6Address(packed)


@pytest.mark.parametrize("vip", ["203.0.113.10", "2001:db8::10"])
@pytest.mark.parametrize(
    ("key", "limit_s"),
    [
        ("src_ip + src_port + dst_ip + dst_port + protocol", 5),
        ("hash(src_ip, src_port, dst_ip, dst_port, protocol)", 10),
    ],
)
@pytest.mark.slow
def test_ten_million_flows_are_answered_in_seconds(vip: str, key: str, limit_s: float) -> None:
    """Measured in processor time: 1 to 2 s."""
    own = "192.0.2.{}" if "." in vip else "2001:db8:1::{}"
    config = Config(
        service=[
            service(
                name=f"p{port}", vip=vip, port=port, key=key, table="maglev",
                servers=[Server(name=f"s{n}", address=own.format(n)) for n in range(11, 61)],
            )
            for port in (80, 443)
        ],
        secret="5c" * 16,
    )  # fmt: skip
    plan, chance = make_plan(config), np.random.default_rng(1)
    packed = np.frombuffer(config.service[0].vip.packed, dtype=np.uint8)
    ports = np.array([80, 443], dtype=np.uint16)
    many = Flows(
        chance.integers(0, 2**32, MANY, dtype=np.uint32)
        if "." in vip
        else chance.integers(0, 256, (MANY, 16), dtype=np.uint8),
        chance.integers(0, 65_536, MANY, dtype=np.uint16),
        np.full(MANY, int(config.service[0].vip), dtype=np.uint32)
        if "." in vip
        else np.broadcast_to(packed, (MANY, 16)),
        ports[chance.integers(0, 2, MANY)],
        np.full(MANY, 6, dtype=np.uint8),
    )
    started_s = time.process_time()
    answers = plan.where_many(many)
    took_s = time.process_time() - started_s

    assert took_s < patient(limit_s)
    for row in range(0, MANY, MANY // 97):
        decision = plan.where(many.flow(row))
        owner = plan.choices[answers.choice[row]].owners[answers.owner[row]].name
        assert (decision.key, decision.slot, decision.owner) == (
            answers.key(row),
            answers.slot[row],
            owner,
        )
