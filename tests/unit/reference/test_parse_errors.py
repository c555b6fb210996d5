"""Whose session does an ICMP error quote?  docs/packets.md, section 5."""

from __future__ import annotations

from typing import Any, Final

import pytest

from remainder.flow import Flow
from remainder.outcome import Outcome
from tests import frames
from tests.frames import (
    ICMP_OF,
    Extension,
    fragment_header,
)
from tests.segment import (
    ALL,
    CLIENT,
    ELSEWHERE,
    ERROR,
    PING,
    WEB,
    WEB_REPLY,
    both_families,
    chain,
    error_about,
    flow_of,
    icmp_packet,
    outcome,
    packet,
    reply,
    run,
    vip,
    web_packet,
)

# --- 5. ICMP errors


@pytest.mark.parametrize(
    ("version", "kind"), [(4, 3), (4, 11), (4, 12), (6, 1), (6, 2), (6, 3), (6, 4)]
)
def test_an_error_goes_to_the_server_whose_session_it_quotes(version: int, kind: int) -> None:
    whole = run(frames.to_balancer(web_packet(version)))
    frame = frames.to_balancer(error_about(WEB_REPLY[version], kind=kind))
    result = run(frame)

    assert Outcome.FORWARDED_ERROR == result.outcome
    assert whole.owner == result.owner
    assert (whole.frame or b"")[:12] + frames.onward(frame) == result.frame


@both_families
def test_an_error_is_read_with_the_sides_of_the_quoted_packet_swapped(version: int) -> None:
    assert Flow(CLIENT[version], 4321, vip(version, WEB), 80, 6) == flow_of(
        error_about(WEB_REPLY[version])
    )


QUOTES_4: Final = [
    pytest.param({"total_bytes": 0}, "forwarded_error", id="total length 0"),
    pytest.param({"total_bytes": 1500}, "forwarded_error", id="total length past the quote"),
    pytest.param({"options": bytes([1]) * 8}, "forwarded_error", id="options"),
    pytest.param({"fragment": (0, True)}, "forwarded_error", id="first fragment"),
    pytest.param({"fragment": (1, True)}, "fragment_dropped", id="later fragment"),
    pytest.param({"fragment": (9, False)}, "fragment_dropped", id="last fragment"),
    pytest.param({"version": 6}, "malformed", id="another version"),
    pytest.param({"header_words": 4}, "malformed", id="header too short"),
    pytest.param({"header_words": 15}, "malformed", id="header past the end of the packet"),
    pytest.param({"src": ELSEWHERE[4]}, "no_service", id="the VIP did not send it"),
    pytest.param(
        {"src": ELSEWHERE[4], "header_words": 15},
        "malformed",
        id="the header is read whole before the sender is looked at",
    ),
]
QUOTES_6: Final = [
    pytest.param({"payload_bytes": 0}, "forwarded_error", id="payload length 0"),
    pytest.param({"payload_bytes": 1500}, "forwarded_error", id="payload length past the quote"),
    pytest.param({"extensions": chain(0, 60, 51, 43)}, "forwarded_error", id="four headers"),
    pytest.param({"extensions": chain(0, 60, 51, 43, 0)}, "too_many_headers", id="five headers"),
    pytest.param(
        {"extensions": [fragment_header(0, more=True)]}, "forwarded_error", id="first fragment"
    ),
    pytest.param(
        {"extensions": [fragment_header(0, more=True), *chain(60)]},
        "forwarded_error",
        id="headers behind the fragment header of a first fragment",
    ),
    pytest.param(
        {"extensions": [fragment_header(0, more=True)] * 5},
        "too_many_headers",
        id="which counts as one of four",
    ),
    pytest.param(
        {"extensions": [fragment_header(1, more=False)]}, "fragment_dropped", id="later fragment"
    ),
    pytest.param({"version": 4}, "malformed", id="another version"),
    pytest.param({"extensions": [Extension(60, b"\xff" * 7)]}, "malformed", id="a wrong length"),
    pytest.param({"src": ELSEWHERE[6]}, "no_service", id="the VIP did not send it"),
    pytest.param(
        {"src": ELSEWHERE[6], "extensions": chain(0, 0, 0, 0, 0)},
        "no_service",
        id="the sender is looked at before the extension headers",
    ),
]


