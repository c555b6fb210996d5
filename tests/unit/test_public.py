"""What is public is named in one list, and whoever uses it meets no type that is not."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import remainder
from remainder.errors import ConfigError, RemainderError

PUBLIC: dict[str, Any] = {name: getattr(remainder, name) for name in remainder.__all__}
CLASSES = {name: item for name, item in PUBLIC.items() if inspect.isclass(item)}
FUNCTIONS = {name: item for name, item in PUBLIC.items() if inspect.isfunction(item)}


def test_the_list_is_sorted_and_names_each_thing_once() -> None:
    assert sorted(set(remainder.__all__)) == sorted(remainder.__all__)


def test_everything_that_the_package_offers_is_in_the_list() -> None:
    offered = {
        name
        for name, item in vars(remainder).items()
        if not name.startswith("_") and not inspect.ismodule(item)
    }

    assert offered == set(remainder.__all__) - {"explain", "__version__"}


def test_the_page_about_the_library_names_everything() -> None:
    page = (Path(__file__).parents[2] / "docs" / "library.md").read_text(encoding="utf-8")
    _, _, section = page.partition("## What is public")

    assert [] == [name for name in remainder.__all__ if f"`{name}`" not in section]


@pytest.mark.parametrize("name", [*CLASSES, *FUNCTIONS])
def test_what_is_public_says_what_it_is(name: str) -> None:
    assert PUBLIC[name].__doc__


def hints_of(item: Any) -> Iterator[Any]:
    """Every annotation of a function, or of the fields, methods and properties of a class."""
    if inspect.isfunction(item):
        yield from typing.get_type_hints(item).values()
        return
    yield from typing.get_type_hints(item).values()
    for name, member in vars(item).items():
        function = getattr(member, "fget", None) or getattr(member, "func", member)
        if not name.startswith("_") and inspect.isfunction(function):
            yield from typing.get_type_hints(function).values()


def classes_in(hint: Any) -> Iterator[type]:
    for part in typing.get_args(hint):
        yield from classes_in(part)
    if inspect.isclass(hint) and not isinstance(hint, types.GenericAlias):
        yield hint


@pytest.mark.parametrize("name", [*CLASSES, *FUNCTIONS])
def test_the_types_of_what_is_public_are_public(name: str) -> None:
    met = {kind for hint in hints_of(PUBLIC[name]) for kind in classes_in(hint)}
    ours = {kind for kind in met if kind.__module__.startswith("remainder.")}
    kinds = {kind for kind in ours if kind.__module__ == "remainder.values"}  # of text in a file

    assert ours - kinds <= set(CLASSES.values())


def test_values_are_frozen() -> None:
    values = [item for item in CLASSES.values() if not issubclass(item, Exception | str)]
    thawed = [
        item.__name__
        for item in values
        if not (
            issubclass(item, tuple)
            or (issubclass(item, msgspec.Struct) and item.__struct_config__.frozen)
            or getattr(getattr(item, "__dataclass_params__", None), "frozen", False)
        )
    ]

    assert [] == thawed


def test_every_error_can_be_caught_by_the_root() -> None:
    errors = [item for item in CLASSES.values() if issubclass(item, Exception)]

    assert len(errors) == 5
    assert all(issubclass(item, RemainderError) for item in errors)


def test_addresses_may_be_text_wherever_one_is_given() -> None:
    flow = remainder.Flow("198.51.100.7", 1234, "203.0.113.10", 80, 6)
    node = remainder.Node("02:00:5e:00:53:02", {"192.0.2.11": "02:00:5e:00:53:11"})

    assert remainder.parse_flow("198.51.100.7:1234", "203.0.113.10:80") == flow
    assert (
        remainder.Node(
            mac=bytes.fromhex("02005e005302"),
            macs={
                remainder.Server(name="s", address="192.0.2.11").address: b"\x02\0\x5e\0\x53\x11"
            },
        )
        == node
    )
    assert remainder.frame_of(
        flow, source_mac="02:00:5e:00:53:01", destination_mac=node.mac
    ) == remainder.frame_of(flow, source_mac=b"\x02\0\x5e\0\x53\x01", destination_mac=node.mac)


def untyped(value: Any) -> Any:
    """What a caller without a type checker may pass."""
    return value


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: remainder.Flow("example.org", 1, "203.0.113.10", 80, 6), "not an IP address"),
        (
            lambda: remainder.Flow(untyped(7), 1, "203.0.113.10", 80, 6),
            "neither an IP address nor text",
        ),
        (
            lambda: remainder.Flow("198.51.100.7", untyped("1"), "203.0.113.10", 80, 6),
            "expected a number",
        ),
        (
            lambda: remainder.Flow("198.51.100.7", 1, "203.0.113.10", 80, untyped("tcp")),
            "expected a number",
        ),
        (
            lambda: remainder.Flow("198.51.100.7", 1, "2001:db8::10", 80, 6),
            "different address families",
        ),
        (lambda: remainder.Node("02:00", {}), "is not a MAC address"),
        (lambda: remainder.Node(bytes(6), untyped({"s1": bytes(6)})), "not an IP address"),
        (
            lambda: remainder.Node(bytes(6), untyped({"192.0.2.11": bytes(5)})),
            "is not a MAC address",
        ),
    ],
)
def test_what_is_no_value_is_refused_in_one_sentence(make: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        make()

    assert "\n" not in str(caught.value)
