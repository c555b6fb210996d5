"""What the pages show is what happens: their examples are run.

Fenced blocks, by the words behind the fence:

- ``toml``: a file that is valid; without a [[service]] it gets that of examples/web.toml, unless
  it needs none.
- ``toml wrong``: a file that is refused, with the sentence in the next block, a ``text``.
- ``console``: what follows ``$ remainder check --no-host``, ``where``, ``plan`` or ``schema`` is
  compared line by line, in the folder examples; a line ``…`` stands for any lines.
  Of every other command it is looked at whether it and its options exist.
- ``python``: run page by page, in the folder examples; with ``>>>`` as a doctest.
"""

from __future__ import annotations

import doctest
import os
import re
import secrets
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import click
import pytest

import remainder
from remainder.cli import CHANGE, LOOK, group
from remainder.fleet import tiers_of
from remainder.sources.file import load, loads
from tests.docs.pages import (
    EXAMPLES,
    PAGES,
    ROOT,
    Block,
    blocks,
    name_of,
    of_kind,
    prose_of,
    text_of,
    usable,
)

ENVIRONMENT: Final = os.environ | {
    "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH"))))
}


# -- files ---------------------------------------------------------------------------


def whole(text: str) -> str:
    """A file, where only a part of one is shown."""
    if "[[service]]" in text or re.search("^others *= true", text, re.MULTILINE):
        return text
    web = (EXAMPLES / "web.toml").read_text(encoding="utf-8")
    return text + web[web.index("[[service]]") :]


@pytest.mark.parametrize("block", of_kind("toml"), ids=str)
def test_a_file_on_a_page_is_valid(block: Block, tmp_path: Path) -> None:
    (tmp_path / "remainder.secret").write_text(secrets.token_hex(16))

    tiers = tiers_of(loads(whole(block.text), folder=tmp_path))

    assert tiers
    assert all(tier.plan.choices for tier in tiers)


WRONG: Final = [
    (block, after)
    for page in PAGES
    for block, after in pairwise(blocks(page))
    if block.kind == "toml wrong"
]


@pytest.mark.parametrize(("block", "sentence"), WRONG, ids=str)
def test_a_wrong_file_on_a_page_is_refused_as_it_says(block: Block, sentence: Block) -> None:
    with pytest.raises(remainder.ConfigError) as refused:
        loads(block.text, name="remainder.toml")

    assert "text" == sentence.kind
    assert sentence.text.strip() == str(refused.value)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=name_of)
def test_an_example_is_valid(path: Path, tmp_path: Path) -> None:
    copied = usable(path, tmp_path)
    tiers = tiers_of(load(copied))

    assert tiers
    assert all(tier.plan.choices for tier in tiers)
    assert 0 == run("check", "--no-host", str(copied)).returncode


@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir()), ids=name_of)
def test_an_example_is_named_on_the_page_of_examples(path: Path) -> None:
    assert path.name == "README.md" or f"`{path.name}`" in text_of("examples/README.md")


# -- commands ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a page and what it prints there."""

    where: str
    prompt: str
    line: str
    output: str

    def __str__(self) -> str:
        return f"{self.where} {self.line}"

    @property
    def arguments(self) -> list[str]:
        return [word.strip("'") for word in self.line.split()[1:]]

    @property
    def is_run(self) -> bool:
        """Whether its output is compared: it needs no host, and gives the same everywhere."""
        words = self.line.split()
        if self.prompt != "$" or words[0] != "remainder" or not self.output:
            return False
        return words[1] in ("where", "schema", "plan") or (
            words[1] == "check" and "--no-host" in words
        )


def commands() -> list[Command]:
    found = []
    for block in of_kind("console"):
        parts = re.split(r"^([$#]) ", block.text, flags=re.MULTILINE)[1:]
        for prompt, rest in zip(parts[::2], parts[1::2], strict=True):
            line, _, output = rest.partition("\n")
            found.append(Command(str(block), prompt, line, output.strip("\n")))
    return found


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "remainder", *arguments],
        cwd=EXAMPLES,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def assert_printed(command: Command) -> None:
    printed = run(*command.arguments).stdout.strip("\n")
    pattern = "\n".join(
        "(?:.*\n)*?.*" if line == "…" else re.escape(line) for line in command.output.split("\n")
    )
    if not re.fullmatch(pattern, printed):
        assert command.output == printed


RUN: Final = [command for command in commands() if command.is_run]


@pytest.mark.parametrize("command", [c for c in RUN if "--kernel" not in c.line], ids=str)
def test_a_command_prints_what_the_page_shows(command: Command) -> None:
    assert_printed(command)


@pytest.mark.bpf
@pytest.mark.parametrize("command", [c for c in RUN if "--kernel" in c.line], ids=str)
def test_the_kernel_says_what_the_page_shows(command: Command) -> None:
    assert_printed(command)


def mentioned() -> list[tuple[str, str]]:
    """(place, ``remainder …``) of every command line, in blocks, in sentences and in the unit."""
    found = [(command.where, command.line) for command in commands()]
    for page in PAGES:
        found += [(name_of(page), code) for code in re.findall(r"`([^`\n]+)`", prose_of(page))]
    unit = text_of("examples/remainder.service")
    found += [("examples/remainder.service", line) for line in re.findall(r"remainder run.*", unit)]
    return [
        (where, match[0])
        for where, line in found
        if (match := re.search(r"(?<![\w./-])remainder [a-z]+\b.*", line))
    ]


def options_of(name: str) -> set[str]:
    found = group.get_command(click.Context(group), name)
    assert found is not None
    return {option for parameter in found.params for option in parameter.opts if "-" in option}


def test_every_command_and_option_on_the_pages_exists() -> None:
    wrong = []
    for where, line in mentioned():
        _, name, *words = line.split()
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        if name not in {*LOOK, *CHANGE} or options - options_of(name) - {"--help"}:
            wrong.append(f"{where}: {line}")

    assert not wrong


@pytest.mark.parametrize("name", [*LOOK, *CHANGE])
def test_the_page_of_commands_has_every_option_and_no_others(name: str) -> None:
    sections = re.split(r"^## ", text_of("docs/commands.md"), flags=re.MULTILINE)
    (section,) = [part for part in sections if part.startswith(f"`remainder {name}`")]

    assert options_of(name) == set(re.findall(r"`(--[a-z-]+)", section))


# -- the library ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(b.kind == "python" for b in blocks(page))], ids=name_of
)
def test_the_python_of_a_page_runs(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)
    names: dict[str, object] = {}
    said: list[str] = []
    for block in (block for block in blocks(page) if block.kind == "python"):
        if ">>>" in block.text:
            test = doctest.DocTestParser().get_doctest(
                block.text, names, str(block), block.page, block.line
            )
            doctest.DocTestRunner(verbose=False).run(test, out=said.append, clear_globs=False)
            names = test.globs
        else:
            exec(compile(block.text, str(block), "exec"), names)  # noqa: S102  (our own page)

    assert not said, "".join(said)


def test_the_docstring_of_the_package_is_true() -> None:
    said: list[str] = []
    for test in doctest.DocTestFinder(recurse=False).find(remainder, "remainder"):
        doctest.DocTestRunner(verbose=False).run(test, out=said.append)

    assert not said, "".join(said)


def test_the_tour_of_the_library_runs() -> None:
    done = subprocess.run(
        [sys.executable, "library.py"],
        cwd=EXAMPLES,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
