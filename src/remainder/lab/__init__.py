"""Networks out of namespaces: for the tests, for the demo, and for whoever wants to try.

A scene is a network with clients, routers and servers, ready for a balancer::

    with SCENES["one-service"]() as scene, scene.witnesses() as witnesses:
        scene.start_servers()
        …
        sessions = http_sessions(scene.clients, scene.web(), sources=scene.client_addresses[4])
        assert not torn(sessions_at(witnesses.values()))

It needs root.  All of it is gone behind the block.
"""

from remainder.lab.balanced import Balanced
from remainder.lab.ecmp import Ecmp, ecmp
from remainder.lab.heartbeat import Heartbeat
from remainder.lab.host import Host, Interface
from remainder.lab.leftovers import remove_leftovers
from remainder.lab.one_service import OneService, one_service
from remainder.lab.running import Running
from remainder.lab.scenes import SCENES, Scene, scene
from remainder.lab.segment import Segment
from remainder.lab.standby_pair import StandbyPair, standby_pair
from remainder.lab.switch import Switch
from remainder.lab.traffic import (
    HeldSessions,
    Session,
    Transfer,
    hold_sessions,
    http_sessions,
    transfer,
    udp_exchanges,
)
from remainder.lab.wire import End, PassAll, Wire
from remainder.lab.witness import Sessions, Witness, flow_of, sessions_at, torn

__all__ = [
    "SCENES",
    "Balanced",
    "Ecmp",
    "End",
    "Heartbeat",
    "HeldSessions",
    "Host",
    "Interface",
    "OneService",
    "PassAll",
    "Running",
    "Scene",
    "Segment",
    "Session",
    "Sessions",
    "StandbyPair",
    "Switch",
    "Transfer",
    "Wire",
    "Witness",
    "ecmp",
    "flow_of",
    "hold_sessions",
    "http_sessions",
    "one_service",
    "remove_leftovers",
    "scene",
    "sessions_at",
    "standby_pair",
    "torn",
    "transfer",
    "udp_exchanges",
]
