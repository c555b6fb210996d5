"""How ``demo`` looks in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from remainder.cli.counting import counted
from remainder_lab.acts import Formula, Killed, Shown
from remainder_lab.balanced import Balanced

_BAR = 30
_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")


class Stage:
    """Prints acts, and draws while they run."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)

    def say(self, text: str) -> None:
        """A plain line."""
        self._console.print(Text(text))

    def remark(self, text: str) -> None:
        """Background for the viewer."""
        self._console.print(Text(text, style="dim"))

    def title(self, name: str, what: str) -> None:
        """A scene begins."""
        self._console.print()
        self._console.rule(Text(name, style="bold"), align="left", style="dim")
        self._console.print(Text(what))

    def happens(self, what: str) -> None:
        """Something happens in the scene."""
        self._marked(("›", "cyan"), Text(what, style="cyan"))

    def found(self, good: object, text: str) -> None:
        """A result: passed or failed."""
        self._line(good, text)

    def topology(self, scene: Balanced) -> None:
        """The network, as a drawing."""
        count = len(scene.client_addresses[4])
        rows = [
            (f"{count} clients ── router ──┬── ", "balancer", f"   VIP {scene.vips[4]}"),
        ]
        pad = " " * (len(rows[0][0]) - 4)
        names = list(scene.servers)
        for name in names:
            corner = "└" if name == names[-1] else "├"
            rows.append((f"{pad}{corner}── ", name, "         HTTP and UDP echo"))
        drawing = Text()
        for number, (line, name, note) in enumerate(rows):
            colour = "bold" if number == 0 else _COLOURS[(number - 1) % len(_COLOURS)]
            drawing.append(line).append(name, style=colour).append(f"{note}\n", style="dim")
        drawing.append(
            "requests: clients → router → balancer → server\nanswers:  server → router → clients",
            style="dim",
        )
        self._console.print(Panel(drawing, title="one service", title_align="left", expand=False))

    @contextmanager
    def act(
        self, formula: Formula, servers: tuple[str, ...]
    ) -> Iterator[Callable[[Mapping[str, int]], None]]:
        """Draw bars while a formula's traffic runs."""
        self._console.print()
        self._heading(formula.title, formula.remark)
        self._indented(Text(f"({formula.key}) % N, {formula.table}", style="cyan"))
        with self._bars(servers) as look:
            yield look

    @contextmanager
    def kill(
        self, pid: int, servers: tuple[str, ...]
    ) -> Iterator[Callable[[Mapping[str, int]], None]]:
        """Draw bars while the data plane runs without a process."""
        self._console.print()
        self._heading("Kill it", "kill -9 of the control process, under traffic")
        self._indented(Text(f"$ kill -9 {pid}", style="cyan"))
        with self._bars(servers) as look:
            yield look

    @contextmanager
    def _bars(self, servers: tuple[str, ...]) -> Iterator[Callable[[Mapping[str, int]], None]]:
        with Live(console=self._console, auto_refresh=False) as live:
            yield lambda packets: live.update(_bars(servers, packets), refresh=True)
        if not self._console.is_terminal:
            self._console.print()  # to a file or a pipe the last picture lacks its newline

    def result(self, shown: Shown) -> None:
        """What the servers counted."""
        self._line(
            not shown.failed,
            f"{shown.sessions} TCP and UDP sessions of {shown.clients} clients, "
            f"IPv4 and IPv6: {shown.failed} failed",
        )
        self._line(
            not shown.torn, f"{counted(shown.torn, 'session')} had packets at more than one server"
        )
        self._line(
            not shown.misdirected,
            f"{shown.misdirected} reached another server than the calculation names",
        )
        example = shown.example
        self._indented(
            Text(f"e.g. {example.flow}:  {example.key} % {example.slots} = {example.slot}"
                 f"  →  {example.owner}", style="dim"),
            by=4,
        )  # fmt: skip

    def killed(self, killed: Killed) -> None:
        """Whether any session noticed."""
        self._line(
            killed.forwarded_alone > 0,
            f"the kernel forwarded {killed.forwarded_alone:,} packets in "
            f"{killed.alone_s:.1f} s without a control process; then a new one took over",
        )
        self._line(
            not killed.failed,
            f"{killed.held} open sessions ({killed.requests:,} requests) and {killed.short} new "
            f"ones: {killed.failed} failed, longest wait {killed.longest_wait_s * 1000:.0f} ms",
        )
        self._console.print()

    def _line(self, good: object, text: str) -> None:
        self._marked(("✓", "green") if good else ("✗", "bold red"), Text(text))

    def _heading(self, title: str, remark: str) -> None:
        self._console.print(Text.assemble((title, "bold"), (f" — {remark}", "dim")))

    def _indented(self, text: Text, *, by: int = 2) -> None:
        self._console.print(Padding(text, (0, 0, 0, by), expand=False))

    def _marked(self, mark: tuple[str, str], text: Text) -> None:
        """A line that wraps with a hanging indent on a narrow terminal."""
        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_row(Text(*mark), text)
        self._console.print(Padding(line, (0, 0, 0, 2), expand=False))


def _bars(servers: tuple[str, ...], packets: Mapping[str, int]) -> Table:
    total = sum(packets.values()) or 1
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    for number, server in enumerate(servers):
        count = packets.get(server, 0)
        table.add_row(
            f"  {server}",
            Text("█" * round(count / total * _BAR), style=_COLOURS[number % len(_COLOURS)]).append(
                "·" * (_BAR - round(count / total * _BAR)), style="dim"
            ),
            f"{count:>6,} packets",
            f"{count / total:>4.0%}",
        )
    return table
