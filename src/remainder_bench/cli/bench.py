"""``remainder bench``: what a packet costs, beside programs that do less or remember more."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

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
"""(program, flows): what stands beside ours in every run."""


@click.command(name="bench")
@click.argument("file", type=click.Path(path_type=Path), metavar="[FILE]", required=False)
@click.option("--all", "every", is_flag=True, help="every combination of the axes: minutes")
@click.option(
    "--case", "cases", multiple=True, metavar="GLOB",
    help="only these of FILE, else of every combination, --all or not, like 'ipv6/*'; "
    "the reference rows parse-only/* and remember/* stand beside them in any case",
)  # fmt: skip
@click.option("--rounds", type=click.IntRange(1, 1000), default=9, show_default=True)
@click.option("--program", metavar="PIN|ID", help="time this loaded XDP program instead of ours")
@click.option("--packet", metavar="HEX", help="the frame for --program, Ethernet header first")
@click.option(
    "--want", type=click.Choice(["drop", "pass", "tx", "redirect"]), help="its verdict on it"
)
@click.option("--control", is_flag=True, help="the control plane instead: start, publish, check")
@click.option("--wire", is_flag=True, help="packets and connections per second, beside others")
@click.option("--flood", is_flag=True, help="clients under a flood of SYNs, beside nftables")
@click.option(
    "--seconds", type=click.FloatRange(1, 60), default=6, show_default=True, help="of each flood"
)
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="PATH", callback=writable,
    help="write a page with a picture",
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
    """Time the data plane, off the wire: nothing is attached, nothing changed.  Needs root.

    Without FILE: plans that are built in, over the axes kind of packet, flows,
    method, key, services and servers.  With FILE: the program as it runs for
    that file.  Every number is net of a program that only returns.

    --wire and --flood send real packets, in namespaces that are made for it
    and removed again.
    """
    if os.geteuid() != 0:
        raise HostError(
            f"timing a data plane loads it into the kernel, which takes root; try `{sudo()}`"
        )
    if (program is None) != (packet is None) or (program is None) != (want is None):
        raise click.UsageError("--program, --packet and --want belong together")
    alone = control + wire + flood
    if alone > 1 or (alone and (file or every or cases or program)):
        raise click.UsageError("--control, --wire and --flood stand alone")
    if control and html:
        raise click.UsageError("--control has no page; take --json")
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

    mode = "test run of the kernel, off the wire"
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
            f"{text[:40]!r} is not hexadecimal; write every byte as two digits",
            param_hint="--packet",
        ) from None


def _tell(report: Report, html: Path | None, *, as_json: bool) -> None:
    from remainder_bench.report import as_plain, as_text  # noqa: PLC0415

    click.echo(json.dumps(as_plain(report), indent=2) if as_json else as_text(report))
    if html is not None:
        from remainder_bench.cli.bench_page import page  # noqa: PLC0415

        html.write_text(page(report), encoding="utf-8")
    if report.faults:
        raise Disagreement(f"numbers above mean nothing: {'; '.join(report.faults)}")


def _control(*, as_json: bool) -> None:
    from remainder_bench import control  # noqa: PLC0415

    result = control.measure()
    click.echo(
        json.dumps(control.as_plain(result), indent=2) if as_json else control.as_text(result)
    )


def _wire(rounds: int, html: Path | None, *, as_json: bool) -> None:
    from remainder_bench import connections, machine, wire, wire_report  # noqa: PLC0415

    with _progress("rounds of packets", rounds) as told:
        speeds = wire.measure(rounds=rounds, told=told)
    beside = connections.rounds_beside(rounds)
    with _progress("rounds of connections", beside) as told:
        connected = connections.measure(rounds=beside, told=told)
    report = wire_report.WireReport(
        machine.this_machine("veths of a lab, native XDP unless said otherwise"),
        speeds=tuple(speeds),
        connections=tuple(connected),
        notes=tuple(connections.notes()),
    )
    plain = wire_report.as_plain(report)
    click.echo(json.dumps(plain, indent=2) if as_json else wire_report.as_text(report))
    if html is not None:
        from remainder_bench.cli.bench_page import wire_page  # noqa: PLC0415

        html.write_text(wire_page(report), encoding="utf-8")
    if report.faults:
        raise Disagreement(f"numbers above mean nothing: {'; '.join(report.faults)}")


def _flood(seconds: float, html: Path | None, *, as_json: bool) -> None:
    from remainder_bench import flood, flood_bed, flood_report, machine  # noqa: PLC0415

    with _progress("floods", len(flood.PER_S) * len(flood_bed.PLANES)) as told:
        levels = flood.measure(seconds=seconds, told=told)
    report = flood_report.FloodReport(
        machine.this_machine("an XDP switch of a lab, native XDP, one queue on one CPU"),
        seconds,
        tuple(levels),
    )
    plain = flood_report.as_plain(report)
    click.echo(json.dumps(plain, indent=2) if as_json else flood_report.as_text(report))
    if html is not None:
        from remainder_bench.cli.flood_page import page  # noqa: PLC0415

        html.write_text(page(report), encoding="utf-8")
    if report.faults:
        raise Disagreement(f"numbers above mean nothing: {'; '.join(report.faults)}")
