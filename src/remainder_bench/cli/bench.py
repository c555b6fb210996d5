"""``remainder bench``: what a packet costs, compared with simpler and with stateful programs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from remainder.cli.documents import show
from remainder.cli.options import end_cleanly, json_option, sudo, writable
from remainder.errors import Disagreement, HostError
from remainder.plan import make_plan
from remainder.sources.file import load

if TYPE_CHECKING:
    from remainder_bench.report import Report

PEERS: Final = (
    ("parse_only", "4k"),
    ("remember", "1"),
    ("remember", "4k"),
    ("remember", "1M"),
    ("remember", "new"),
)
"""(program, flows): the reference rows of every run."""


@click.command(name="bench")
@click.argument("file", type=click.Path(path_type=Path), metavar="[FILE]", required=False)
@click.option("--all", "every", is_flag=True, help="all combinations of the axes (takes minutes)")
@click.option(
    "--case", "cases", multiple=True, metavar="GLOB",
    help="only cases matching GLOB (e.g. 'ipv6/*'); reference rows are always included",
)  # fmt: skip
@click.option(
    "--rounds", type=click.IntRange(1, 1000), default=9, show_default=True,
    help="number of measurements of each case",
)  # fmt: skip
@click.option("--program", metavar="PIN|ID", help="benchmark this loaded XDP program instead")
@click.option("--packet", metavar="HEX", help="frame for --program, from the Ethernet header on")
@click.option(
    "--want", type=click.Choice(["drop", "pass", "tx", "redirect"]),
    help="verdict that --program must return for --packet",
)  # fmt: skip
@click.option("--control", is_flag=True, help="benchmark the control plane: start, publish, check")
@click.option("--wire", is_flag=True, help="packets and connections per second, against others")
@click.option("--flood", is_flag=True, help="service under a SYN flood, against nftables")
@click.option(
    "--seconds", type=click.FloatRange(1, 60), default=6, show_default=True,
    help="duration of each flood, in seconds",
)  # fmt: skip
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="PATH", callback=writable,
    help="also write an HTML page with a chart",
)  # fmt: skip
@json_option
def command(
    file: Path | None,
    *,
    every: bool,
    cases: tuple[str, ...],
    rounds: int,
    program: str | None,
    packet: str | None,
    want: str | None,
    control: bool,
    wire: bool,
    flood: bool,
    seconds: float,
    html: Path | None,
    as_json: bool,
) -> None:
    """Benchmark the data plane in memory (BPF_PROG_TEST_RUN); nothing is attached.

    Without FILE, built-in plans over the axes kind of packet, flows, method,
    key, services and servers; with FILE, the program as it runs for that file.
    Times are net of a program that only returns.

    --wire and --flood send real packets, in temporary namespaces.  Needs root.
    """
    if os.geteuid() != 0:
        raise HostError(
            f"a benchmark loads programs into the kernel, which requires root; try `{sudo()}`",
            id="needs-root",
        )
    if (program is None) != (packet is None) or (program is None) != (want is None):
        raise click.UsageError("--program, --packet and --want must be given together")
    alone = control + wire + flood
    if alone > 1 or (alone and (file or every or cases or program)):
        raise click.UsageError(
            "--control, --wire and --flood cannot be combined with each other or with FILE, "
            "--all, --case, --program"
        )
    if control and html:
        raise click.UsageError("--control cannot write --html; use --json")
    end_cleanly()
    if alone:
        from remainder_lab import remove_leftovers  # noqa: PLC0415  (only as root)

        remove_leftovers()
    if control:
        _control(as_json=as_json)
        return
    if wire:
        _wire(rounds, html, as_json=as_json)
        return
    if flood:
        _flood(seconds, html, as_json=as_json)
        return
    if program is not None:
        frame = _bytes(packet or "")
        with _program(program) as descriptor:
            foreign = (descriptor, frame, want or "")
            report = _measure(rounds, program=foreign, name=f"--program {program}")
    else:
        report = _measure(rounds, file=file, every=every, patterns=cases)
    _tell(report, html, as_json=as_json)


def _measure(
    rounds: int,
    *,
    file: Path | None = None,
    every: bool = False,
    patterns: Sequence[str] = (),
    program: tuple[int, bytes, str] | None = None,
    name: str | None = None,
) -> Report:
    from remainder_bench import cases, machine, micro  # noqa: PLC0415  (only as root)
    from remainder_bench.report import Report  # noqa: PLC0415
    from remainder_bench.stopwatch import stopwatch  # noqa: PLC0415

    mode = "in memory (BPF_PROG_TEST_RUN)"
    with ExitStack() as stack:
        watch = stack.enter_context(stopwatch())
        only_return, trials = stack.enter_context(micro.reference_trials(PEERS))
        if program is not None:
            trials += micro.foreign_trials(*program)
            mode += f", frame {program[1].hex()}"
        else:
            beside = [micro.reference_name(*peer) for peer in PEERS]
            if file is not None:
                subjects = cases.subjects_of(make_plan(load(file)))
                mode += f", {file}"
                wanted = cases.matching([item.name for item in subjects] + beside, patterns)
                subjects = [subject for subject in subjects if subject.name in wanted]
            else:
                points = cases.grid() if every or patterns else cases.default()
                wanted = cases.matching([point.name for point in points] + beside, patterns)
                subjects = [cases.subject(point) for point in points if point.name in wanted]
            trials += stack.enter_context(micro.trials_of(subjects))
        with _progress("rounds", rounds) as told:
            rows = micro.measure(watch, only_return, trials, rounds=rounds, told=told)
    return Report(machine.this_machine(mode, name), rounds, tuple(rows))


@contextmanager
def _progress(what: str, total: int) -> Iterator[Any]:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def _program(name: str) -> Iterator[int]:
    from remainder.kernel import libbpf  # noqa: PLC0415

    descriptor = libbpf.program_by_id(int(name)) if name.isdecimal() else libbpf.pinned(Path(name))
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _bytes(text: str) -> bytes:
    digits = re.sub(r"[\s:]", "", text)
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise click.BadParameter(
            f"{text[:40]!r} is not hexadecimal; write two digits for each byte",
            param_hint="--packet",
        ) from None


def _tell(report: Report, html: Path | None, *, as_json: bool) -> None:
    from remainder_bench.cli.bench_documents import PacketsDocument  # noqa: PLC0415
    from remainder_bench.report import as_plain, as_text  # noqa: PLC0415

    if as_json:
        show(msgspec.convert(as_plain(report), PacketsDocument))
    else:
        click.echo(as_text(report))
    if html is not None:
        from remainder_bench.cli.bench_page import page  # noqa: PLC0415

        html.write_text(page(report), encoding="utf-8")
    _raise_for(report.faults)


def _raise_for(faults: Sequence[str]) -> None:
    if faults:
        raise Disagreement(
            f"the results above are invalid: {'; '.join(faults)}", id="results-invalid"
        )


def _control(*, as_json: bool) -> None:
    from remainder_bench import control  # noqa: PLC0415
    from remainder_bench.cli.bench_documents import ControlDocument  # noqa: PLC0415

    result = control.measure()
    if as_json:
        show(msgspec.convert(control.as_plain(result), ControlDocument))
    else:
        click.echo(control.as_text(result))


def _wire(rounds: int, html: Path | None, *, as_json: bool) -> None:
    from remainder_bench import connections, machine, wire, wire_report  # noqa: PLC0415
    from remainder_bench.cli.bench_documents import WireDocument  # noqa: PLC0415

    with _progress("rounds of packets", rounds) as told:
        speeds = wire.measure(rounds=rounds, told=told)
    beside = connections.rounds_beside(rounds)
    with _progress("rounds of connections", beside) as told:
        connected = connections.measure(rounds=beside, told=told)
    report = wire_report.WireReport(
        machine.this_machine("veth pairs, native XDP unless noted"),
        speeds=tuple(speeds),
        connections=tuple(connected),
        notes=tuple(connections.notes()),
    )
    if as_json:
        show(msgspec.convert(wire_report.as_plain(report), WireDocument))
    else:
        click.echo(wire_report.as_text(report))
    if html is not None:
        from remainder_bench.cli.bench_page import wire_page  # noqa: PLC0415

        html.write_text(wire_page(report), encoding="utf-8")
    _raise_for(report.faults)


def _flood(seconds: float, html: Path | None, *, as_json: bool) -> None:
    from remainder_bench import flood, flood_bed, flood_report, machine  # noqa: PLC0415
    from remainder_bench.cli.bench_documents import FloodDocument  # noqa: PLC0415

    with _progress("floods", len(flood.PER_S) * len(flood_bed.PLANES)) as told:
        levels = flood.measure(seconds=seconds, told=told)
    report = flood_report.FloodReport(
        machine.this_machine("XDP switch, native XDP, one queue on one CPU"),
        seconds,
        tuple(levels),
    )
    if as_json:
        show(msgspec.convert(flood_report.as_plain(report), FloodDocument))
    else:
        click.echo(flood_report.as_text(report))
    if html is not None:
        from remainder_bench.cli.flood_page import page  # noqa: PLC0415

        html.write_text(page(report), encoding="utf-8")
    _raise_for(report.faults)
