"""How ``status`` looks in a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from remainder.observe.report import meaning

Rates = dict[tuple[str, str, str], float]
"""(node and role, service, server) → packets per second"""

_BAR: Final = 10
_UNBOUNDED: Final = 250


class View:
    """Draws reports; from the second one on it knows the rates."""

    def __init__(self, console: Console | None = None) -> None:
        # A file or a pipe has no width, so no column has to be dropped.
        self._console = console or Console(width=None if sys.stdout.isatty() else _UNBOUNDED)
        self._before: dict[str, tuple[float, dict[tuple[str, str], int]]] = {}

    def show(self, nodes: list[dict[str, Any]]) -> None:
        """Once."""
        picture = Group(*self._draw(nodes, self._rates(nodes, time.monotonic())))
        if self._console.is_terminal:
            self._console.print(picture)
        else:
            self._write(picture)

    def follow(self, look: Callable[[], list[dict[str, Any]]], interval_s: float) -> None:
        """Repeatedly, until Ctrl-C; without a terminal one picture below the other."""
        if not self._console.is_terminal:
            self._list(look, interval_s)
            return
        with Live(console=self._console, auto_refresh=False, screen=False) as live:
            try:
                while True:
                    live.update(self.window(look(), time.monotonic()), refresh=True)
                    time.sleep(interval_s)
            except KeyboardInterrupt:
                return

    def _list(self, look: Callable[[], list[dict[str, Any]]], interval_s: float) -> None:
        try:
            while True:
                found = look()
                told = [node for node in found if "error" not in node]
                self._write(self.window(told, time.monotonic()))
                for node in found:
                    if "error" in node:
                        print(_error(node), file=sys.stderr, flush=True)
                time.sleep(interval_s)
        except KeyboardInterrupt:
            return

    def _write(self, picture: RenderableType) -> None:
        """To a file or a pipe: unbuffered, and without trailing blanks."""
        with self._console.capture() as drawn:
            self._console.print(picture)
        for line in drawn.get().splitlines():
            print(line.rstrip(), file=self._console.file)
        self._console.file.flush()

    def window(self, nodes: list[dict[str, Any]], now_s: float) -> RenderableType:
        """A picture that fits the terminal: what matters most first, then how much is hidden."""
        rates = self._rates(nodes, now_s)
        if not self._console.is_terminal:
            return Group(*self._draw(nodes, rates))
        whole = self._lines(self._draw(nodes, rates))
        if len(whole) < self._console.height:
            return Group(*whole)
        tight = self._lines(self._draw(nodes, rates, tight=True))
        return Group(*_cut(tight, self._console.height - 1))

    def _lines(self, parts: Iterable[RenderableType]) -> list[Text]:
        drawn = self._console.render_lines(Group(*parts), pad=False)
        return [
            Text.assemble(*((part.text, part.style or "") for part in line), no_wrap=True)
            for line in drawn
        ]

    def _draw(
        self, nodes: list[dict[str, Any]], rates: Rates, *, tight: bool = False
    ) -> Iterator[RenderableType]:
        """The parts of a picture; a tight one has outcomes before servers and no empty lines."""
        for node in nodes:
            if "error" in node:
                yield Text(_error(node), style="red")
                continue
            yield from _head(node)
            outcomes = _outcomes(node, with_meaning=not tight)
            if tight:
                yield outcomes
            else:
                yield Text()
            for service in node["services"]:
                yield _heading(service, with_formula=not tight)
                servers = self._servers(service, rates, node)
                yield Padding(servers, (0, 0, 0 if tight else 1, 2))
            if not tight:
                yield outcomes
                yield Text()

    def _servers(self, service: dict[str, Any], rates: Rates, node: dict[str, Any]) -> Table:
        """As many columns as fit; the names always stay."""
        wide = self._console.options.update_width(_UNBOUNDED)
        for left_out in range(len(_LEFT_OUT) + 1):
            table = _servers(service, rates, node, without=_LEFT_OUT[:left_out])
            if Measurement.get(self._console, wide, table).maximum + 2 <= self._console.width:
                break
        return table

    def _rates(self, nodes: list[dict[str, Any]], now_s: float) -> Rates:
        found: Rates = {}
        for node in nodes:
            if "error" in node:
                continue
            name = f"{node['node']} {node['role']}"
            counts = {
                (service["name"], server["name"]): server["packets"]
                for service in node["services"]
                for server in service["servers"]
            }
            before_s, before = self._before.get(name, (now_s, counts))
            self._before[name] = (now_s, counts)
            passed_s = now_s - before_s
            if passed_s > 0:
                found |= {
                    (name, *key): (count - before.get(key, 0)) / passed_s
                    for key, count in counts.items()
                }
        return found


def _cut(lines: list[Text], height: int) -> list[Text]:
    if len(lines) <= height:
        return lines
    left_out = len(lines) - height + 1
    return [*lines[: height - 1], Text(f"… {left_out} more lines; enlarge the window", "dim")]


def _error(node: dict[str, Any]) -> str:
    return f"{node['node']} ({node['role']}): {node['error']}"


def _head(node: dict[str, Any]) -> Iterator[Text]:
    tended = f"process {node['process']}" if node["process"] else "no process (data plane only)"
    yield Text.assemble(
        (node["node"], "bold"), f"  {node['role']} on {node['interface']} "
        f"({node['mode'] if node['role'] == 'sender' else node['mode'] + ' XDP'}), {tended}, ",
        f"tables {node['fingerprint']['tables'][:12]}",
    )  # fmt: skip
    if not node["attached"]:
        yield Text(
            "not attached: the interface is gone, or the program was detached", style="bold red"
        )
    if node["trouble"]:
        yield Text(f"the host refuses: {node['trouble']}; trying again", style="bold red")
    if node["refused"]:
        yield Text(
            f"file changed at {node['refused']['at']} but was rejected: "
            f"{node['refused']['sentence']}; still running the previous one",
            style="bold red",
        )


def _heading(service: dict[str, Any], *, with_formula: bool) -> Text:
    heading = Text.assemble((service["name"], "bold"), f"  {_endpoint(service)}")
    formula = f"  {service['key']}  {service['table']} % {service['slots']:,}"
    return heading.append(formula, "dim") if with_formula else heading


_COLUMNS: Final[tuple[tuple[str, JustifyMethod], ...]] = (
    ("server", "left"), ("MAC", "left"), ("slots", "right"), ("packets", "right"),
    ("per s", "right"), ("bytes", "right"), ("share", "left"), ("total", "right"),
)  # fmt: skip
_LEFT_OUT: Final = ("bytes", "MAC", "bar", "total", "slots", "share", "per s")
"""Columns that a narrow terminal drops, in this order."""


def _servers(
    service: dict[str, Any], rates: Rates, node: dict[str, Any], *, without: Sequence[str]
) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title, justify in _COLUMNS:
        if title not in without:
            table.add_column(title, justify=justify, no_wrap=True)
    total = sum(server["packets"] for server in service["servers"]) or 1
    recent = sum(server.get("recent_packets") or 0 for server in service["servers"])
    for server in service["servers"]:
        rate = rates.get((f"{node['node']} {node['role']}", service["name"], server["name"]))
        name = Text(f"{server['name']} {server['address']}")
        where = _where(server, node)
        if "MAC" in without and (not server["mac"] or server.get("silent_s") is not None):
            name.append(" ").append(where[-1])
        cells: dict[str, Text | str] = {
            "server": name,
            "MAC": Text(" ").join(where),
            "slots": f"{server['slots']:,}",
            "packets": f"{server['packets']:,}",
            "per s": f"{rate:,.0f}" if rate is not None else "",
            "bytes": _size(server["bytes"]),
            "share": _share(server, recent, with_bar="bar" not in without),
            "total": Text(f"{server['packets'] / total:.0%}", style="dim"),
        }
        table.add_row(*(cells[title] for title, _ in _COLUMNS if title not in without))
    return table


def _share(server: dict[str, Any], recent: int, *, with_bar: bool) -> Text:
    """Of the last minute; nothing if nobody counts or nothing came."""
    sent = server.get("recent_packets")
    if sent is None or not recent:
        return Text()
    share = sent / recent
    bar = "█" * round(share * _BAR) + " " if with_bar else ""
    return Text(bar, style="cyan").append(f"{share:.0%}", style="dim")


def _where(server: dict[str, Any], node: dict[str, Any]) -> list[Text]:
    """Its MAC, if it has one, and what is wrong with it, last."""
    if not server["mac"]:
        return [_no_mac(server, node)]
    silent_s = server.get("silent_s")
    silent = [Text(f"silent {_duration(silent_s)}", style="red")] if silent_s is not None else []
    return [Text(server["mac"]), *silent]


def _duration(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _no_mac(server: dict[str, Any], node: dict[str, Any]) -> Text:
    if node["role"] != "member":
        return Text("unresolved", style="red")
    return Text("this member" if server["name"] == node["node"] else "", style="dim")


def _outcomes(node: dict[str, Any], *, with_meaning: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("outcome", header_style="dim", no_wrap=True)
    table.add_column("packets", justify="right", header_style="dim", no_wrap=True)
    if with_meaning:
        table.add_column("meaning", header_style="dim", style="dim")
    for name, count in node["outcomes"].items():
        if count["packets"]:
            meant = [meaning(name)] if with_meaning else []
            table.add_row(name, f"{count['packets']:,}", *meant)
    table.add_row("seen", f"{node['seen']['packets']:,}", style="bold")
    return table


def _endpoint(service: dict[str, Any]) -> str:
    vip = f"[{service['vip']}]" if ":" in service["vip"] else service["vip"]
    port = "any port" if service["port"] == "any" else service["port"]
    protocol = "any protocol" if service["protocol"] == "any" else service["protocol"]
    return f"{vip}:{port} {protocol}" if service["port"] != "any" else f"{vip} {port} {protocol}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
