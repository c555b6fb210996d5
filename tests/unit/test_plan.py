"""From the file to the answer: the most specific service, the numbers, and the fingerprint."""

from __future__ import annotations

import random
from dataclasses import replace as replace_key
from ipaddress import ip_address

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from msgspec.structs import replace

from remainder import explain
from remainder.config import Config, EarlierServers, Server, Service
from remainder.errors import ConfigError
from remainder.fleet import server_plan
from remainder.flow import Flow
from remainder.plan import Plan, make_plan
from tests.fleets import SUM3, SUM5, changing, servers
from tests.strategies import configs, flows, flows_to, plans

CLIENT, VIP = ip_address("198.51.100.7"), ip_address("203.0.113.10")
S1, S2, S3 = (Server(name=f"s{n}", address=f"192.0.2.1{n}") for n in (1, 2, 3))
SECRET = bytes(range(16)).hex()

WEB = Service(
    name="web",
    vip="203.0.113.10",
    port=80,
    protocol="tcp",
    key="src_ip + dst_ip + dst_port",
    table="modulo",
    servers=[S1, S2, S3],
)
MAGLEV = replace(WEB, table="maglev", slots=251)
HASH = replace(MAGLEV, key="hash(src_ip, src_port)")


def plan_of(*services: Service, secret: str | None = SECRET) -> Plan:
    return make_plan(Config(service=list(services), secret=secret))


@given(plans(), flows())
def test_every_flow_has_an_answer(plan: Plan, flow: Flow) -> None:
    decision = plan.where(flow)

    assert decision.outcome in {"forwarded", "echo_answered", "no_service", "not_vip"}
    assert (decision.outcome == "not_vip") == (flow.dst_ip not in plan.vips)
    assert (decision.outcome == "forwarded") == (decision.owner is not None)
    assert explain.lines(plan, decision)


@given(plans().flatmap(lambda plan: st.tuples(st.just(plan), flows_to(plan))))
def test_the_most_specific_service_wins(case: tuple[Plan, Flow]) -> None:
    plan, flow = case
    matching = [
        match
        for match in (planned.choice.match for planned in plan.choices)
        if match.address == flow.dst_ip
        and (match.port is None or match.port == flow.dst_port != 0)
        and match.protocol in (None, flow.protocol)
    ]
    best = max(
        matching,
        key=lambda item: (item.port is not None, item.protocol is not None),
        default=None,
    )
    found = plan.find(flow.dst_ip, flow.dst_port, flow.protocol)

    assert best == (found.choice.match if found else None)


@given(plans().flatmap(lambda plan: st.tuples(st.just(plan), flows_to(plan))))
def test_the_numbers_of_a_decision_belong_together(case: tuple[Plan, Flow]) -> None:
    plan, flow = case
    decision = plan.where(flow)
    planned = plan.find(flow.dst_ip, flow.dst_port, flow.protocol)
    if planned is None or plan.answers_echo(flow, planned):
        assert (None, None, None) == (decision.key, decision.slot, decision.owner)
        return
    key = planned.key.number(flow, plan.secret)
    owner = planned.owner(key % planned.slots)

    assert (key, planned.slots, key % planned.slots) == (
        decision.key,
        decision.slots,
        decision.slot,
    )
    assert (owner.name, owner.address) == (decision.owner, decision.address)
    assert owner.weight > 0


PRECEDENCE = {
    "port-and-protocol": replace(WEB, name="port-and-protocol"),
    "port": replace(WEB, name="port", protocol="any"),
    "protocol": replace(WEB, name="protocol", port="any"),
    "neither": replace(WEB, name="neither", port="any", protocol="any"),
}


@pytest.mark.parametrize(
    ("port", "protocol", "tried"),
    [
        (80, 6, ["port-and-protocol", "port", "protocol", "neither"]),
        (80, 17, ["port", "neither"]),
        (443, 6, ["protocol", "neither"]),
        (443, 17, ["neither"]),
        (0, 6, ["protocol", "neither"]),
        (0, 47, ["neither"]),
    ],
)
def test_services_are_tried_from_port_and_protocol_to_any(
    port: int, protocol: int, tried: list[str]
) -> None:
    left = dict(PRECEDENCE)
    for name in tried:
        found = plan_of(*left.values()).find(VIP, port, protocol)

        assert found is not None
        assert name == found.name
        del left[name]
    if left:
        assert plan_of(*left.values()).find(VIP, port, protocol) is None


def test_a_wrong_file_is_no_plan() -> None:
    with pytest.raises(ConfigError, match="needs a secret"):
        plan_of(HASH, secret=None)


@given(configs(), st.randoms(use_true_random=False))
def test_the_order_of_services_changes_no_fingerprint(
    config: Config, chance: random.Random
) -> None:
    services = list(config.service)
    chance.shuffle(services)

    assert make_plan(config).fingerprint == make_plan(replace(config, service=services)).fingerprint


