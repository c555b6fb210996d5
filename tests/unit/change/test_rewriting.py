"""Edits as text: the values are those of the edit, and everything else stays as it was written."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remainder.change.edits import (
    Section,
    add,
    forget,
    rekey,
    remove,
    sections_of,
    weigh,
    with_sections,
)
from remainder.change.rewriting import rewritten
from remainder.errors import ConfigError
from remainder.selection.key import parse_key
from remainder.sources.file import loads
from remainder.sources.lines import lines_of
from tests.unit.change.pairs import server

FILE = """\
# The shop, edited by hand for years.
secret = "3b9f04d27ac85e61b0d7f2496ce81a53"

[[service]]                     # the web
name     = "web"
vip      = "203.0.113.10"       # announced by both routers
port     = 80
protocol = "tcp"
key      = "src_ip + dst_ip + dst_port"   # claim 13
table    = "modulo"
# rack 1
servers  = [
    { name = "s11", address = "192.0.2.11" },  # the old one
    # rack 2
    { name = "s12", address = "192.0.2.12", weight = 2 },
    { name = "s13", address = "192.0.2.13" }
]

# who balances

[[balancer]]
name      = "lb1"               # left
interface = "eth0"

[[service]]
name="dns"
vip="203.0.113.11"
port=53
protocol="any"
key='hash(src_ip)'
table="maglev"
slots=31
servers=[{name="s11",address="192.0.2.11"},{name="s12",address="192.0.2.12"}]

[[service.before]]
# until Monday
key="src_ip"
table="maglev"
slots=31
servers=[{name="s11",address="192.0.2.11"}]

[[balancer]]
name      = "lb2"
interface = "eth0"

[[service]]
name     = "long"
vip      = "203.0.113.12"
port     = 80
protocol = "tcp"
key      = "src_ip"
table    = "modulo"
slots    = 3
[[service.servers]]
name    = "s11"
address = "192.0.2.11"
slot    = 0                     # fixed
[[service.servers]]
name    = "s12"
address = "192.0.2.12"
slot    = 1

