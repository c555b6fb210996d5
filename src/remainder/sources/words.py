"""What a user calls each place of the file, and what is allowed there.

A test compares these lists with the types of config.py, so none is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from remainder.config import (
    CLUSTER_MAC,
    MAX_EARLIER,
    MAX_MEMBERS,
    MAX_SERVERS,
    MAX_SERVICES,
    MAX_SLOTS,
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
from remainder.flow import PROTOCOLS
from remainder.forwarding import METHODS
from remainder.link import INTERFACE_EXPECTED
from remainder.selection import ALGORITHMS

SECTIONS: Final[Mapping[str, tuple[str, type[msgspec.Struct]]]] = {
    "": ("Remainder file", Config),
    "service[]": ("[[service]]", Service),
    "service[].servers[]": ("server", Server),
    "service[].before[]": ("[[service.before]]", EarlierServers),
    "service[].before[].servers[]": ("server", Server),
    "balancer[]": ("[[balancer]]", Balancer),
    "vrrp": ("[vrrp]", Vrrp),
    "cluster[]": ("[[cluster]]", Cluster),
    "cluster[].members[]": ("member", Member),
    "cluster[].before[]": ("[[cluster.before]]", EarlierMembers),
    "cluster[].before[].members[]": ("earlier member", EarlierMember),
    "return_path[]": ("[[return_path]]", ReturnPath),
    "return_path[].routers[]": ("router", Router),
    "return_path[].senders[]": ("sender", Sender),
}
"""Place, numbers left out → what a user calls such a table, and its type."""

_NAME: Final = "1–63 letters, digits, '.', '_' or '-', starting with a letter or digit"
_ADDRESS: Final = "an IP address in quotes, like '192.0.2.11' or '2001:db8::11'"
_SERVER: Final = '{ name = "s1", address = "192.0.2.11" }'
_MEMBER: Final = '{ name = "r1", interface = "eth0" }'
_EARLIER_MEMBER: Final = '{ name = "r1" }'
_KEY: Final = "a sum like 'src_ip + dst_ip + dst_port', or 'hash(src_ip, src_port)'"
_TABLE: Final = f"one of {', '.join(ALGORITHMS)}"
_WEIGHT: Final = "an integer, 0–255"
_SLOTS: Final = f"a prime, at most {MAX_SLOTS}"
_SLOT: Final = f"an integer, 0–{MAX_SLOTS - 1}"
_FRAGMENTS: Final = "'drop' or 'forward'"
_INTERFACE: Final = INTERFACE_EXPECTED
_VLAN: Final = "a VLAN ID, 1–4094"
_MODE: Final = "'auto', 'native' or 'generic'"

EXPECTED: Final[Mapping[str, str]] = {
    "secret": "32 hexadecimal digits in quotes",
    "secret_file": "a file path, at most 255 characters",
    "service": f"1–{MAX_SERVICES} [[service]] sections, in double brackets",
    "service[]": "a [[service]] section, in double brackets",
    "service[].name": _NAME,
    "service[].vip": _ADDRESS,
    "service[].port": '1–65535 or "any"',
    "service[].protocol": f"one of {', '.join(('any', *PROTOCOLS))}",
    "service[].key": _KEY,
    "service[].table": _TABLE,
    "service[].method": f"one of {', '.join(METHODS)}",
    "service[].servers": f"a list of 1–{MAX_SERVERS} servers, like [ {_SERVER} ]",
    "service[].servers[]": f"a server, like {_SERVER}",
    "service[].servers[].name": _NAME,
    "service[].servers[].address": _ADDRESS,
    "service[].servers[].weight": _WEIGHT,
    "service[].servers[].slot": _SLOT,
    "service[].servers[].interface": _INTERFACE,
    "service[].servers[].mode": _MODE,
    "service[].slots": _SLOTS,
    "service[].fragments": _FRAGMENTS,
    "service[].before": f"at most {MAX_EARLIER} [[service.before]] sections, in double brackets",
    "service[].before[]": "a [[service.before]] section, in double brackets",
    "service[].before[].key": _KEY,
    "service[].before[].table": _TABLE,
    "service[].before[].servers": f"a list of 1–{MAX_SERVERS} servers, like [ {_SERVER} ]",
    "service[].before[].servers[]": f"a server, like {_SERVER}",
    "service[].before[].servers[].name": _NAME,
    "service[].before[].servers[].address": _ADDRESS,
    "service[].before[].servers[].weight": _WEIGHT,
    "service[].before[].servers[].slot": _SLOT,
    "service[].before[].servers[].interface": _INTERFACE,
    "service[].before[].servers[].mode": _MODE,
    "service[].before[].slots": _SLOTS,
    "balancer": "[[balancer]] sections, in double brackets",
    "balancer[]": "a [[balancer]] section, in double brackets",
    "balancer[].name": _NAME,
    "balancer[].interface": _INTERFACE,
    "balancer[].mode": _MODE,
    "balancer[].vlan": _VLAN,
    "balancer[].assign_vips": "true or false",
    "vrrp": "one [vrrp] section, in single brackets",
    "vrrp.router_id": "an integer, 1–255",
    "vrrp.advert_interval_s": "seconds, 0.01–40.95",
    "cluster": "[[cluster]] sections, in double brackets",
    "cluster[]": "a [[cluster]] section, in double brackets",
    "cluster[].name": _NAME,
    "cluster[].address": f"{_ADDRESS}, or 'any'",
    "cluster[].key": _KEY,
    "cluster[].table": _TABLE,
    "cluster[].members": f"a list of 1–{MAX_MEMBERS} members, like [ {_MEMBER} ]",
    "cluster[].members[]": f"a member, like {_MEMBER}",
    "cluster[].members[].name": _NAME,
    "cluster[].members[].interface": _INTERFACE,
    "cluster[].members[].weight": _WEIGHT,
    "cluster[].members[].slot": _SLOT,
    "cluster[].members[].mode": _MODE,
    "cluster[].members[].vlan": _VLAN,
    "cluster[].mac": f"a MAC address in quotes, like '{CLUSTER_MAC}'",
    "cluster[].slots": _SLOTS,
    "cluster[].fragments": _FRAGMENTS,
    "cluster[].before": f"at most {MAX_EARLIER} [[cluster.before]] sections, in double brackets",
    "cluster[].before[]": "a [[cluster.before]] section, in double brackets",
    "cluster[].before[].key": _KEY,
    "cluster[].before[].table": _TABLE,
    "cluster[].before[].members": f"a list of 1–{MAX_MEMBERS} members, like [ {_EARLIER_MEMBER} ]",
    "cluster[].before[].members[]": f"a member, like {_EARLIER_MEMBER}",
    "cluster[].before[].members[].name": _NAME,
    "cluster[].before[].members[].weight": _WEIGHT,
    "cluster[].before[].members[].slot": _SLOT,
    "cluster[].before[].slots": _SLOTS,
    "return_path": "[[return_path]] sections, in double brackets",
    "return_path[]": "a [[return_path]] section, in double brackets",
    "return_path[].name": _NAME,
    "return_path[].key": _KEY,
    "return_path[].table": _TABLE,
    "return_path[].routers": f"a list of 1–{MAX_SERVERS} routers, like [ {_SERVER} ]",
    "return_path[].routers[]": f"a router, like {_SERVER}",
    "return_path[].routers[].name": _NAME,
    "return_path[].routers[].address": _ADDRESS,
    "return_path[].routers[].weight": _WEIGHT,
    "return_path[].routers[].slot": _SLOT,
    "return_path[].senders": f"a list of at least one sender, like [ {_MEMBER} ]",
    "return_path[].senders[]": f"a sender, like {_MEMBER}",
    "return_path[].senders[].name": _NAME,
    "return_path[].senders[].interface": _INTERFACE,
    "return_path[].senders[].vlan": _VLAN,
    "return_path[].services": "a list of service names",
    "return_path[].services[]": _NAME,
    "return_path[].others": "true or false",
    "return_path[].slots": _SLOTS,
    "return_path[].fragments": _FRAGMENTS,
}
"""Place, numbers left out → what is allowed there."""

EXAMPLES: Final[Mapping[str, str]] = {
    "service": "a [[service]]",
    "name": 'name = "…"',
    "vip": 'vip = "203.0.113.10"',
    "port": "port = 80",
    "protocol": 'protocol = "tcp"',
    "key": 'key = "src_ip + dst_ip + dst_port"',
    "table": 'table = "modulo"',
    "servers": f"servers = [ {_SERVER} ]",
    "address": 'address = "192.0.2.11"',
    "interface": 'interface = "eth0"',
    "router_id": "router_id = 51",
    "members": f"members = [ {_MEMBER} ]",
    "routers": f"routers = [ {_SERVER} ]",
    "senders": f"senders = [ {_MEMBER} ]",
}
"""Required key → what to add if it is missing."""
