"""The frame of the sender: true for every client, as long as the identification follows."""

from __future__ import annotations

from remainder.flow import Flow
from remainder.reference.frame import internet_checksum
from remainder_bench.cases import FIRST_VIP
from remainder_bench.packets import CLIENT, plain
from remainder_bench.wire import PLANES, _with_complement


def test_the_header_checksum_stays_true_when_the_client_changes() -> None:
    frame = bytearray(plain(Flow(CLIENT[4], 1024, FIRST_VIP[4], 80, 17)))
    _with_complement(frame)

    for client in (0, 1, 0x1234, 0xFFFF):
        frame[28:30] = client.to_bytes(2, "big")
        frame[18:20] = (0xFFFF - client).to_bytes(2, "big")  # as bpf/ends.bpf.c does

        assert 0 == internet_checksum(bytes(frame[14:34]))


def test_udp_says_that_it_has_no_checksum() -> None:
    frame = bytearray(plain(Flow(CLIENT[4], 1024, FIRST_VIP[4], 80, 17)))
    _with_complement(frame)

    assert b"\0\0" == frame[40:42]


def test_the_first_data_plane_is_the_one_to_compare_with() -> None:
    assert "XDP, only return" == next(iter(PLANES))
