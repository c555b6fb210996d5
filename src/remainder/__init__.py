"""Remainder: a stateless layer-4 load balancer for Linux.  The server is the remainder.

The library needs no root and does no I/O but reading files::

    >>> import remainder
    >>> config = remainder.loads('''
    ... [[service]]
    ... name = "web"
    ... vip = "203.0.113.10"
    ... port = 80
    ... protocol = "tcp"
    ... key = "src_ip + dst_ip + dst_port"
    ... table = "modulo"
    ... servers = [ { name = "s1", address = "192.0.2.11" },
    ...             { name = "s2", address = "192.0.2.12" } ]
    ... ''')
    >>> plan = remainder.make_plan(config)
    >>> decision = plan.where(remainder.parse_flow("198.51.100.7:1234", "203.0.113.10:80", "tcp"))
    >>> decision.key, decision.slots, decision.slot, decision.server
    (6731060577, 2, 1, 's2')
    >>> plan.services[0].table
    array([0, 1], dtype=uint16)
"""

from typing import Final

from remainder.config import Balancer, Config, Server, Service
from remainder.errors import ConfigError, Disagreement, HostError, RemainderError, Unsupported
from remainder.flow import Address, Flow, parse_endpoint, parse_flow, parse_protocol
from remainder.frame import frame_of
from remainder.outcome import Outcome
from remainder.plan import Decision, Plan, PlannedService, make_plan
from remainder.reference import Node, Result, process
from remainder.schema import json_schema
from remainder.selection import ALGORITHMS, Table
from remainder.selection.key import FIELDS, Key, parse_key
from remainder.selection.siphash import siphash13
from remainder.selection.skew import Skew, skews
from remainder.sources.file import load, loads

__version__: Final = "0.1.0"

__all__ = [
    "ALGORITHMS",
    "FIELDS",
    "Address",
    "Balancer",
    "Config",
    "ConfigError",
    "Decision",
    "Disagreement",
    "Flow",
    "HostError",
    "Key",
    "Node",
    "Outcome",
    "Plan",
    "PlannedService",
    "RemainderError",
    "Result",
    "Server",
    "Service",
    "Skew",
    "Table",
    "Unsupported",
    "__version__",
    "frame_of",
    "json_schema",
    "load",
    "loads",
    "make_plan",
    "parse_endpoint",
    "parse_flow",
    "parse_key",
    "parse_protocol",
    "process",
    "siphash13",
    "skews",
]
