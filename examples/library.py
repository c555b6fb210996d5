#!/usr/bin/env python3
"""A tour of the library: what a file decides, and what a change would move.

Needs no root and changes nothing::

    python3 library.py
"""

# ruff: noqa: T201  (a tour talks by printing)
from __future__ import annotations

from collections import Counter
from pathlib import Path

from msgspec.structs import replace

import remainder

FILE = Path(__file__).parent / "web.toml"
VIP = "203.0.113.10:80"


def main() -> None:
    """Load, ask, compare, and look at a frame."""
    config = remainder.load(FILE)
    plan = remainder.make_plan(config)

    print("One packet, with its arithmetic:")
    decision = plan.where(remainder.parse_flow("198.51.100.7:1234", VIP))
    print("  " + "\n  ".join(remainder.explain.lines(plan, decision)))

    clients = [
        remainder.parse_flow(f"198.51.100.{number}:{port}", VIP)
        for number in range(1, 251)
        for port in range(40000, 40020, 2)
    ]
    print(f"\n{len(clients):,} flows of 250 clients:")
    for server, flows in sorted(Counter(plan.where(flow).owner for flow in clients).items()):
        print(f"  {server}  {flows:,}")

    print("\nOne more server would move:")
    s4 = remainder.Server(name="s4", address="192.0.2.14")
    for table in remainder.ALGORITHMS:
        before, after = (
            remainder.make_plan(
                remainder.Config(service=[replace(config.service[0], table=table, servers=servers)])
            )
            for servers in (config.service[0].servers, [*config.service[0].servers, s4])
        )
        moved = sum(before.where(flow).owner != after.where(flow).owner for flow in clients)
        print(f"  {table}  {moved / len(clients):.0%} of them")

    print("\nKnown skew:")
    for skew in remainder.skews(plan.choices[0].choice):
        print(f"  {skew.severity}: {skew.sentence}\n    {skew.arithmetic}")

    print("\nA whole frame, as the data plane treats it:")
    node = remainder.Node(mac="02:00:5e:00:53:02", macs={"192.0.2.11": "02:00:5e:00:53:11"})
    frame = remainder.frame_of(
        decision.flow, source_mac="02:00:5e:00:53:01", destination_mac=node.mac
    )
    result = remainder.process(plan, node, frame)
    print(f"  {result.outcome}: {frame[:14].hex()} becomes {(result.frame or b'')[:14].hex()}")


if __name__ == "__main__":
    main()
