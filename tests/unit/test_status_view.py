"""What ``status`` shows in a window of any size: nothing cut in the middle, what matters first."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from remainder.cli.status_view import View


def service(number: int, *, mac: str | None = "02:00:5e:00:53:11") -> dict[str, Any]:
    return {
        "name": f"web-{number}",
        "vip": "203.0.113.10",
        "port": 80,
        "protocol": "tcp",
        "key": "src_ip + src_port + dst_ip + dst_port + protocol",
        "table": "maglev",
        "slots": 65_537,
        "method": "l2",
        "fragments": "drop",
        "servers": [
            {
                "name": f"s{at}",
                "address": f"192.0.2.{10 + at}",
                "mac": mac,
                "weight": 1,
                "slots": 21_846,
                "slot": None,
                "packets": 1_234_567,
                "bytes": 98_765_432,
                "recent_packets": 100 * at,
                "silent_since": None,
                "silent_s": None,
            }
            for at in range(1, 4)
        ],
        "before": [],
    }


def report(
    *services: dict[str, Any],
    refused: dict[str, str] | None = None,
    trouble: str | None = None,
) -> dict[str, Any]:
    return {
        "node": "lb1",
        "role": "balancer",
        "interface": "eth0",
        "mode": "native",
        "process": 8719,
        "attached": True,
        "refused": refused,
        "trouble": trouble,
        "file": "remainder.toml",
        "published": 1,
        "fingerprint": {"file": "", "tables": "70495144e9f0" * 4, "program": ""},
        "program": {"id": 1, "instructions": 1162},
        "assigned": [],
        "recent_s": 63.5,
        "services": list(services),
        "outcomes": {
            "forwarded": {"packets": 1_234_567, "bytes": 1},
            "unresolved": {"packets": 12, "bytes": 1},
            "malformed": {"packets": 0, "bytes": 0},
        },
        "seen": {"packets": 1_234_579, "bytes": 1},
    }


def watched(width: int, height: int, *services: dict[str, Any], looks: int = 2) -> list[str]:
    """The lines of ``status --watch`` after some looks, a second apart."""
    out = StringIO()
    console = Console(
        file=out,
        width=width,
        height=height,
        force_terminal=True,
        color_system=None,
        legacy_windows=False,
    )
    view = View(console)
    for second in range(looks):
        picture = view.window([report(*services)], float(second))
    console.print(picture)
    return out.getvalue().splitlines()


WINDOWS = pytest.mark.parametrize(("width", "height"), [(60, 15), (80, 24), (40, 10), (200, 50)])


@WINDOWS
def test_a_watched_picture_fits_its_window(width: int, height: int) -> None:
    lines = watched(width, height, *(service(number) for number in range(9)))

    assert len(lines) < height
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(("width", "height"), [(60, 15), (80, 24)])
def test_no_number_is_cut_in_a_small_window(width: int, height: int) -> None:
    lines = watched(width, height, service(0))
    text = "\n".join(lines)

    assert 3 == sum("1,234,567" in line and "192.0.2." in line for line in lines)
    assert "33%" in text
    assert "…" not in text


def test_a_small_window_has_the_outcomes_before_the_servers_and_names_what_it_leaves_out() -> None:
    lines = watched(60, 15, *(service(number) for number in range(9)))
    at = {
        word: next(n for n, line in enumerate(lines) if word in line)
        for word in ("lb1", "unresolved", "web-0")
    }

    assert at["lb1"] < at["unresolved"] < at["web-0"]
    assert lines[-1].startswith("… ")
    assert lines[-1].endswith(" more lines; enlarge the window")


def test_a_large_window_has_everything_and_the_services_first() -> None:
    lines = watched(200, 50, service(0))
    text = "\n".join(lines)

    assert text.index("web-0") < text.index("outcome")
    assert "02:00:5e:00:53:11" in text
    assert "98.8 MB" in text
    assert "Normal: sent to its server." in text


def test_a_server_that_was_never_found_is_marked_without_the_column_of_macs_too() -> None:
    lines = watched(60, 15, service(0, mac=None))

    assert not [line for line in lines if "MAC" in line]
    assert 3 == sum("unresolved" in line and "192.0.2." in line for line in lines)


def shown(what: dict[str, Any], *, width: int = 200) -> list[str]:
    out = StringIO()
    View(Console(file=out, width=width)).show([report(what)])
    return [line for line in out.getvalue().splitlines() if "192.0.2." in line]


def test_the_share_is_that_of_the_last_minute_and_the_total_stands_beside_it() -> None:
    assert [["17%", "33%"], ["33%", "33%"], ["50%", "33%"]] == [
        [word for word in line.split() if word.endswith("%")] for line in shown(service(0))
    ]


def test_where_nobody_counts_there_is_only_the_total() -> None:
    what = service(0)
    for server in what["servers"]:
        server["recent_packets"] = None

    assert 3 * [["33%"]] == [
        [word for word in line.split() if word.endswith("%")] for line in shown(what)
    ]


@pytest.mark.parametrize(
    ("silent_s", "words"),
    [(0, "silent 0 s"), (119, "silent 119 s"), (185, "silent 3 min"), (7300, "silent 2 h")],
)
@pytest.mark.parametrize("width", [60, 200])
def test_a_silent_server_is_marked_with_how_long_in_any_window(
    silent_s: int, words: str, width: int
) -> None:
    what = service(0)
    what["servers"][1]["silent_s"] = silent_s
    lines = [line for line in watched(width, 50, what) if "192.0.2." in line]

    assert [False, True, False] == [words in line for line in lines]


def test_rates_are_of_the_same_server_however_often_the_picture_is_drawn() -> None:
    """The first look has none."""
    first, second = watched(60, 15, service(0), looks=1), watched(60, 15, service(0), looks=2)

    assert first != second


def piped(*nodes: dict[str, Any], looks: int) -> str:
    """What ``status --watch`` writes into a pipe until Ctrl-C."""
    out, left = StringIO(), iter([[*nodes]] * looks)

    def look() -> list[dict[str, Any]]:
        try:
            return next(left)
        except StopIteration:
            raise KeyboardInterrupt from None

    View(Console(file=out, width=250)).follow(look, 0.001)
    return out.getvalue()


def test_a_pipe_is_given_one_picture_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    lost = {"node": "lb2", "role": "balancer", "error": "no data plane"}
    text = piped(report(service(0)), lost, looks=2)

    assert 2 == text.count("lb1  balancer")
    assert "\x1b" not in text
    assert "lb2" not in text
    assert 2 * "lb2 (balancer): no data plane\n" == capsys.readouterr().err


def test_a_pipe_is_given_no_blanks_at_the_end_of_a_line() -> None:
    out = StringIO()
    View(Console(file=out, width=250)).show([report(service(0))])

    for line in [*out.getvalue().splitlines(), *piped(report(service(0)), looks=1).splitlines()]:
        assert line.rstrip() == line


def test_what_the_host_refuses_is_named_beside_what_runs() -> None:
    out = StringIO()
    View(Console(file=out, width=200)).show([report(service(0), trouble="no more addresses")])

    assert "the host refuses: no more addresses; trying again" in out.getvalue()


def test_a_refused_file_is_named_beside_what_runs() -> None:
    out = StringIO()
    view = View(Console(file=out, width=200))
    view.show(
        [
            report(
                service(0),
                refused={"at": "2026-01-02 03:04:05+01:00", "sentence": "r.toml:7: no such key"},
            )
        ]
    )

    assert (
        "file changed at 2026-01-02 03:04:05+01:00 but was rejected: r.toml:7: no such key; "
        "still running the previous one"
    ) in out.getvalue()
