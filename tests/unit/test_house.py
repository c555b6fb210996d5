"""The house stays in order: rooms, registries, and the map of the claims.

CLAIMS.md holds one table.  A row is ``| claim | Python | C | test | command |``:

- *claim*: one number, several, or ranges: ``13``, ``8, 21``, ``2–5``.
- *Python*, *C*, *test*: items like ```path::symbol``` in backticks, any words
  around them; ``path::Class::method`` for a method; ``—`` for none.
- *command*: what shows it, in backticks; it starts with ``remainder``,
  ``./demo`` or ``./test``.

Each of the claims 1 to 48 stands in exactly one row.  A row that names Python
or C is implemented, and then names a test and a command too.
"""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest

import remainder
from remainder.cli import APART, CHANGE, LOOK
from remainder.forwarding import METHODS
from remainder.kernel import dataplane
from remainder.selection import ALGORITHMS
from scripts.compile_bpf import compile_file

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = ROOT / "src" / "remainder"
LAB: Final = ROOT / "src" / "remainder_lab"
BENCH: Final = ROOT / "src" / "remainder_bench"
UNIT: Final = ROOT / "tests" / "unit"

PACKAGES: Final = {PACKAGE: UNIT, LAB: UNIT / "lab", BENCH: UNIT / "bench"}
"""Package → where its tests are."""

MODULES: Final = sorted(module for package in PACKAGES for module in package.rglob("*.py"))
PROGRAMS: Final = sorted(program for package in PACKAGES for program in package.glob("bpf/*.[ch]"))

MOST_LINES: Final = 400
MOST_LINES_OF_C: Final = {".c": 120, ".h": 450}

CLAIMS: Final = range(1, 49)

NEEDS_THE_KERNEL: Final = (
    *(PACKAGE / room for room in ("cli", "diagnose", "kernel", "roles")),
    *(PACKAGE / "observe" / module for module in ("report.py", "state.py")),
    LAB,
    *(BENCH / room for room in ("cli", "flood_programs.py", "napi.py", "steady.py")),
    *(BENCH / room for room in ("stopwatch.py", "strangers.py")),
)
"""Rooms and modules that may be tested by tests/bpf and tests/lab alone."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def lines_of(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_no_module_grows_without_limit(module: Path) -> None:
    assert lines_of(module) <= MOST_LINES


@pytest.mark.parametrize("program", PROGRAMS, ids=name_of)
def test_no_c_file_grows_without_limit(program: Path) -> None:
    assert lines_of(program) <= MOST_LINES_OF_C[program.suffix]


@pytest.mark.parametrize("program", PROGRAMS, ids=name_of)
def test_every_c_file_says_its_licence(program: Path) -> None:
    first, _, _ = program.read_text(encoding="utf-8").partition("\n")

    assert "SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause" in first


def pure_modules() -> list[Path]:
    """Modules that decide something and need no kernel for it."""
    return [
        module
        for module in MODULES
        if not module.name.startswith("_")
        and not any(module.is_relative_to(room) for room in NEEDS_THE_KERNEL)
        and any(
            isinstance(node, ast.FunctionDef) and node.name != "__init__"
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        )
    ]


@pytest.mark.parametrize("module", pure_modules(), ids=name_of)
def test_every_pure_module_has_a_file_of_tests(module: Path) -> None:
    """tests/unit/selection/test_key.py or tests/unit/test_key.py for selection/key.py.

    For remainder_bench/cases.py it is tests/unit/bench/test_cases.py.
    """
    ((package, unit),) = (pair for pair in PACKAGES.items() if module.is_relative_to(pair[0]))
    test = f"test_{module.name}"

    assert (unit / module.relative_to(package).parent / test).exists() or (unit / test).exists()


@pytest.mark.parametrize("room", NEEDS_THE_KERNEL, ids=name_of)
def test_what_needs_the_kernel_exists(room: Path) -> None:
    assert room.exists()


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_every_package_says_that_it_is_typed(package: Path) -> None:
    assert (package / "py.typed").exists()


def test_the_product_has_the_programs_of_its_roles_alone() -> None:
    assert {program.path.with_suffix(".c") for program in dataplane.PROGRAMS.values()} == {
        program for program in PROGRAMS if program.match("remainder/bpf/*.bpf.c")
    }


def test_there_is_one_version() -> None:
    """The packages come from one tree, know each other well, and ask for each other's very own."""
    top, *apart = (
        tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))["project"]
        for folder in (".", "packages/lab", "packages/bench")
    )
    asked = [
        wanted
        for project in (top, *apart)
        for wanted in (
            *project["dependencies"],
            *project.get("optional-dependencies", {}).get("lab", ()),
            *project.get("optional-dependencies", {}).get("bench", ()),
        )
        if wanted.startswith("remainder")
    ]

    assert [remainder.__version__] * 3 == [project["version"] for project in (top, *apart)]
    assert 5 == len(asked)
    assert {remainder.__version__} == {wanted.partition("==")[2] for wanted in asked}


