"""Networks built from namespaces: for the tests, for the demo, and to play with.

A scene is a network with clients, routers and servers, ready for a balancer::

    with SCENES["one-service"]() as scene, scene.witnesses() as witnesses:
        scene.start_servers()
        …
        sessions = http_sessions(scene.clients, scene.web(), sources=scene.client_addresses[4])
        assert not torn(sessions_at(witnesses.values()))

It needs root.  Everything is removed at the end of the block.
"""

from remainder_lab.balanced import Balanced
from remainder_lab.ecmp import Ecmp, ecmp
from remainder_lab.heartbeat import Heartbeat
from remainder_lab.host import Host, Interface
from remainder_lab.leftovers import remove_leftovers
from remainder_lab.one_service import OneService, one_service
from remainder_lab.running import Running
from remainder_lab.scenes import SCENES, Scene, scene
from remainder_lab.segment import Segment
from remainder_lab.standby_pair import StandbyPair, standby_pair
from remainder_lab.switch import Switch
from remainder_lab.traffic import (
    HeldSessions,
    Session,
    Transfer,
    hold_sessions,
    http_sessions,
    transfer,
    udp_exchanges,
)
from remainder_lab.wire import End, PassAll, Wire
from remainder_lab.witness import Sessions, Witness, flow_of, sessions_at, torn

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
