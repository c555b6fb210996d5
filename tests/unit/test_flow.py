"""A flow is a value; endpoints and protocols are read as people write them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.errors import ConfigError
from remainder.flow import (
    PROTOCOLS,
    Flow,
    address_of,
    endpoint,
    mac_of,
    parse_endpoint,
    parse_flow,
    parse_protocol,
    protocol_name,
)
from tests.strategies import flows

CLIENT, VIP = ip_address("198.51.100.7"), ip_address("203.0.113.10")
VIP6 = ip_address("2001:db8::10")

ip_addresses = st.ip_addresses(v=4) | st.ip_addresses(v=6)


@given(flows())
def test_reversing_twice_changes_nothing(flow: Flow) -> None:
    assert flow == flow.reversed().reversed()


@given(flows())
def test_the_sides_change_places_in_the_other_direction(flow: Flow) -> None:
    back = flow.reversed()

    assert (flow.src_ip, flow.src_port) == (back.dst_ip, back.dst_port)
    assert (flow.dst_ip, flow.dst_port) == (back.src_ip, back.src_port)
    assert (flow.protocol, flow.version) == (back.protocol, back.version)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            (CLIENT, 1, VIP6, 80, 6),
            "flow: 198.51.100.7 and 2001:db8::10 belong to different address families",
        ),
        ((CLIENT, 65536, VIP, 80, 6), "flow: source port is 65536; expected 0–65535"),
        ((CLIENT, 1, VIP, -1, 6), "flow: destination port is -1; expected 0–65535"),
        ((CLIENT, 1, VIP, 80, 256), "flow: protocol is 256; expected 0–255"),
    ],
)
def test_what_no_packet_can_have_is_no_flow(fields: tuple[object, ...], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Flow(*fields)  # type: ignore[arg-type]

    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("flow", "text"),
    [
        (Flow(CLIENT, 40000, VIP, 80, 6), "198.51.100.7:40000 → 203.0.113.10:80 tcp"),
        (Flow(VIP6, 53, VIP6, 53, 17), "[2001:db8::10]:53 → [2001:db8::10]:53 udp"),
        (Flow(CLIENT, 0, VIP, 0, 47), "198.51.100.7 → 203.0.113.10 gre"),
        (Flow(VIP6, 0, VIP6, 0, 253), "2001:db8::10 → 2001:db8::10 253"),
    ],
)
def test_a_flow_reads_as_people_write_it(flow: Flow, text: str) -> None:
    assert text == str(flow)


@given(ip_addresses, st.integers(0, 0xFFFF))
def test_an_endpoint_reads_back_what_it_writes(address: object, port: int) -> None:
    assert (address, port) == parse_endpoint(endpoint(address, port))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("203.0.113.10", VIP, 0),
        ("203.0.113.10:80", VIP, 80),
        ("203.0.113.10:00080", VIP, 80),
        ("2001:db8::10", VIP6, 0),
        ("[2001:db8::10]", VIP6, 0),
        ("[2001:db8::10]:443", VIP6, 443),
        ("[203.0.113.10]:80", VIP, 80),
    ],
)
def test_an_endpoint_may_be_written_in_these_ways(text: str, address: object, port: int) -> None:
    assert (address, port) == parse_endpoint(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "",
            (
                "'' is not an address; expected 192.0.2.1, 192.0.2.1:80, 2001:db8::1 "
                "or [2001:db8::1]:80"
            ),
        ),
        ("example.org:80", "'example.org:80' is not an address; expected 192.0.2.1"),
        ("203.0.113.10:", "'203.0.113.10:' is not an address; expected 192.0.2.1"),
        ("203.0.113.10:http", "'203.0.113.10:http' is not an address; expected 192.0.2.1"),
        ("203.0.113.010", "'203.0.113.010' is not an address; expected 192.0.2.1"),
        ("203.0.113.10:٨٠", "'203.0.113.10:٨٠' is not an address; expected 192.0.2.1"),
        ("203.0.113.10:65536", "port is 65536 in 203.0.113.10:65536; expected 0–65535"),
        ("203.0.113.10:" + "9" * 5000, "port is 99999999999999999999 in 203.0.113.10:999"),
        (
            "fe80::1%eth0",
            (
                "'fe80::1%eth0' has a zone ID, which packets do not carry; remove the '%' "
                "and what follows"
            ),
        ),
    ],
)
def test_what_is_no_endpoint_is_refused_with_what_to_write(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_endpoint(text, "DESTINATION")

    assert caught.value.problem.startswith(sentence)
    assert caught.value.where == "DESTINATION"


@pytest.mark.parametrize(
    ("text", "number"), [*PROTOCOLS.items(), ("TCP", 6), ("0", 0), ("132", 132), ("255", 255)]
)
def test_a_protocol_is_a_name_or_a_number(text: str, number: int) -> None:
    assert number == parse_protocol(text)


@pytest.mark.parametrize("text", ["", "any", "256", "-1", "6.0", "٦", "9" * 5000])
def test_what_is_no_protocol_is_refused_with_the_names_there_are(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"unknown protocol .*; expected tcp, udp, .* or a number 0–255"
    ):
        parse_protocol(text)


@given(st.integers(0, 255))
def test_a_protocol_reads_back_what_it_writes(number: int) -> None:
    assert number == parse_protocol(protocol_name(number))


@given(st.text())
def test_any_text_is_read_or_a_config_error(text: str) -> None:
    for parse in (parse_endpoint, parse_protocol):
        try:
            parse(text)
        except ConfigError as error:
            sentence = str(error)
        else:
            sentence = ""

        assert "\n" not in sentence


@pytest.mark.parametrize(
    ("source", "destination", "protocol", "sentence"),
    [
        ("198.51.100.7", "203.0.113.10:80", "icmp", "destination: 203.0.113.10:80 has a port"),
        ("198.51.100.7:7", "203.0.113.10:80", "icmp", "destination: 203.0.113.10:80 has a port"),
        ("198.51.100.7:7", "203.0.113.10", "gre", "source: 198.51.100.7:7 has a port, but gre has"),
        ("[2001:db8::7]:7", "2001:db8::10", "esp", "source: [2001:db8::7]:7 has a port"),
    ],
)
def test_a_port_of_a_protocol_without_ports_is_refused_with_what_to_write(
    source: str, destination: str, protocol: str, sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_flow(source, destination, protocol)

    assert str(caught.value).startswith(sentence)
    assert str(caught.value).endswith("or choose a --protocol with ports, like tcp")


def test_a_ping_may_have_its_identifier_in_the_place_of_a_port() -> None:
    assert Flow(CLIENT, 7, VIP, 0, 1) == parse_flow("198.51.100.7:7", "203.0.113.10", "icmp")


@pytest.mark.parametrize("number", [0, 43, 44, 51, 60])
def test_an_extension_header_is_the_protocol_of_no_ipv6_packet(number: int) -> None:
    with pytest.raises(ConfigError, match=f"protocol: {number} is an IPv6 extension header"):
        parse_flow("2001:db8::7", "2001:db8::10", str(number))

    assert number == parse_flow("198.51.100.7", "203.0.113.10", str(number)).protocol


_DOTTED = st.text("0123456789.:xaf ", max_size=18) | st.lists(
    st.integers(0, 300).map(str), min_size=3, max_size=5
).map(".".join)


@given(_DOTTED | st.text(max_size=8))
def test_an_address_is_what_the_standard_library_says(text: str) -> None:
    try:
        wanted = ip_address(text)
    except ValueError:
        with pytest.raises(ConfigError):
            address_of(text)
    else:
        assert wanted == address_of(text)


@pytest.mark.parametrize("mac", ["02:00:5e:00:53:0A", "02:00:5E:00:53:0a", b"\x02\0\x5e\0\x53\x0a"])
def test_a_mac_address_is_six_bytes_or_their_text(mac: bytes | str) -> None:
    assert b"\x02\0\x5e\0\x53\x0a" == mac_of(mac)


@pytest.mark.parametrize(
    "mac",
    ["", "02:00:5e:00:53", "02005e00530a", "02:00:5e:00:53:0a\n", "0g:00:5e:00:53:0a", b"", 7],
)
def test_anything_else_is_no_mac_address(mac: Any) -> None:
    with pytest.raises(ConfigError, match="is not a MAC address"):
        mac_of(mac)
