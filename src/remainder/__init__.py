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
    >>> decision.key, decision.slots, decision.slot, decision.owner
    (6731060577, 2, 1, 's2')
    >>> plan.choices[0].table
    array([0, 1], dtype=uint16)
"""

from remainder import explain
from remainder.answers import Answers
from remainder.change.chance import Breaks
from remainder.change.classes import Classes
from remainder.change.difference import Basis, Difference, OwnerChange, Shift
from remainder.change.flow_lists import Seen, read_flows
from remainder.change.outlook import Outlook, outlook
from remainder.change.sessions import Counted, Sessions
from remainder.choice import (
    Choice,
    Match,
    Owner,
    OwnerState,
    Written,
    choice_of,
    cluster_choices,
    owner_states,
    return_choices,
)
from remainder.config import (
    Balancer,
    Cluster,
    Config,
    EarlierMember,
    EarlierMembers,
    EarlierServers,
    Member,
    ReturnPath,
    Router,
    Sender,
    Server,
    Service,
    Vrrp,
)
from remainder.errors import ConfigError, Disagreement, HostError, RemainderError, Unsupported
from remainder.file_schema import json_schema
from remainder.fleet import (
    Part,
    Tier,
    member_plan,
    nodes_of,
    parts_of,
    return_plan,
    server_plan,
    tiers_of,
)
from remainder.flow import Address, Flow, parse_endpoint, parse_flow, parse_protocol
from remainder.flows import Flows
from remainder.lint.both_ways import Parting, partings
from remainder.lint.skew import Skew, skews
from remainder.lint.without_chance import WithoutChance, without_chance
from remainder.observe.agreement import Comparison, Coverage, compare, coverage, difference
from remainder.outcome import Outcome, Verdict
from remainder.plan import Calculated, Decision, Plan, PlannedChoice, Role, make_plan
from remainder.reference import Knowledge, Node, Result, Sockets, Tcp, frame_of, process, read_flow
from remainder.selection import ALGORITHMS, Algorithm, Table
from remainder.selection.key import FIELDS, Key, parse_key
from remainder.selection.siphash import siphash13
from remainder.sources.file import load, loads
from remainder.validation import validate

__version__ = "0.1.0"

__all__ = [
    "ALGORITHMS",
    "FIELDS",
    "Address",
    "Algorithm",
    "Answers",
    "Balancer",
    "Basis",
    "Breaks",
    "Calculated",
    "Choice",
    "Classes",
    "Cluster",
    "Comparison",
    "Config",
    "ConfigError",
    "Counted",
    "Coverage",
    "Decision",
    "Difference",
    "Disagreement",
    "EarlierMember",
    "EarlierMembers",
    "EarlierServers",
    "Flow",
    "Flows",
    "HostError",
    "Key",
    "Knowledge",
    "Match",
    "Member",
    "Node",
    "Outcome",
    "Outlook",
    "Owner",
    "OwnerChange",
    "OwnerState",
    "Part",
    "Parting",
    "Plan",
    "PlannedChoice",
    "RemainderError",
    "Result",
    "ReturnPath",
    "Role",
    "Router",
    "Seen",
    "Sender",
    "Server",
    "Service",
    "Sessions",
    "Shift",
    "Skew",
    "Sockets",
    "Table",
    "Tcp",
    "Tier",
    "Unsupported",
    "Verdict",
    "Vrrp",
    "WithoutChance",
    "Written",
    "__version__",
    "choice_of",
    "cluster_choices",
    "compare",
    "coverage",
    "difference",
    "explain",
    "frame_of",
    "json_schema",
    "load",
    "loads",
    "make_plan",
    "member_plan",
    "nodes_of",
    "outlook",
    "owner_states",
    "parse_endpoint",
    "parse_flow",
    "parse_key",
    "parse_protocol",
    "partings",
    "parts_of",
    "process",
    "read_flow",
    "read_flows",
    "return_choices",
    "return_plan",
    "server_plan",
    "siphash13",
    "skews",
    "tiers_of",
    "validate",
    "without_chance",
]
