"""Given sessions: the counts are those of asking the calculation about each of them."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from remainder.change.flow_lists import seen
from remainder.change.outlook import outlook
from remainder.change.sessions import Counted
from remainder.config import Config, Member
from remainder.flow import Flow, parse_flow
from remainder.plan import make_plan
from tests.fleets import cluster, fleet
from tests.unit.change.pairs import earlier, file, flows_of, pairs, server

FOUR = tuple(map(server, range(11, 15)))


def lives(old: Config, new: Config, flow: Flow) -> bool:
    """Whether a session of a service survives, by the way that its packets take."""
    was = make_plan(old).where(flow).owner
    plan = make_plan(new)
    planned = plan.find(flow.dst_ip, flow.dst_port, flow.protocol)
    assert planned is not None
    for owner in planned.way(flow, plan.secret):
        if owner.name == was:
            return True
        nodes = {one.name for one in new.service[0].servers if one.interface}
        nodes |= {
            one.name for item in new.service[0].before for one in item.servers if one.interface
        }
        if flow.protocol != 6 or owner.name not in nodes:
            return False
    return False


@given(pairs(), st.data())
def test_sessions_are_counted_like_one_by_one(
    pair: tuple[Config, Config], data: st.DataObject
) -> None:
    old, new = pair
    flows = Counter(data.draw(flows_of(old)))
    found = outlook(old, new, seen(dict(flows))).sessions
    one, other = make_plan(old), make_plan(new)
    moved = [flow for flow in flows if one.where(flow).owner != other.where(flow).owner]
    broken = [flow for flow in flows if not lives(old, new, flow)]
    load: dict[str, list[int]] = {}
    for flow, count in flows.items():
        for side, plan in enumerate((one, other)):
            load.setdefault(str(plan.where(flow).owner), [0, 0])[side] += count

    assert found is not None
    assert flows.total() == found.seen
    (counted,) = found.by_choice.values()
    assert (
        Counted(
            sessions=flows.total(),
            moved=sum(flows[flow] for flow in moved),
            broken=sum(flows[flow] for flow in moved),
            broken_with_chance=sum(flows[flow] for flow in broken),
            load={owner: (before, after) for owner, (before, after) in load.items()},
        )
        == counted
    )


def test_a_flow_to_nobody_is_no_session() -> None:
    flows = {
        parse_flow("198.51.100.7:1", "203.0.113.10:81"): 3,
        parse_flow("198.51.100.7:1", "203.0.113.99:80"): 4,
    }
    found = outlook(file(*FOUR), file(*FOUR), seen(flows)).sessions

    assert found is not None
    assert (7, 0) == (found.seen, found.total.sessions)


def test_sessions_of_a_service_that_goes_break() -> None:
    flows = {parse_flow("198.51.100.7:1", "203.0.113.10:80"): 2}
    found = outlook(
        file(*FOUR), file(*FOUR, name="other", port=81, before=[earlier(*FOUR)]), seen(flows)
    ).sessions

    assert found is not None
    assert {("service", "web"): (2, 2, 2)} == {
        place: (one.sessions, one.moved, one.broken_with_chance)
        for place, one in found.by_choice.items()
    }


def test_sessions_of_members_that_move_break() -> None:
    address = "203.0.113.20"

    def config(names: str) -> Config:
        members = [Member(name=name, interface="eth0") for name in names]
        return fleet(
            service=[], return_path=[],
            cluster=[cluster(name="c", address=address, members=members)],
        )  # fmt: skip

    flows = {parse_flow(f"198.51.100.{n}:1", f"{address}:80"): 1 for n in range(60)}
    more = outlook(config("abc"), config("abcd"), seen(flows)).sessions

    assert more is not None
    assert (45, 45) == (more.total.moved, more.total.broken_with_chance)