def test_the_licence_of_the_python_is_the_same_in_both_places() -> None:
    """At the top, where people look, and where the distributions of packages/ find it."""
    assert (ROOT / "LICENSE").read_bytes() == (ROOT / "LICENSES" / "Apache-2.0.txt").read_bytes()


CORE: Final = [
    module
    for module in MODULES
    if module.is_relative_to(PACKAGE)
    and module.relative_to(PACKAGE).parts[0]
    not in {"cli", "diagnose", "kernel", "observe", "redundancy", "roles"}
    and not module.name.startswith("__")
]
"""What decides, without the kernel and without talking to people."""


NAMED_LIKE_THE_CORE: Final = {PACKAGE / "cli" / "plan.py"}
"""Commands about what a module of the core is about."""


@pytest.mark.parametrize("module", CORE, ids=name_of)
def test_a_file_of_the_core_shares_its_name_with_no_other(module: Path) -> None:
    others = [other for other in MODULES if other not in NAMED_LIKE_THE_CORE]

    assert [module] == [other for other in others if other.name == module.name]


def public_names(module: Path) -> set[str]:
    """What a module defines at its top, without what begins with an underscore."""
    names: list[str] = []
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.append(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.append(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                names.append(name)
    return {name for name in names if not name.startswith("_")}


def test_a_public_name_of_the_core_has_one_home() -> None:
    homes: dict[str, list[str]] = {}
    for module in CORE:
        for name in public_names(module):
            homes.setdefault(name, []).append(name_of(module))
    algorithms = {f"src/remainder/selection/{name}.py" for name in ALGORITHMS}

    assert {"table": algorithms} == {
        name: set(where) for name, where in homes.items() if len(where) > 1
    }


def reading_list(page: str) -> list[str]:
    """The files and folders that a page tells a reader to begin with, in its order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    _, _, section = text.partition("## Where to start reading\n")
    section, _, _ = section.partition("\n## ")
    return re.findall(r"`(src/[^`]+)`", section)


def test_where_to_start_reading_is_there_and_the_same_on_both_pages() -> None:
    long, short = reading_list("ARCHITECTURE.md"), reading_list("CONTRIBUTING.md")

    assert "src/remainder/plan.py" == long[0] == short[0]
    assert [] == [path for path in (*long, *short) if not (ROOT / path).exists()]
    assert [path for path in long if path in short] == short
    assert "START READING HERE" in (ROOT / long[0]).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_algorithm_is_one_file_and_a_word_in_the_docs(name: str) -> None:
    assert (PACKAGE / "selection" / f"{name}.py").exists()
    assert f"`{name}`" in (ROOT / "docs" / "selection.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_a_file_and_its_twin(name: str) -> None:
    assert (PACKAGE / "forwarding" / f"{name}.py").exists()
    assert f"forward_{name}(" in (PACKAGE / "bpf" / "forward.h").read_text(encoding="utf-8")


@pytest.mark.parametrize("header", sorted(path.name for path in (PACKAGE / "bpf").glob("*.h")))
def test_a_header_can_be_included_alone(header: str, tmp_path: Path) -> None:
    source = tmp_path / "alone.bpf.c"
    source.write_text(f'#include "{PACKAGE}/bpf/{header}"\n', encoding="utf-8")

    compile_file(source, tmp_path / "alone.bpf.o")


@pytest.mark.parametrize("name", [*LOOK, *CHANGE])
def test_a_command_is_one_file(name: str) -> None:
    package = {"bench": BENCH, "lab": LAB, None: PACKAGE}[APART.get(name)]

    assert (package / "cli" / f"{name.replace('-', '_')}.py").exists()


def test_every_registry_is_filled() -> None:
    """An empty one would make the tests above pass by running none."""
    assert ALGORITHMS
    assert METHODS
    assert LOOK
    assert CHANGE
    assert PROGRAMS


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table in CLAIMS.md."""

    claims: tuple[int, ...]
    python: tuple[str, ...]
    c: tuple[str, ...]
    tests: tuple[str, ...]
    commands: tuple[str, ...]

    @property
    def implemented(self) -> bool:
        return bool(self.python or self.c)

    def __str__(self) -> str:
        return "claim " + ", ".join(map(str, self.claims))


def parse_claims(cell: str) -> tuple[int, ...]:
    """``8, 21`` and ``2–5`` as numbers."""
    claims: list[int] = []
    for part in cell.split(","):
        first, _, last = part.strip().replace("–", "-").partition("-")
        claims += range(int(first), int(last or first) + 1)
    return tuple(claims)


def parse_row(line: str) -> Row:
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
    claims, *items = cells
    if len(items) != 4:
        raise ValueError(f"CLAIMS.md: wanted five cells, {len(cells)} came: {line}")
    python, c, tests, commands = (tuple(re.findall(r"`([^`]+)`", cell)) for cell in items)
    return Row(parse_claims(claims), python, c, tests, commands)


@cache
def rows() -> tuple[Row, ...]:
    text = (ROOT / "CLAIMS.md").read_text(encoding="utf-8")
    return tuple(parse_row(line) for line in text.splitlines() if re.match(r"\|\s*\d", line))


def has_symbol(path: Path, symbol: str) -> bool:
    """Whether the file defines it: Python by its syntax, anything else by the word."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return _defines(ast.parse(text).body, symbol.split("::"))
    without_comments = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.search(rf"\b{re.escape(symbol)}\b", without_comments) is not None


def _defines(body: list[ast.stmt], names: list[str]) -> bool:
    name, *rest = names
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name == name:
                return not rest or _defines(node.body, rest)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and not rest:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return True
    return False


def test_every_claim_stands_in_exactly_one_row() -> None:
    assert list(CLAIMS) == sorted(claim for row in rows() for claim in row.claims)


def test_every_path_and_symbol_in_the_map_exists() -> None:
    items = [(row, item) for row in rows() for item in (*row.python, *row.c, *row.tests)]

    wrong = []
    for row, item in items:
        path, _, symbol = item.partition("::")
        if not (ROOT / path).is_file() or not symbol or not has_symbol(ROOT / path, symbol):
            wrong.append(f"{row}: {item}")

    assert not wrong


def test_every_item_stands_in_its_column() -> None:
    wrong = [
        f"{row}: {item}"
        for row in rows()
        for items, folder in (
            (row.python, "src/remainder/"),
            (row.c, "src/remainder/bpf/"),
            (row.tests, "tests/"),
        )
        for item in items
        if not item.startswith(folder)
    ]

    assert not wrong


def test_every_implemented_claim_has_a_test_and_a_command() -> None:
    wrong = [str(row) for row in rows() if row.implemented and not (row.tests and row.commands)]

    assert not wrong


def is_ours(command: str) -> bool:
    """``remainder COMMAND …``, ``./demo …`` or ``./test …``."""
    program, *words = command.split()
    if program == "remainder":
        return bool(words) and words[0] in {*LOOK, *CHANGE}
    return program in {"./demo", "./test"}


def test_every_command_in_the_map_is_one_of_ours() -> None:
    wrong = [
        f"{row}: {command}" for row in rows() for command in row.commands if not is_ours(command)
    ]

    assert not wrong


@pytest.mark.parametrize(
    ("cell", "claims"),
    [("13", (13,)), ("8, 21", (8, 21)), ("2–5, 7", (2, 3, 4, 5, 7)), ("2-3", (2, 3))],
)
def test_the_claim_cell_reads_numbers_and_ranges(cell: str, claims: tuple[int, ...]) -> None:
    assert claims == parse_claims(cell)


def test_a_symbol_that_only_a_comment_mentions_does_not_exist(tmp_path: Path) -> None:
    source = tmp_path / "a.h"
    source.write_text("/* slot_of */\nint key_of(void);\n", encoding="utf-8")

    assert not has_symbol(source, "slot_of")
    assert has_symbol(source, "key_of")
