"""Claim 44 alone: a file with a [[return_path]] and nothing else, on a server that sends."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from remainder.fleet import parts_of
from remainder.flow import Flow
from remainder.sources.file import load
from remainder_lab import End, Host, Wire
from remainder_lab.host import python_module
from tests.lab.straight import no_program

pytestmark = [pytest.mark.root, pytest.mark.bpf]

FILE = """
[[return_path]]
name    = "back"
key     = "src_ip"
table   = "modulo"
others  = true
routers = [ {{ name = "r1", address = "192.0.2.1" }}, {{ name = "r2", address = "192.0.2.2" }} ]
senders = [ {{ name = "{node}", interface = "eth0" }} ]
"""
CLIENTS = [f"198.51.100.{number}" for number in range(1, 41)]
PORT = 9


@pytest.fixture
def server() -> Iterator[Host]:
    """A server, and one machine at the other end that has the addresses of both routers."""
    with ExitStack() as stack:
        node, routers = (stack.enter_context(Host(name)) for name in ("n1", "r1"))
        ends = (
            End(host=node, interface="eth0", addresses=["192.0.2.11/24"]),
            End(host=routers, interface="eth0", addresses=["192.0.2.1/24", "192.0.2.2/24"]),
        )
        stack.enter_context(Wire(*ends, pass_all=no_program))
        yield node


def test_it_runs_and_sends_every_flow_through_the_router_of_the_calculation(
    server: Host, tmp_path: Path
) -> None:
    name = server.namespace
    path = tmp_path / "r.toml"
    path.write_text(FILE.format(node=name))
    server.netlink(_default_route)
    process = server.popen(python_module("remainder", "run", str(path), "--node", name))
    process.wait_for("ready", timeout_s=30)
    server.call(_send)
    done = server.run([sys.executable, "-m", "remainder", "status", "--node", name, "--json"])
    process.terminate()
    (node,) = json.loads(done.stdout)["nodes"]
    four = next(service for service in node["services"] if service["name"] == "back/ipv4")
    counted = {router["name"]: router["packets"] for router in four["servers"]}
    (part,) = parts_of(load(path), name)
    flows = [Flow(client, PORT, "192.0.2.11", PORT, 17) for client in CLIENTS]
    owners = [part.plan.where(flow).owner for flow in flows]

    assert "sender" == node["role"]
    assert {"r1", "r2"} == set(owners)
    assert {router: owners.count(router) for router in counted} == counted


def _default_route(ip: IPRoute) -> None:
    ip.route("add", dst="default", gateway="192.0.2.1")


def _send() -> None:
    """One datagram to each client, as an answer would leave."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.bind(("192.0.2.11", PORT))
        for client in CLIENTS:
            sending.sendto(b"x", (client, PORT))
