"""WHO is asking?  What differs between the roles; the rest is in running.py."""

from collections.abc import Mapping
from typing import Final

from remainder.plan import Role
from remainder.roles.balancer import Balancer
from remainder.roles.kind import Kind
from remainder.roles.member import Member
from remainder.roles.sender import Sender
from remainder.roles.server import Server

ROLES: Final[Mapping[Role, Kind]] = {
    "balancer": Balancer(),
    "member": Member(),
    "sender": Sender(),
    "server": Server(),
}

__all__ = ["ROLES", "Kind"]
