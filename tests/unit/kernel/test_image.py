"""A plan as bytes: laid out where the kernel looks for it."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import assume, given
from hypothesis import strategies as st

from remainder.choice import Choice, Match, Owner
from remainder.kernel import abi, image
from remainder.kernel.layout import Capacity
from remainder.plan import Plan, plan_choice
from remainder.selection.key import parse_key
from tests.strategies import plans


def _image(plan: Plan) -> tuple[Capacity, image.Image]:
    capacity = image.need_of(plan)
    numbers, _ = image.allocate_counters(plan, {})
    return capacity, image.image_of(plan, capacity, counters=numbers, macs={})


@given(plans())
def test_every_slot_leads_to_the_owner_of_the_plan(plan: Plan) -> None:
    """Through first_slot, the slots and first_owner, as the kernel goes."""
    _, made = _image(plan)
    for planned in plan.choices:
        address, port, protocol = planned.choice.match
        match = abi.match_of(port=port or 0, protocol=protocol or 0, version=address.version)
        packed = address.packed.rjust(16, b"\0")
        (entry,) = (
            item
            for item in made.services
            if int(item["match"]) == match
            and int(item["vip_lo"]) == abi.raw(packed[8:] if address.version == 6 else packed[12:])
            and int(item["vip_hi"]) == abi.raw(packed[:8])
        )
        first_slot, first_owner = int(entry["first_slot"]), int(entry["first_owner"])

        assert planned.slots == int(entry["slots"])
        for slot in range(planned.slots):
            owner = first_owner + int(made.slots[first_slot + slot])
            assert (planned.name, planned.owner(slot).name) == made.owner_names[owner]


@given(plans())
def test_an_image_fits_what_it_said_it_needs(plan: Plan) -> None:
    """need_of is enough, and capacity_for is more."""
    capacity, made = _image(plan)

    assert capacity.buckets == len(made.seeds)
    assert capacity.services == len(made.services)
    assert capacity.slots == len(made.slots)
    assert capacity.owners == len(made.owners)
    assert image.capacity_for(plan).holds(capacity)


@given(plans(), plans())
def test_a_server_keeps_its_counter(before: Plan, after: Plan) -> None:
    """Wherever it stands in the new file; nobody shares one, and only new ones start at zero."""
    old, _ = image.allocate_counters(before, {})
    new, fresh = image.allocate_counters(after, old)

    assert len(new) == len(set(new.values()))
    for name, number in new.items():
        assert (number not in fresh) == (name in old)
        assert name not in old or old[name] == number
    assert not fresh & set(old.values())


@given(plans(), plans(), plans())
def test_maps_have_counters_for_two_plans_that_share_no_server(
    first: Plan, second: Plan, third: Plan
) -> None:
    """While one is replaced by the other, packets count for both."""
    capacity = image.capacity_for(first)
    assume(all(capacity.holds(image.need_of(plan)) for plan in (second, third)))
    numbers: dict[image.OwnerName, int] = {}
    for plan in (first, second, third, first):
        numbers, _ = image.allocate_counters(plan, numbers)

        assert max(numbers.values()) < capacity.counters
    assert 2 * capacity.owners <= capacity.counters


@given(st.integers(1, 4096))
def test_counters_suffice_for_twice_the_owners_whatever_the_size(servers: int) -> None:
    owners = tuple(Owner(f"s{number}", 1, None) for number in range(servers))
    choice = Choice(
        name="c", match=Match(IPv4Address("203.0.113.10"), 80, 6), key=parse_key("src_ip"),
        table="modulo", slots=None, owners=owners, method="l2", fragments="drop",
    )  # fmt: skip
    capacity = image.capacity_for(Plan(choices=(plan_choice(choice),)))

    assert 2 * capacity.owners <= capacity.counters


def test_an_entry_has_the_fields_of_the_kernels_in_their_order() -> None:
    assert abi.SERVICE.names == image.Entry._fields


@given(plans(), st.data())
def test_unresolved_owners_are_marked(plan: Plan, data: st.DataObject) -> None:
    """An owner without a MAC is not resolved; with one it carries it."""
    addresses = sorted(
        {owner.address for item in plan.choices for owner in item.owners if owner.address}, key=str
    )
    known = data.draw(st.sets(st.sampled_from(addresses)))
    numbers, _ = image.allocate_counters(plan, {})
    macs = dict.fromkeys(known, b"\x02\x00\x00\x00\x00\x07")
    made = image.image_of(plan, image.need_of(plan), counters=numbers, macs=macs)

    assert [int(address in known) for address in made.addresses] == (
        made.owners["flags"] & 1
    ).tolist()
