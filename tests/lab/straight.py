"""A scene without a balancer: the router's own routes, and what its clients say of it."""

from __future__ import annotations

from remainder.flow import Flow
from remainder_lab import OneService, Session


def no_program(interface: str) -> None:
    """Stands where a pass-all program would be attached; scenes without XDP need none."""


def route_to(built: OneService, server: str) -> None:
    number = 10 + int(server[1:])
    built.router.add_route("203.0.113.10/32", via=f"192.0.2.{number}")
    built.router.add_route("2001:db8:113::10/128", via=f"2001:db8:2::{number}")


def account(sessions: list[Session]) -> dict[Flow, set[str]]:
    """What the clients say: flow → servers."""
    return {session.flow: set(session.servers) for session in sessions}
