"""A cluster of routers and the way back through them make one choice, or there is a warning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from remainder.cli import group
from remainder.config import Config, Member, Router
from remainder.fleet import member_plan, return_plan
from remainder.flow import Flow
from remainder.lint.both_ways import Parting, partings
from tests.fleets import SUM3, cluster, fleet, return_path
from tests.strategies import flows

FLEET = Path(__file__).parents[2] / "golden" / "fleet.toml"


def members(*names: str, **weights: int) -> list[Member]:
    return [Member(name=name, interface="eth0", weight=weights.get(name, 1)) for name in names]


def routers(*names: str, **weights: int) -> list[Router]:
    return [
        Router(name=name, address=f"192.0.2.{number}", weight=weights.get(name, 1))
        for number, name in enumerate(names, 1)
    ]


def parted(in_: dict[str, object], back: dict[str, object]) -> list[Parting]:
    return partings(fleet(cluster=[cluster(**in_)], return_path=[return_path(**back)]))


@pytest.mark.parametrize(
    ("in_", "back", "differs"),
    [
        ({"key": "src_ip"}, {"key": "dst_ip"}, ["key ('src_ip' and 'dst_ip')"]),
        (
            {"key": "src_ip + dst_ip"},
            {"key": "hash(src_ip, dst_ip)"},
            ["key ('src_ip + dst_ip' and 'hash(src_ip, dst_ip)')"],
        ),
        ({"table": "maglev"}, {}, ["table ('maglev' and 'modulo')"]),
        (
            {"table": "maglev", "slots": 251},
            {"table": "maglev"},
            ["slots (251 and 65,537)"],
        ),
        (
            {"members": members("r1", "r2", "r3")},
            {"routers": routers("r1", "r2")},
            ["routers (r1 r2 r3 and r1 r2)"],
        ),
        (
            {"members": members("r1", "r2", r2=2)},
            {"routers": routers("r1", "r2")},
            ["routers (r1 r2*2 and r1 r2)"],
        ),
        (
            {"members": members("r1", "r2")},
            {"routers": routers("r2", "r1")},
            ["the order of the routers (r1 r2 and r2 r1)"],
        ),
        (
            {"key": "src_ip", "table": "maglev"},
            {"key": "dst_ip"},
            ["key ('src_ip' and 'dst_ip')", "table ('maglev' and 'modulo')"],
        ),
    ],
)
def test_a_difference_that_parts_the_ways_is_named_with_both_places(
    in_: dict[str, object], back: dict[str, object], differs: list[str]
) -> None:
    (found,) = parted(in_, back)

    assert tuple(differs) == found.differs
    assert "cluster 'routers' and return_path 'back'" in found.sentence


@pytest.mark.parametrize(
    ("in_", "back"),
    [
        ({}, {}),
        ({"key": "src_ip + dst_ip"}, {"key": "dst_ip + src_ip"}),
        ({"table": "maglev", "slots": 65_537}, {"table": "maglev"}),
        (
            {"table": "maglev", "members": members("r1", "r2")},
            {"table": "maglev", "routers": routers("r2", "r1")},
        ),
        (
            {"members": members("r1", "r2", r1=2, r2=2)},
            {"routers": routers("r1", "r2")},
        ),
        (
            {"members": members("r1", "r2", r2=0), "key": "src_ip"},
            {"routers": routers("r1"), "key": "dst_ip"},
        ),
    ],
)
def test_what_changes_no_choice_is_not_warned_of(
    in_: dict[str, object], back: dict[str, object]
) -> None:
    assert [] == parted(in_, back)


@pytest.mark.parametrize(
    ("in_", "back"),
    [
        ({"address": "203.0.113.20", "key": "src_ip"}, {"key": "dst_ip"}),
        ({"key": "src_ip"}, {"key": "dst_ip", "routers": routers("a", "b", "c")}),
    ],
)
def test_sections_of_other_routers_may_differ(
    in_: dict[str, object], back: dict[str, object]
) -> None:
    assert [] == parted(in_, back)


choices = st.fixed_dictionaries(
    {
        "key": st.sampled_from([SUM3, "src_ip", "dst_ip + src_ip", "hash(src_ip, src_port)"]),
        "table": st.sampled_from(["modulo", "maglev"]),
        "names": st.sampled_from([("r1", "r2"), ("r2", "r1"), ("r1", "r2", "r3"), ("r1",)]),
        "weight": st.sampled_from([1, 2]),
    }
)


def fleet_of(in_: dict[str, Any], back: dict[str, Any]) -> Config:
    one, other = (
        {
            "key": choice["key"],
            "table": choice["table"],
            "slots": 31 if choice["table"] == "maglev" else None,
        }
        for choice in (in_, back)
    )
    return fleet(
        cluster=[cluster(members=members(*in_["names"], r1=in_["weight"]), **one)],
        return_path=[
            return_path(routers=routers(*back["names"], r1=back["weight"]), others=True, **other)
        ],
    )


@given(choices, choices, st.lists(flows(), min_size=1, max_size=20))
def test_without_a_warning_both_ways_lead_through_the_same_router(
    in_: dict[str, Any], back: dict[str, Any], some: list[Flow]
) -> None:
    config = fleet_of(in_, back)
    kept, returned = member_plan(config, config.cluster), return_plan(config, config.return_path)
    agree = [kept.where(flow).owner == returned.where(flow).owner for flow in some]

    assert all(agree) or partings(config)


def test_check_warns_and_does_not_refuse(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    key = 'key     = "src_ip + src_port + dst_ip + dst_port + protocol"'
    path.write_text(FLEET.read_text().replace(key, 'key = "src_ip"'))
    told = CliRunner().invoke(group, ["check", "--no-host", str(path)])
    plain = CliRunner().invoke(group, ["check", "--no-host", str(path), "--json"])

    assert (0, 0) == (told.exit_code, plain.exit_code)
    (sentence,) = json.loads(plain.output)["warnings"]
    assert f"  warning: {sentence}\n" in told.output
    assert sentence.startswith("cluster 'routers' and return_path 'back' choose between the same")
