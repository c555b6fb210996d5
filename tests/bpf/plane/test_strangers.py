"""What strangers do to a plane: detach it, remove its pins."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from remainder.kernel import attached as asking
from remainder.kernel import counters, libbpf, pins
from remainder.kernel.bpf_plane import BpfPlane
from tests.bpf.plane.bench import NODE, Bench, first, plan_of
from tests.warnings import Warned

pytestmark = [pytest.mark.root, pytest.mark.bpf]


def asked(pin: Path) -> int:
    """What keepalived is told."""
    done = subprocess.run(
        asking.command_for(str(pin)).split(), check=False, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    return done.returncode


@pytest.mark.parametrize("key", ["src_ip", "hash(src_ip)"])
def test_a_program_that_a_stranger_detached_comes_back_with_its_counters(
    bench: Bench, key: str
) -> None:
    plan = plan_of(1)
    plane = first(bench, plan)
    bench.server(plane, plan)
    pin = pins.folder_of(NODE) / "link"
    before = asked(pin)
    libbpf.detach(plane.attached.link.fd)  # type: ignore[attr-defined]

    assert (0, 1) == (before, asked(pin))
    assert 0 == plane.ifindex
    assert plane.is_pinned

    after = plan_of(1, key=key)
    prepared = bench.planes.prepare(bench.wish(after), plane)
    again = prepared.commit(Warned())
    prepared.finish()
    assert isinstance(again, BpfPlane)
    bench.server(again, after)
    told = counters.servers(again.attached.dataplane.maps, dict(again.numbers))

    assert 0 == asked(pin)
    assert again.is_pinned
    assert {("web", "s1"): 2} == {name: count.packets for name, count in told.items()}
    again.close()


def test_pins_that_a_stranger_removed_are_found_again(bench: Bench) -> None:
    plane = first(bench, plan_of(1))
    assert plane.is_pinned
    for victim in ("link", "1/program", "1/halves", "."):
        path = pins.folder_of(NODE) / victim
        if path.is_dir():
            shutil.rmtree(path.parent)
        else:
            path.unlink()
        assert not plane.is_pinned
        plane.pin()
        assert plane.is_pinned
    found = pins.find(NODE)

    assert found is not None
    assert found.now_on() == plane.ifindex
    assert 1 == asked(Path("/sys/fs/bpf/no/such/pin"))
    found.close()
    plane.close()


def test_the_pin_of_what_is_attached_is_there_all_the_time(bench: Bench) -> None:
    """Or a standby would take over for nothing."""
    plane = first(bench, plan_of(1))
    pin = pins.folder_of(NODE) / "link"
    missing: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            if not pin.exists():
                missing.append("gone")

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(20):
        libbpf.detach(plane.attached.link.fd)  # type: ignore[attr-defined]
        prepared = bench.planes.prepare(bench.wish(plan_of(1)), plane)
        again = prepared.commit(Warned())
        prepared.finish()
        assert isinstance(again, BpfPlane)
        plane = again
    over.set()
    watcher.join()
    plane.close()

    assert [] == missing
