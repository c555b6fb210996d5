"""WHO is asking?  What differs between the roles; the rest is in running.py."""

from collections.abc import Mapping
from typing import Final

from remainder.plan import Role
from remainder.roles import balancer, member, sender
from remainder.roles.hooks import Hooks

ROLES: Final[Mapping[Role, Hooks]] = {
    "balancer": balancer.HOOKS,
    "member": member.HOOKS,
    "sender": sender.HOOKS,
}

__all__ = ["ROLES", "Hooks"]
