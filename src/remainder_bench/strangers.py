"""A flood of SYNs from strangers, each from another source, at a steady pace.

Run as ``python -m remainder_bench.strangers …`` where the interface is that they
go out of: it says ``ready``, begins when stdin ends, continues until SIGTERM or
``--limit``, and ends with one line of JSON, a ``Sent``.
A process of its own, since one that waits for the kernel hears no signal in time.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict

from remainder_bench.flood_programs import Sender


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="remainder_bench.strangers", description=__doc__)
    parser.add_argument("--interface", required=True, help="the SYNs go out of it")
    parser.add_argument("--frame", required=True, type=bytes.fromhex, help="see flood.syn_of")
    parser.add_argument("--per-second", required=True, type=int)
    parser.add_argument("--first", type=int, default=0, help="number of the first source")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds in all")
    options = parser.parse_args(arguments)
    sender = Sender()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while os.read(0, 4096):
        pass
    # From here on it shall end the call into the kernel, not the process.
    signal.signal(signal.SIGTERM, lambda *_: None)
    sent = sender.send(
        options.frame,
        ifindex=socket.if_nametoindex(options.interface),
        per_s=options.per_second,
        packets=round(options.per_second * options.limit),
        first=options.first,
    )
    sys.stdout.write(json.dumps(asdict(sent)) + "\n")


if __name__ == "__main__":
    main()
