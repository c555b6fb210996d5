"""Inside a booted Debian: the shipped unit starts, publishes, survives kill -9, stops, detaches.

Standard library alone: it runs beside the product, not within.  One line per step, with what was
found; the test on the host compares them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

LIMIT_S: Final = 300
FILE: Final = Path("/etc/remainder.toml")
UNIT: Final = Path("/etc/systemd/system/remainder.service")
HOME: Final = Path("/opt/remainder")


def call(*words: str) -> str:
    """What a command says; its errors are part of it."""
    run = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return run.stdout


def awaited(what: Callable[[], Any]) -> Any:
    """The first answer that is one, or the last that was none."""
    deadline_s = time.monotonic() + LIMIT_S
    while not (answer := what()) and time.monotonic() < deadline_s:
        time.sleep(0.5)
    return answer


def pid() -> int:
    return int(call("systemctl", "show", "--property=MainPID", "--value", "remainder") or 0)


def attached() -> int:
    """The number of the program on eth0; 0 for none."""
    found = re.search(r"prog/xdp id (\d+)", call("ip", "-d", "link", "show", "eth0"))
    return int(found[1]) if found else 0


def tables() -> str:
    """The fingerprint of what is published."""
    found = re.search(r'"tables": *"([0-9a-f]+)"', call("remainder", "status", "--json"))
    return found[1] if found else ""


def journal() -> str:
    """What the unit has said since the boot."""
    return call("journalctl", "-u", "remainder", "-b", "--no-pager", "-o", "cat")


def tell(step: str, found: object) -> None:
    print(json.dumps({"step": step, "found": found}), flush=True)


def main() -> None:
    """All steps."""
    socket.sethostname("lb1")
    for words in (
        "link add eth0 type veth peer name far",
        "addr add 192.0.2.1/24 dev eth0",
        "link set far up",
        "link set eth0 up",
    ):
        call("ip", *words.split())
    shutil.copy(HOME / "examples" / "remainder.service", UNIT)
    shutil.copy(HOME / "examples" / "web.toml", FILE)
    Path("/usr/local/bin/remainder").symlink_to(HOME / ".venv" / "bin" / "remainder")
    call("systemctl", "daemon-reload")
    tell("start", call("systemctl", "start", "remainder"))
    first, before, program = awaited(pid), awaited(tables), awaited(attached)
    tell("running", [bool(first), bool(before), bool(program)])
    text = FILE.read_text(encoding="utf-8")
    FILE.write_text(text.replace('    { name = "s3", address = "192.0.2.13" },\n', ""))
    tell("reload", call("systemctl", "reload", "remainder"))
    tell("published", awaited(lambda: tables() not in ("", before)))
    os.kill(first, signal.SIGKILL)
    tell("attached while nobody runs", attached() == program)
    another = awaited(lambda: pid() not in (0, first))
    tell("another process", another)
    tell("ready again", awaited(lambda: journal().count("ready after") == 2))
    tell("the same program", attached() == program)
    tell("stop", call("systemctl", "stop", "remainder"))
    tell("state", call("systemctl", "is-active", "remainder").strip())
    tell("kept", attached() == program)
    tell("detach", call("remainder", "detach"))
    tell("gone", not attached())
    tell("journal", journal())


if __name__ == "__main__":
    main()
