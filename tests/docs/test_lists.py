"""What the pages list is all there is: links, tests, keys, outcomes, sizes, messages."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, get_args

import msgspec
import pytest

import remainder
from remainder import config
from remainder.messages import MESSAGES
from remainder.plan import Role
from remainder.selection.maglev import DEFAULT_SLOTS
from remainder.sources.file import MAX_BYTES
from tests.docs.pages import PAGES, ROOT, name_of, prose_of, text_of

CHANGES: Final = sorted((ROOT / "changelog.d").glob("*.md"))


def anchors(page: Path) -> set[str]:
    """As the usual sites make them of headings."""
    headings = re.findall(r"^#+ (.*)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)

    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_table_is_whole(page: Path) -> None:
    """A head, the line below it, and rows of as many cells; a blank line would cut it."""
    broken = []
    for table in re.findall(r"(?:^ *\|.*\n?)+", prose_of(page), re.MULTILINE):
        head, *rows = [cells(line) for line in table.splitlines()]
        if not rows or not all(re.fullmatch(r" *:?-+:? *", cell) for cell in rows[0]):
            broken.append(table.splitlines()[0])
        broken += [" | ".join(row) for row in rows if len(row) != len(head)]

    assert not broken


def cells(line: str) -> list[str]:
    """Of a row of a table; a stroke in code is written with a backslash."""
    return re.split(r"(?<!\\)\|", line.strip())[1:-1]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_and_test_that_is_named_exists(page: Path) -> None:
    text = text_of(page)
    named = re.findall(
        r"`((?:src|tests|docs|examples|scripts|packages)/[\w./-]*)(?:::(\w+))?`", text
    )
    missing = [
        f"{path}::{symbol}" if symbol else path
        for path, symbol in named
        if not (ROOT / path).exists()
        or (symbol and not re.search(rf"\b{symbol}\b", (ROOT / path).read_text("utf-8")))
    ]

    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_name_in_code_is_one_of_the_code(page: Path) -> None:
    """A function or a key that was renamed is renamed on the pages too."""
    names = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", prose_of(page)))

    assert not {name for name in names if not re.search(rf"\b{name}\b", sources())}


@cache
def sources() -> str:
    return "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("src", "tests/lab")
        for path in (ROOT / folder).rglob("*.*")
        if path.suffix in (".py", ".c", ".h")
    )


def test_the_index_leads_to_every_page() -> None:
    index = text_of("docs/index.md")

    assert not [
        page.name
        for page in (ROOT / "docs").glob("*.md")
        if page.name != "index.md" and f"({page.name})" not in index
    ]


def test_every_limit_names_its_test_or_says_that_there_is_none() -> None:
    entries = re.findall(r"^- .*(?:\n  .*)*", text_of("docs/limits.md"), re.MULTILINE)

    assert entries
    assert not [entry for entry in entries if not re.search(r"\bTests?\b|\bNo test\b", entry)]


def test_the_sizes_on_the_page_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| ([a-z ]+) \| ([\d,]+) \|$", text_of("docs/limits.md"), re.MULTILINE)
    sizes = {what: int(most.replace(",", "")) for what, most in rows}
    (weight,) = (
        field["maximum"]
        for name, field in msgspec.json.schema(config.Server)["$defs"]["Server"][
            "properties"
        ].items()
        if name == "weight"
    )

    assert {
        "bytes of a file": MAX_BYTES,
        "services in a file": config.MAX_SERVICES,
        "servers of a service": config.MAX_SERVERS,
        "weight of a server": weight,
        "slots of a service": config.MAX_SLOTS,
        "slots of all services": config.MAX_SLOTS_IN_FILE,
    } == sizes


@pytest.mark.parametrize("kind", ["Config", "Service", "Server", "EarlierServers", "Balancer"])
def test_the_page_of_the_file_has_every_key(kind: str) -> None:
    fields = msgspec.structs.fields(getattr(config, kind))
    page = text_of("docs/file.md")

    assert not [field.name for field in fields if f"| `{field.name}` |" not in page]
    assert f"{DEFAULT_SLOTS:,}" in page


@pytest.mark.parametrize("outcome", remainder.Outcome)
def test_operations_says_what_to_do_about_every_outcome(outcome: remainder.Outcome) -> None:
    assert f"| `{outcome.value}` |" in text_of("docs/operations.md")


# -- messages ------------------------------------------------------------------------

ID: Final = r"[a-z0-9]+(?:-[a-z0-9]+)*"


def ids_in(module: Path) -> Iterator[str]:
    """Every id that a call in the module gives to an error or a warning."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        for word in node.keywords if isinstance(node, ast.Call) else []:
            if word.arg == "id" and isinstance(word.value, ast.Constant):
                yield str(word.value.value)


def test_every_id_in_the_code_is_declared() -> None:
    used = {name for module in (ROOT / "src").rglob("*.py") for name in ids_in(module)}

    assert len(used) > 5
    assert set() == used - MESSAGES.keys()
    assert [] == [name for name in MESSAGES if not re.fullmatch(ID, name)]


def test_operations_has_exactly_the_messages_with_an_id() -> None:
    _, _, section = text_of("docs/operations.md").partition("## Messages\n")
    rows = re.findall(rf"^\| `({ID})` \| \S.* \| \S.* \|$", section, re.MULTILINE)

    assert sorted(MESSAGES) == sorted(rows)


# -- changes -------------------------------------------------------------------------


def test_the_changes_of_this_version_can_be_built() -> None:
    """Every file in changelog.d is one change, and none is left out."""
    version = re.search(r'^version = "(.*)"$', text_of("pyproject.toml"), re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--draft"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert 0 == done.returncode, done.stderr
    assert version is not None
    assert re.search(rf"^## {re.escape(version[1])}\b", done.stdout, re.MULTILINE)
    for path in CHANGES:
        assert path.read_text(encoding="utf-8").strip() in done.stdout


@pytest.mark.parametrize("path", CHANGES, ids=name_of)
def test_a_change_is_one_sentence_of_a_known_kind(path: Path) -> None:
    kinds = re.findall(r'^directory = "(\w+)"$', text_of("pyproject.toml"), re.MULTILINE)

    assert re.fullmatch(rf"(\+[a-z0-9-]+|[0-9]+)\.({'|'.join(kinds)})\.md", path.name)
    assert re.fullmatch(r"[A-Z`][^\n]*\.\n", path.read_text(encoding="utf-8"))


def test_the_glossary_has_every_role_and_every_section_of_the_file_in_order() -> None:
    page = text_of("docs/glossary.md")
    words = re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)[1:]
    sections = [
        f"`[{name}]`" if name == "vrrp" else f"`[[{name}]]`"
        for name in ("service", "balancer", "vrrp", "cluster", "return_path")
    ]

    assert {field.name for field in msgspec.structs.fields(config.Config)} == {
        "service", "balancer", "vrrp", "cluster", "return_path", "secret", "secret_file"
    }  # fmt: skip
    assert [] == [section for section in sections if section not in page]
    assert {*get_args(Role)} <= set(words)
    assert sorted(words, key=str.lower) == words