SERVERS_AGAIN = [S3, S1, S2]
TWO_SLOTS = plan_of(replace(MAGLEV, slots=2, servers=[S1, S2]))


def server_of_slot(plan: Plan, slot: int) -> Server:
    """The server of the file that owns a slot."""
    return next(item for item in (S1, S2, S3) if item.name == plan.choices[0].owner(slot).name)


ALIKE: dict[str, tuple[Plan, Plan]] = {
    "another secret that nobody reads": (plan_of(WEB), plan_of(WEB, secret="f" * 32)),
    "no secret where nobody reads it": (plan_of(WEB), plan_of(WEB, secret=None)),
    "capitals in the secret": (plan_of(HASH, secret="ab" * 16), plan_of(HASH, secret="AB" * 16)),
    "another order of the sum": (
        plan_of(WEB),
        plan_of(replace(WEB, key="dst_port + dst_ip+src_ip")),
    ),
    "another order of the hash": (
        plan_of(HASH),
        plan_of(replace(HASH, key="hash(src_port,src_ip)")),
    ),
    "another order of servers under maglev": (
        plan_of(MAGLEV),
        plan_of(replace(MAGLEV, servers=SERVERS_AGAIN)),
    ),
    "twice the weights under modulo": (
        plan_of(WEB),
        plan_of(replace(WEB, servers=[replace(server, weight=2) for server in WEB.servers])),
    ),
    "one more server of weight 0": (
        plan_of(replace(WEB, servers=[S1, S2])),
        plan_of(replace(WEB, servers=[S1, replace(S3, weight=0), S2])),
    ),
    "an address in another spelling": (
        plan_of(replace(WEB, vip="2001:db8::10", servers=[replace(S1, address="2001:db8::1")])),
        plan_of(replace(WEB, vip="2001:DB8:0::10", servers=[replace(S1, address="2001:db8:0::1")])),
    ),
    "maglev or modulo for a table that is the same": (
        TWO_SLOTS,
        plan_of(replace(WEB, servers=[server_of_slot(TWO_SLOTS, slot) for slot in (0, 1)])),
    ),
}

UNLIKE: dict[str, tuple[Plan, Plan]] = {
    "another secret": (plan_of(HASH), plan_of(HASH, secret="f" * 32)),
    "another name": (plan_of(WEB), plan_of(replace(WEB, name="shop"))),
    "another VIP": (plan_of(WEB), plan_of(replace(WEB, vip="203.0.113.11"))),
    "another port": (plan_of(WEB), plan_of(replace(WEB, port=81))),
    "any port": (plan_of(WEB), plan_of(replace(WEB, port="any"))),
    "another protocol": (plan_of(WEB), plan_of(replace(WEB, protocol="udp"))),
    "another sum": (plan_of(WEB), plan_of(replace(WEB, key="src_ip + dst_ip"))),
    "a hash instead of a sum": (
        plan_of(WEB),
        plan_of(replace(WEB, key="hash(src_ip, dst_ip, dst_port)")),
    ),
    "another order of servers under modulo": (
        plan_of(WEB),
        plan_of(replace(WEB, servers=SERVERS_AGAIN)),
    ),
    "another weight": (
        plan_of(WEB),
        plan_of(replace(WEB, servers=[replace(S1, weight=2), S2, S3])),
    ),
    "one server fewer": (plan_of(WEB), plan_of(replace(WEB, servers=[S1, S2]))),
    "another name of a server": (
        plan_of(WEB),
        plan_of(replace(WEB, servers=[S1, S2, replace(S3, name="s4")])),
    ),
    "another address of a server": (
        plan_of(WEB),
        plan_of(replace(WEB, servers=[S1, S2, replace(S3, address="192.0.2.14")])),
    ),
    "another number of slots": (plan_of(MAGLEV), plan_of(replace(MAGLEV, slots=257))),
    "another table": (plan_of(WEB), plan_of(MAGLEV)),
    "one more service": (plan_of(WEB), plan_of(WEB, replace(WEB, name="tls", port=443))),
}


SOME_FLOWS = [
    Flow(ip_address(f"198.51.100.{client}"), 40000 + client, ip_address(vip), port, protocol)
    for client in range(1, 9)
    for vip in ("203.0.113.10", "203.0.113.11")
    for port in (80, 81, 443)
    for protocol in (6, 17)
] + [
    Flow(ip_address(f"2001:db8:2::{client}"), 40000, ip_address("2001:db8::10"), 80, 6)
    for client in range(1, 9)
]