# the end
"""


def edited(text: str, change: Callable[[Section], Section], *names: str) -> str:
    config = loads(text)
    sections = [one for one in sections_of(config) if not names or one.name in names]
    after = with_sections(config, sections, change)
    new = rewritten(text, config, after, lines_of=lines_of, name="shop.toml")

    assert after == loads(new)
    return new


def changes(old: str, new: str) -> tuple[list[str], list[str]]:
    """Lines that are gone, and lines that came."""
    was, now = old.splitlines(), new.splitlines()
    for line in old.splitlines():
        if line in now:
            was.remove(line)
            now.remove(line)
    return was, now


def test_a_weight_changes_one_line() -> None:
    new = edited(FILE, lambda it: weigh(it, "s12", 2), "dns")
    old_line = 'servers=[{name="s11",address="192.0.2.11"},{name="s12",address="192.0.2.12"}]'
    gone, came = changes(FILE, new)

    assert [old_line] == gone
    assert came[0].startswith('servers=[{name="s11",address="192.0.2.11"},{')


def test_comments_and_other_sections_stay() -> None:
    new = edited(FILE, lambda it: weigh(it, "s11", 3), "web")
    gone, came = changes(FILE, new)

    assert ['    { name = "s11", address = "192.0.2.11" },  # the old one'] == gone
    assert '    { name = "s11", address = "192.0.2.11", weight = 3 },  # the old one' == came[0]
    assert "[[service.before]]" in came
    assert new.index("[[service.before]]") < new.index("# who balances")


def test_a_server_is_added_as_the_others_are_written() -> None:
    new = edited(FILE, lambda it: add(it, server(14, node=False)), "web")

    assert '\n    { name = "s14", address = "192.0.2.14" }\n]\n' in new


def test_a_server_of_tables_is_added_as_a_table_with_its_slot() -> None:
    new = edited(FILE, lambda it: add(it, server(14, node=False)), "long")

    assert '[[service.servers]]\nname = "s14"\naddress = "192.0.2.14"\nslot = 2\n' in new
    assert new.endswith("\n# the end\n")


def test_the_newest_calculation_stands_first() -> None:
    new = edited(FILE, lambda it: weigh(it, "s12", 3), "dns")
    first, second = (
        new.index(text) for text in ("[[service.before]]\nkey     =", "# until Monday")
    )

    assert first < second


def test_settling_leaves_no_trace() -> None:
    config = loads(FILE)
    after = forget(config, sections_of(config))
    new = rewritten(FILE, config, after, lines_of=lines_of, name="shop.toml")

    assert after == loads(new)
    assert "before" not in new
    assert [] == changes(FILE, new)[1]


def test_a_key_is_changed_in_place_and_its_comment_stays() -> None:
    new = edited(
        FILE, lambda it: rekey(it, parse_key("src_ip + src_port"), table=None, slots=None), "web"
    )

    assert 'key      = "src_ip + src_port"   # claim 13\n' in new


def test_a_table_gets_its_slots_before_the_earlier_calculations() -> None:
    new = edited(FILE, lambda it: rekey(it, None, table="rendezvous", slots=13), "dns")

    assert new.index("slots") < new.index("[[service.before]]")


def step(word: str, name: int, weight: int) -> Callable[[Section], Section]:
    """One edit of many."""
    key = parse_key(f"hash({('src_ip', 'src_port', 'dst_ip')[name % 3]})")
    table, slots = ("maglev", "rendezvous")[name % 2], (13, 31, 251)[weight % 3]
    edits: dict[str, Callable[[Section], Section]] = {
        "add": lambda it: add(it, server(20 + name, weight=weight, node=False)),
        "remove": lambda it: remove(it, it.owners[name % len(it.owners)].name),
        "weigh": lambda it: weigh(it, it.owners[name % len(it.owners)].name, weight),
        "rekey": lambda it: rekey(it, key, table=None, slots=None),
        "retable": lambda it: rekey(it, None, table=table, slots=slots),
    }
    return edits[word]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "remove", "weigh", "rekey", "retable"]),
            st.sampled_from(["web", "dns", "long"]),
            st.integers(0, 5),
            st.integers(0, 3),
        ),
        max_size=6,
    )
)
def test_any_edits_in_a_row_keep_comments_order_and_the_other_sections(
    steps: list[tuple[str, str, int, int]],
) -> None:
    text = FILE
    for word, section, name, weight in steps:
        try:
            text = edited(text, step(word, name, weight), section)
        except ConfigError:
            continue  # the last server, no free slot, too many to remember, a name that is there
    comments = ["# The shop", "# the web", "# announced", "# claim 13", "# who balances", "# left"]
    order = [text.index(comment) for comment in [*comments, 'name      = "lb2"', "# the end"]]

    assert sorted(order) == order


def test_a_file_without_a_last_line_end_can_be_edited() -> None:
    text = FILE.replace("\n# the end\n", "").rstrip("\n")

    assert loads(edited(text, lambda it: weigh(it, "s11", 1), "long")) == loads(text)


INLINE = """
service = [ { name = "w", vip = "203.0.113.10", port = 80, protocol = "tcp", key = "src_ip", \
table = "modulo", servers = [ { name = "s11", address = "192.0.2.11" }, \
{ name = "s12", address = "192.0.2.12" } ] } ]
"""
BEFORE = FILE[FILE.index("[[service.before]]") : FILE.index('[[balancer]]\nname      = "lb2')]
APART = FILE.replace(BEFORE, "").replace(
    '[[service]]\nname     = "long"', f'{BEFORE}[[service]]\nname     = "long"'
)


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        (
            (
                "shop.toml:2: service[0] is not written as a [[service]] section; write it so, or "
                "edit it by hand"
            ),
            INLINE,
        ),
        (
            (
                "shop.toml:39: this belongs to [[service]] in line 25, with other sections in "
                "between; move it there"
            ),
            APART,
        ),
    ],
)
def test_a_layout_that_cannot_be_edited_is_named(sentence: str, text: str) -> None:
    config = loads(text)
    after = with_sections(config, config.service, lambda it: weigh(it, "s12", 3))
    with pytest.raises(ConfigError) as refused:
        rewritten(text, config, after, lines_of=lines_of, name="shop.toml")

    assert sentence == str(refused.value)
