"""The line of every value, in every way that TOML has of writing it."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.sources.lines import Place, lines_of

LAYOUTS: dict[str, tuple[str, dict[Place, int]]] = {
    "a list of servers on many lines": (
        """
[[service]]
name = "web"
servers = [
  { name = "s1", address = "192.0.2.11" },
  # { name = "off", address = "192.0.2.99" },
  { name = "s2", address = "192.0.2.12" },   # }, { and ] in a comment
]
port = 80
""",
        {
            ("service",): 2,
            ("service", 0): 2,
            ("service", 0, "name"): 3,
            ("service", 0, "servers"): 4,
            ("service", 0, "servers", 0): 5,
            ("service", 0, "servers", 0, "address"): 5,
            ("service", 0, "servers", 1): 7,
            ("service", 0, "servers", 1, "name"): 7,
            ("service", 0, "servers", 1, "address"): 7,
            ("service", 0, "port"): 9,
        },
    ),
    "servers under headers of their own": (
        """
[[service]]
name = "web"

[[service.servers]]
name = "s1"
[[service.servers]]   # the second
name = "s2"

[[ service ]]
name = "dns"
[[ service . "servers" ]]
name = "s3"
""",
        {
            ("service", 0): 2,
            ("service", 0, "servers"): 5,
            ("service", 0, "servers", 0): 5,
            ("service", 0, "servers", 0, "name"): 6,
            ("service", 0, "servers", 1): 7,
            ("service", 0, "servers", 1, "name"): 8,
            ("service", 1): 10,
            ("service", 1, "name"): 11,
            ("service", 1, "servers", 0): 12,
            ("service", 1, "servers", 0, "name"): 13,
        },
    ),
    "everything in line": (
        'service = [ { name = "web", servers = [ { name = "s1" } ] },\n{ name = "dns" } ]',
        {
            ("service",): 1,
            ("service", 0, "servers", 0, "name"): 1,
            ("service", 1): 2,
            ("service", 1, "name"): 2,
        },
    ),
    "dotted keys": (
        'a.b = 1\n"a".c . d = 2\n[t.u]\nv.w = 3\n1.2 = 4\n',
        {
            ("a",): 1,
            ("a", "b"): 1,
            ("a", "c"): 2,
            ("a", "c", "d"): 2,
            ("t",): 3,
            ("t", "u"): 3,
            ("t", "u", "v", "w"): 4,
            ("t", "u", "1", "2"): 5,
        },
    ),
    "texts that look like something else": (
        r'''a = "]"
b = '{ x = "'
c = """
[[service]]
d = 5 \"""
"""
e = """q"""""
f = "a \" # b"
"k = [" = 1
''',
        {("a",): 1, ("b",): 2, ("c",): 3, ("e",): 7, ("f",): 8, ("k = [",): 9},
    ),
    "texts without escapes": (
        r"""a = '\'
b = '''
# '' "
'''
c = '''q'''''
d = 1
""",
        {("a",): 1, ("b",): 2, ("c",): 5, ("d",): 6},
    ),
    "dates, numbers and trailing commas": (
        "a = 1979-05-27 07:32:00.5Z\nb = [\n  1.5,\n\n  +1e3,\n]\nc = { }\nd = []\n",
        {("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 5, ("c",): 7, ("d",): 8},
    ),
    "lines that end as on Windows": ("a = 1\r\n\r\nb = 2\r\n", {("a",): 1, ("b",): 3}),
    "no end of line at the end": ("a = 1\nb = 2", {("a",): 1, ("b",): 2}),
    "nothing": ("# nothing\n", {}),
}


@pytest.mark.parametrize(("text", "wanted"), LAYOUTS.values(), ids=LAYOUTS)
def test_every_place_has_its_line(text: str, wanted: dict[Place, int]) -> None:
    lines = lines_of(text, tomllib.loads(text))

    assert wanted == {place: lines.get(place) for place in wanted}


def test_nothing_is_said_of_a_text_that_is_not_the_one_of_the_values() -> None:
    for text in ("a = 1\nb = 2", "a = ", "[", "= 1", "a = [1", "a = [}", 'a = "'):
        assert {} == lines_of(text, {"a": 1})


@dataclass
class Writer:
    """Writes values as TOML in ways that chance decides, and notes the line of each."""

    data: st.DataObject
    text: str = ""
    lines: dict[Place, int] = field(default_factory=dict)

    @property
    def line(self) -> int:
        return self.text.count("\n") + 1

    def chance(self) -> bool:
        return self.data.draw(st.booleans())

    def note(self, place: Place) -> None:
        for end in range(1, len(place) + 1):
            self.lines.setdefault(place[:end], self.line)

    def gap(self) -> None:
        """Where TOML allows line ends and comments."""
        self.text += self.data.draw(st.sampled_from(["", " ", "\n", " # ] } x = 1\n", "\n\n  "]))

    def key(self, key: str) -> str:
        plain = key.isascii() and key.isalnum()
        return key if plain and self.chance() else json.dumps(key)

    def value(self, value: object, place: Place) -> None:
        if isinstance(value, dict):
            self.text += "{"
            for number, (key, item) in enumerate(value.items()):
                self.text += ", " if number else " "
                self.note((*place, key))
                self.text += f"{self.key(key)} = "
                self.value(item, (*place, key))
            self.text += " }"
        elif isinstance(value, list):
            self.text += "["
            for number, item in enumerate(value):
                self.gap()
                self.note((*place, number))
                self.value(item, (*place, number))
                self.gap()
                self.text += "," if number < len(value) - 1 or self.chance() else ""
            self.gap()
            self.text += "]"
        elif isinstance(value, str) and self.chance():
            self.text += '"""\n' + json.dumps(value)[1:-1] + '"""'
        else:
            self.text += json.dumps(value)

    def pairs(self, table: dict[str, object], place: Place) -> None:
        """The table's keys, then those of its tables that get a header."""
        later = []
        for key, value in table.items():
            tables = isinstance(value, dict) or (
                isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
            )
            if tables and self.chance():
                later.append(key)
                continue
            self.note((*place, key))
            self.text += f"{self.key(key)} = "
            self.value(value, (*place, key))
            self.text += "\n"
        for key in later:
            value = table[key]
            for number, item in enumerate(value if isinstance(value, list) else [value]):
                inner = (*place, key, number) if isinstance(value, list) else (*place, key)
                brackets = ("[[", "]]") if isinstance(value, list) else ("[", "]")
                self.note(inner)
                header = ".".join(self.key(step) for step in inner if isinstance(step, str))
                self.text += f"{brackets[0]}{header}{brackets[1]} # [x]\n"
                self.pairs(item, inner)


keys = st.sampled_from(["a", "b", "name", "7", "two words", "x.y", "]", "ü"])
scalars = (
    st.integers(-9, 99) | st.booleans() | st.sampled_from(["", "[", "} # ]", "a = 1", "\n", '"'])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(keys, values, max_size=4), st.data())
def test_whatever_the_values_and_their_layout_the_lines_are_right(
    raw: dict[str, object], data: st.DataObject
) -> None:
    writer = Writer(data)
    writer.pairs(raw, ())

    assert raw == tomllib.loads(writer.text)
    assert writer.lines == lines_of(writer.text, tomllib.loads(writer.text))


@given(st.text("ab.=[]{},\"'#\\\n 1", max_size=40))
def test_no_text_breaks_the_walk(text: str) -> None:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        assert {} == lines_of(text, {"another": 1})
    else:
        assert bool(raw) == bool(lines_of(text, raw))
