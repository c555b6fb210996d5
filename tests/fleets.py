"""Files of a whole fleet, for tests."""

from __future__ import annotations

from typing import Any

from remainder.config import (
    Balancer,
    Cluster,
    Config,
    EarlierServers,
    Member,
    ReturnPath,
    Router,
    Sender,
    Server,
    Service,
    Vrrp,
)

SUM3 = "src_ip + dst_ip + dst_port"
SUM5 = "src_ip + src_port + dst_ip + dst_port + protocol"


def service(**changed: Any) -> Service:
    """A web service of two servers."""
    plain: dict[str, Any] = {
        "name": "web",
        "vip": "203.0.113.10",
        "port": 80,
        "protocol": "tcp",
        "key": SUM3,
        "table": "modulo",
        "servers": [
            Server(name="s1", address="192.0.2.11"),
            Server(name="s2", address="192.0.2.12"),
        ],
    }
    return Service(**plain | changed)


def servers(*names: str, **changed: Any) -> list[Server]:
    """s1 at 192.0.2.11 and so on, each a node of the file."""
    return [
        Server(
            name=name, address=f"192.0.2.{10 + int(name[1:])}", **{"interface": "eth0"} | changed
        )
        for name in names
    ]


def changing(**changed: Any) -> Service:
    """From three servers under the sum of five fields to four under that of three."""
    plain: dict[str, Any] = {
        "servers": servers("s1", "s2", "s3", "s4"),
        "before": [
            EarlierServers(key=SUM5, table="modulo", servers=servers("s1", "s2", "s3")),
        ],
    }
    return service(**plain | changed)


def cluster(**changed: Any) -> Cluster:
    """Three routers that take whatever comes."""
    plain: dict[str, Any] = {
        "name": "routers",
        "address": "any",
        "key": SUM3,
        "table": "modulo",
        "members": [Member(name=f"r{number}", interface="eth0") for number in (1, 2, 3)],
    }
    return Cluster(**plain | changed)


def return_path(**changed: Any) -> ReturnPath:
    """Servers s1 and s2 answer through three routers."""
    plain: dict[str, Any] = {
        "name": "back",
        "key": SUM3,
        "table": "modulo",
        "routers": [Router(name=f"r{number}", address=f"192.0.2.{number}") for number in (1, 2, 3)],
        "senders": [Sender(name=name, interface="eth0") for name in ("s1", "s2")],
    }
    return ReturnPath(**plain | changed)


def fleet(**changed: Any) -> Config:
    """Two balancers, three routers, two servers, one file."""
    plain: dict[str, Any] = {
        "service": [service()],
        "balancer": [Balancer(name=name, interface="eth0") for name in ("lb1", "lb2")],
        "vrrp": Vrrp(router_id=51),
        "cluster": [cluster()],
        "return_path": [return_path()],
        "secret": "00" * 16,
    }
    return Config(**plain | changed)
