"""How ``status`` looks in a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from remainder.kernel.report import meaning

_BAR = 10


class View:
    """Draws reports; between two of them it can tell rates."""

    def __init__(self) -> None:
        self._console = Console()
        self._before: dict[str, tuple[float, dict[tuple[str, str], int]]] = {}

    def show(self, nodes: list[dict[str, Any]]) -> None:
        """Once."""
        self._console.print(self.draw(nodes, time.monotonic()))

    def follow(self, look: Callable[[], list[dict[str, Any]]], interval_s: float) -> None:
        """Again and again, until Ctrl-C."""
        with Live(console=self._console, auto_refresh=False, screen=False) as live:
            try:
                while True:
                    live.update(self.draw(look(), time.monotonic()), refresh=True)
                    time.sleep(interval_s)
            except KeyboardInterrupt:
                return

    def draw(self, nodes: list[dict[str, Any]], now_s: float) -> RenderableType:
        """A picture of some reports."""
        return Group(
            *(
                part
                for node in nodes
                for part in (
                    [Text(f"{node['node']}  {node['role']}: {node['error']}", style="red")]
                    if "error" in node
                    else self._node(node, now_s)
                )
            )
        )

    def _node(self, node: dict[str, Any], now_s: float) -> list[RenderableType]:
        tended = (
            f"process {node['process']}" if node["process"] else "no process (data plane alone)"
        )
        head = Text.assemble(
            (node["node"], "bold"), f"  {node['role']} on {node['interface']} "
            f"({node['mode'] if node['role'] == 'server' else node['mode'] + ' XDP'}), {tended}, ",
            f"tables {node['fingerprint']['tables'][:12]}",
        )  # fmt: skip
        if not node["attached"]:
            head.append("  the interface is gone: nothing is attached", style="bold red")
        rates = self._rates(node, now_s)
        services = (
            part
            for service in node["services"]
            for part in (_heading(service), Padding(_servers(service, rates, node), (0, 0, 1, 2)))
        )
        return [head, Text(), *services, _outcomes(node), Text()]

    def _rates(self, node: dict[str, Any], now_s: float) -> dict[tuple[str, str], float]:
        counts = {
            (service["name"], server["name"]): server["packets"]
            for service in node["services"]
            for server in service["servers"]
        }
        before_s, before = self._before.get(f"{node['node']} {node['role']}", (now_s, counts))
        self._before[f"{node['node']} {node['role']}"] = (now_s, counts)
        passed_s = now_s - before_s
        if passed_s <= 0:
            return {}
        return {name: (count - before.get(name, 0)) / passed_s for name, count in counts.items()}


def _heading(service: dict[str, Any]) -> Text:
    return Text.assemble(
        (service["name"], "bold"), f"  {_endpoint(service)}  ",
        (f"{service['key']}  {service['table']} % {service['slots']:,}", "dim"),
    )  # fmt: skip


def _servers(
    service: dict[str, Any], rates: dict[tuple[str, str], float], node: dict[str, Any]
) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    columns: tuple[tuple[str, JustifyMethod], ...] = (
        ("server", "left"), ("MAC", "left"), ("slots", "right"), ("packets", "right"),
        ("per s", "right"), ("bytes", "right"), ("share", "left"),
    )  # fmt: skip
    for title, justify in columns:
        table.add_column(title, justify=justify, no_wrap=True)
    total = sum(server["packets"] for server in service["servers"]) or 1
    for server in service["servers"]:
        share = server["packets"] / total
        rate = rates.get((service["name"], server["name"]))
        table.add_row(
            f"{server['name']} {server['address']}",
            server["mac"] or _no_mac(server, node),
            f"{server['slots']:,}",
            f"{server['packets']:,}",
            f"{rate:,.0f}" if rate is not None else "",
            _size(server["bytes"]),
            Text("█" * round(share * _BAR), style="cyan").append(f" {share:.0%}", style="dim"),
        )
    return table


def _no_mac(server: dict[str, Any], node: dict[str, Any]) -> Text:
    if node["role"] != "member":
        return Text("unresolved", style="red")
    return Text("this member" if server["name"] == node["node"] else "", style="dim")


def _outcomes(node: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("outcome", header_style="dim")
    table.add_column("packets", justify="right", header_style="dim")
    table.add_column("non-zero is", header_style="dim", style="dim")
    for name, count in node["outcomes"].items():
        if count["packets"]:
            table.add_row(name, f"{count['packets']:,}", meaning(name))
    table.add_row("seen", f"{node['seen']['packets']:,}", "", style="bold")
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
