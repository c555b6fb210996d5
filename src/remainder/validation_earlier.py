"""The rules for earlier calculations, and for the servers that ask them.

Rule: pure; called by validation.py, which has the rules that hold for every calculation.
"""

from __future__ import annotations

from collections.abc import Iterator

from remainder.config import Cluster, Config, Server, Service
from remainder.errors import ConfigError
from remainder.flow import PROTOCOLS, protocol_name


def validate_second_chance(where: str, section: Service | Cluster) -> None:
    """Whether earlier calculations can be asked at all.  Raises ConfigError."""
    if not section.before:
        return
    if isinstance(section, Cluster):
        if section.address is None:
            raise ConfigError(
                f"{where}.before",
                'before needs an address: with address = "any" packets only pass through the '
                "members, which have no sockets to recognise a session by; remove before",
            )
        return
    if section.protocol not in (PROTOCOLS["tcp"], None):
        raise ConfigError(
            f"{where}.before",
            f"before needs TCP: servers recognise no session of {protocol_name(section.protocol)}, "
            f"whose packets follow the new calculation at once; remove before",
        )
    _same_servers(where, section)


def _same_servers(where: str, service: Service) -> None:
    """A name means one machine in all calculations of a service, a machine has one name."""
    by_name: dict[str, tuple[str, Server]] = {}
    by_address: dict[object, tuple[str, Server]] = {}
    for place, server in _servers_of(where, service):
        other_place, other = by_name.setdefault(server.name, (place, server))
        if other.address != server.address:
            raise ConfigError(
                f"{place}.address",
                f"server {server.name!r} is {server.address} here and {other.address} in "
                f"{other_place}; use one address, or another name for another machine",
            )
        other_place, other = by_address.setdefault(server.address, (place, server))
        if other.name != server.name:
            raise ConfigError(
                f"{place}.name",
                f"{server.address} is server {server.name!r} here and {other.name!r} in "
                f"{other_place}; use the same name in both",
            )


def validate_server_nodes(config: Config) -> None:
    """A server listens on one interface, in one mode, whatever the service.  Raises ConfigError."""
    named: dict[str, tuple[str, Server]] = {}
    for number, service in enumerate(config.service):
        for place, server in _servers_of(f"service[{number}]", service):
            if server.interface is None:
                if server.mode != "auto":
                    raise ConfigError(
                        f"{place}.mode",
                        f"mode is {server.mode!r}, but the server names no interface; "
                        f"add interface, or remove mode",
                    )
                continue
            other_place, other = named.setdefault(server.name, (place, server))
            if (other.interface, other.mode) != (server.interface, server.mode):
                raise ConfigError(
                    f"{place}.interface",
                    f"{server.name!r} is on {server.interface} ({server.mode}) here and on "
                    f"{other.interface} ({other.mode}) in {other_place}; use the same in both",
                )


def _servers_of(where: str, service: Service) -> Iterator[tuple[str, Server]]:
    """(place, server) of all calculations, the newest first."""
    for number, server in enumerate(service.servers):
        yield f"{where}.servers[{number}]", server
    for at, earlier in enumerate(service.before):
        for number, server in enumerate(earlier.servers):
            yield f"{where}.before[{at}].servers[{number}]", server
