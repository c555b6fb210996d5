"""What a machine knows of a session, from its sockets."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from remainder.flow import Flow
from remainder.reference import Knowledge, Sockets, Tcp
from remainder.reference.sockets import ACK, FIN, RST, SYN

VIP = ip_address("203.0.113.10")
LIVE, CLOSED, STRANGE, DEAF = (
    Flow(ip_address("198.51.100.7"), source, VIP, port, 6)
    for source, port in ((1, 80), (2, 80), (3, 80), (4, 81))
)
SOCKETS = Sockets(
    listening=frozenset({(VIP, 80)}),
    live=frozenset({LIVE}),
    closed={CLOSED: (2**32 - 10, 1000)},
    is_cookie=lambda _, tcp: tcp.acknowledged == 77,
)


@pytest.mark.parametrize(
    ("flow", "tcp", "knowledge"),
    [
        (LIVE, Tcp(ACK, 0, 0), Knowledge.KNOWN),
        (LIVE, Tcp(SYN, 0, 0), Knowledge.NEW),
        (LIVE, Tcp(SYN | ACK, 0, 0), Knowledge.KNOWN),
        (LIVE, None, Knowledge.KNOWN),
        (STRANGE, Tcp(ACK, 0, 0), Knowledge.UNKNOWN),
        (STRANGE, Tcp(ACK, 0, 77), Knowledge.KNOWN),
        (STRANGE, Tcp(FIN | ACK, 0, 77), Knowledge.KNOWN),
        (STRANGE, Tcp(RST | ACK, 0, 77), Knowledge.UNKNOWN),
        (STRANGE, Tcp(0, 0, 77), Knowledge.UNKNOWN),
        (STRANGE, None, Knowledge.UNKNOWN),
        (DEAF, Tcp(ACK, 0, 77), Knowledge.BLIND),
        (DEAF, None, Knowledge.BLIND),
        (CLOSED, Tcp(ACK, 2**32 - 10, 0), Knowledge.KNOWN),
        (CLOSED, Tcp(ACK, 2**32 - 5000, 0), Knowledge.KNOWN),
        (CLOSED, Tcp(ACK, 990, 0), Knowledge.KNOWN),
        (CLOSED, Tcp(ACK, 991, 0), Knowledge.UNKNOWN),
        (CLOSED, Tcp(ACK, 2**30, 0), Knowledge.UNKNOWN),
        (CLOSED, None, Knowledge.UNKNOWN),
    ],
)
def test_a_session_is_known_by_its_socket(
    flow: Flow, tcp: Tcp | None, knowledge: Knowledge
) -> None:
    """Of a closed session what is new may be another's, that uses its ports again."""
    assert knowledge is SOCKETS.knowledge_of(flow, tcp)
