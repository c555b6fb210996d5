"""What ``demo`` says in a narrow terminal: nothing runs over its edge, no word is cut."""

from __future__ import annotations

from io import StringIO
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from remainder.flow import Flow
from remainder_lab import acts
from remainder_lab.cli.demo_shows import SHOWS
from remainder_lab.cli.demo_view import Stage

SERVERS = ("s1", "s2", "s3", "s4")
SCENE: Any = SimpleNamespace(
    client_addresses={4: ["198.51.100.1"] * 200}, vips={4: "203.0.113.10"}, servers=SERVERS
)
EXAMPLE = SimpleNamespace(
    flow=Flow(ip_address("198.51.100.2"), 54458, ip_address("203.0.113.10"), 80, 6),
    key=6731060572,
    slots=65537,
    slot=40000,
    owner="s1",
)
RESULT: Any = SimpleNamespace(
    failed=0, sessions=300, clients=200, torn=1, misdirected=0, example=EXAMPLE
)
KILLED: Any = SimpleNamespace(
    forwarded_alone=13_732, alone_s=1.6, held=100, requests=14_318, short=100, failed=0,
    longest_wait_s=0.031,
)  # fmt: skip


def shown(width: int) -> str:
    """Everything that a stage can show."""
    out = StringIO()
    stage = Stage(Console(file=out, width=width, highlight=False))
    for name, show in SHOWS.items():
        stage.title(name, show.__doc__ or "")
    stage.topology(SCENE)
    stage.remark(acts.CLAIMS)
    for formula in acts.FORMULAS:
        with stage.act(formula, SERVERS) as look:
            look(dict.fromkeys(SERVERS, 12_345))
        stage.result(RESULT)
    with stage.kill(12345, SERVERS) as look:
        look(dict.fromkeys(SERVERS, 12_345))
    stage.killed(KILLED)
    stage.happens("m3 stops, and the others follow a file without it, which names m1 and m2")
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80])
def test_a_narrow_terminal_cuts_nothing(width: int) -> None:
    text = shown(width)

    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert set(shown(300).replace("─", " ").split()) <= set(text.replace("─", " ").split())


def test_a_long_line_goes_on_under_its_own_beginning() -> None:
    lines = shown(60).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("  ✓ the kernel"))

    assert lines[at + 1].startswith("    ")
    assert lines[at + 1].strip()
