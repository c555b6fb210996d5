"""When a service answers for the first time."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from remainder.errors import HostError
from remainder_bench import first_packet
from remainder_bench.first_packet import first_answer_at_s


def test_the_first_answer_is_awaited() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer_late() -> None:
            time.sleep(0.05)
            data, client = server.recvfrom(64)
            server.sendto(data, client)

        answering = threading.Thread(target=answer_late)
        begun_s = time.monotonic()
        answering.start()
        answered_s = first_answer_at_s("127.0.0.1", server.getsockname()[1])
        answering.join()

    assert answered_s - begun_s >= 0.05


def test_silence_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_packet, "LIMIT_S", 0.05)

    with pytest.raises(HostError, match="no answer from"):
        first_answer_at_s("127.0.0.1", 9)