def answers(plan: Plan, asked: list[Flow]) -> list[tuple[object, ...]]:
    """What the decisions say, whatever the spelling of an expression or address."""
    decisions = [plan.where(flow) for flow in asked]
    return [
        (
            d.outcome,
            d.choice,
            d.key,
            d.slots,
            d.slot,
            d.owner,
            d.address,
        )
        for d in decisions
    ]


@pytest.mark.parametrize(("one", "other"), ALIKE.values(), ids=ALIKE)
def test_plans_that_answer_alike_have_one_fingerprint(one: Plan, other: Plan) -> None:
    assert answers(one, SOME_FLOWS) == answers(other, SOME_FLOWS)
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize(("one", "other"), UNLIKE.values(), ids=UNLIKE)
def test_plans_that_answer_differently_have_two_fingerprints(one: Plan, other: Plan) -> None:
    assert answers(one, SOME_FLOWS) != answers(other, SOME_FLOWS)
    assert one.fingerprint != other.fingerprint


def test_the_policy_for_fragments_is_part_of_the_fingerprint() -> None:
    drops = replace(WEB, port="any", key="src_ip", fragments="drop")

    assert plan_of(drops).fingerprint != plan_of(replace(drops, fragments="forward")).fingerprint


def changed(service: Service, how: str) -> Service:
    """The service with a change that may or may not change its answers."""
    match how:
        case "servers turned":
            return replace(service, servers=service.servers[::-1])
        case "weights doubled":
            doubled = [replace(owner, weight=owner.weight * 2 % 256) for owner in service.servers]
            return replace(service, servers=doubled)
        case "key turned":
            key = service.key
            return replace(service, key=str(replace_key(key, fields=key.fields[::-1])))
        case "one server fewer":
            return replace(service, servers=service.servers[1:] or service.servers)
        case _:
            return service


CHANGES = ["nothing", "servers turned", "weights doubled", "key turned", "one server fewer"]


@given(configs(), st.data())
def test_whoever_answers_differently_has_another_fingerprint(
    config: Config, data: st.DataObject
) -> None:
    how = data.draw(st.lists(st.sampled_from(CHANGES), min_size=16, max_size=16))
    services = [changed(service, word) for service, word in zip(config.service, how, strict=False)]
    try:
        one, other = make_plan(config), make_plan(replace(config, service=services))
    except ConfigError:
        reject()
    asked = data.draw(st.lists(flows_to(one), min_size=10, max_size=10))

    assert one.fingerprint != other.fingerprint or answers(one, asked) == answers(other, asked)


def test_a_fingerprint_of_a_known_file_is_the_same_on_every_node() -> None:
    """If this changes, nodes of two versions disagree although they answer alike: say so."""
    assert "70495144e9f09dd45298522273dc81be8932e612af69adcd19012974c80dd80e" == (
        plan_of(WEB).fingerprint
    )


# --- earlier calculations


def test_where_names_the_owner_of_now_and_those_before_it() -> None:
    plan = make_plan(Config(service=[changing()]))
    flow = Flow(CLIENT, 40000, VIP, 80, 6)
    decision = plan.where(flow)
    (before,) = decision.before
    alone = make_plan(Config(service=[changing(before=[])])).where(flow)

    assert replace_key(alone, before=decision.before, chances=decision.chances) == decision
    assert (SUM5, before.key % 3) == (before.expression, before.slot)
    assert f"s{before.slot + 1}" == before.owner.name
    assert decision.chances == ((before.owner.name,) if before.owner.name != decision.owner else ())


@given(st.data())
def test_a_way_has_every_owner_once_and_the_newest_first(data: st.DataObject) -> None:
    """However many calculations there are, and however often they name a server."""
    counts = data.draw(st.lists(st.integers(1, 5), min_size=0, max_size=4))
    before = [
        EarlierServers(
            key=data.draw(st.sampled_from([SUM3, SUM5])),
            table="modulo",
            servers=servers(*(f"s{number + 1}" for number in range(count))),
        )
        for count in counts
    ]
    (planned,) = make_plan(Config(service=[changing(before=before)])).choices
    flow = Flow(CLIENT, data.draw(st.integers(1, 65535)), VIP, 80, 6)
    answers = [one.owner.name for one in planned.answers(flow, None)]
    way = [owner.name for owner in planned.way(flow, None)]

    assert 1 + len(before) == len(answers)
    assert set(answers) == set(way)
    assert len(set(way)) == len(way)
    assert [answers.index(name) for name in way] == sorted(answers.index(name) for name in way)


def test_an_earlier_calculation_changes_the_tables_of_servers_and_not_of_balancers() -> None:
    one, other = Config(service=[changing()]), Config(service=[changing(before=[])])
    two = Config(service=[changing(before=[*changing().before] * 2)])

    assert make_plan(one).fingerprint == make_plan(other).fingerprint
    assert server_plan(one, "s1").fingerprint != server_plan(two, "s1").fingerprint