@pytest.mark.parametrize(("fields", "wanted"), QUOTES_4)
def test_a_quoted_ipv4_packet_is_read_as_the_page_says(fields: dict[str, Any], wanted: str) -> None:
    quoted = reply(4, WEB, 6, frames.tcp(80, 4321), **fields)

    assert wanted == outcome(error_about(quoted, version=4))


@pytest.mark.parametrize(("fields", "wanted"), QUOTES_6)
def test_a_quoted_ipv6_packet_is_read_as_the_page_says(fields: dict[str, Any], wanted: str) -> None:
    quoted = reply(6, WEB, 6, frames.tcp(80, 4321), **fields)

    assert wanted == outcome(error_about(quoted, version=6))


@both_families
def test_a_quote_needs_the_ip_header_and_the_ports_and_no_more(version: int) -> None:
    needed = (20 if version == 4 else 40) + 4
    cut = {size: outcome(error_about(WEB_REPLY[version][:size])) for size in range(1, needed + 9)}

    assert {Outcome.MALFORMED} == {cut[size] for size in range(1, needed)}
    assert {Outcome.FORWARDED_ERROR} == {cut[size] for size in range(needed, needed + 9)}


@both_families
def test_an_error_that_quotes_nothing_is_malformed(version: int) -> None:
    assert Outcome.MALFORMED == outcome(icmp_packet(version, WEB, ERROR[version]))


@both_families
def test_bytes_behind_the_outer_packet_are_no_part_of_the_quote(version: int) -> None:
    cut = error_about(WEB_REPLY[version][: 20 if version == 4 else 40])

    assert Outcome.MALFORMED == outcome(cut + frames.tcp(80, 4321))


@both_families
def test_an_error_to_an_address_that_is_no_vip_is_not_vip(version: int) -> None:
    quotes = [
        frames.ip(source, CLIENT[version], protocol=6, payload=frames.tcp(80, 4321))
        for source in (ELSEWHERE[version], vip(version, WEB))
    ]
    errors = [
        frames.ip_icmp(
            CLIENT[version],
            ELSEWHERE[version],
            frames.icmp(CLIENT[version], ELSEWHERE[version], ERROR[version], payload=quote),
        )
        for quote in quotes
    ]

    assert [Outcome.NOT_VIP] * 2 == [outcome(error) for error in errors]


@both_families
def test_a_quoted_echo_keeps_its_identifier_as_the_source_port(version: int) -> None:
    for kind in (frames.ECHO_REQUEST[version], frames.ECHO_REPLY[version]):
        message = frames.echo(vip(version, PING), CLIENT[version], kind=kind, identifier=0x1235)
        error = error_about(reply(version, PING, ICMP_OF[version], message), number=PING)

        assert Flow(CLIENT[version], 0x1235, vip(version, PING), 0, ICMP_OF[version]) == flow_of(
            error
        )
        assert f"s{0x1235 % 3}" == run(frames.to_balancer(error)).owner


@both_families
def test_a_quoted_error_is_not_opened_and_has_no_ports(version: int) -> None:
    inner = frames.icmp(
        vip(version, ALL), CLIENT[version], ERROR[version], rest=b"\x12\x34\x56\x78"
    )
    error = error_about(reply(version, ALL, ICMP_OF[version], inner), number=ALL)

    assert Flow(CLIENT[version], 0, vip(version, ALL), 0, ICMP_OF[version]) == flow_of(error)
    assert Outcome.FORWARDED_ERROR == outcome(error)
    assert Outcome.MALFORMED == outcome(error_about(error_quote_cut(version, inner), number=ALL))


def error_quote_cut(version: int, inner: bytes) -> bytes:
    return reply(version, ALL, ICMP_OF[version], inner[:7])


@both_families
def test_an_error_about_a_port_without_a_service_is_no_service(version: int) -> None:
    assert Outcome.NO_SERVICE == outcome(error_about(reply(version, WEB, 6, frames.tcp(81, 4321))))


@both_families
def test_an_error_is_found_behind_options_and_extension_headers(version: int) -> None:
    message = frames.icmp(
        CLIENT[version], vip(version, WEB), ERROR[version], payload=WEB_REPLY[version]
    )
    extra: dict[str, Any] = {"options": bytes(4)} if version == 4 else {"extensions": chain(0, 60)}

    assert Outcome.FORWARDED_ERROR == outcome(
        packet(version, WEB, ICMP_OF[version], message, **extra)
    )
