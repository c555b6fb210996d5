"""Flows from CSV, ss and conntrack; and one sentence for what is none of them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from remainder.change.flow_lists import read_flows
from remainder.errors import ConfigError
from remainder.flow import Flow, parse_flow

VIP = ip_address("203.0.113.10")
WEB = "203.0.113.10:80"

HEADER = "src_ip,src_port,dst_ip,dst_port,protocol"
ROWS = "198.51.100.7,1234,203.0.113.10,80,tcp\n2001:db8::7,5,2001:db8::10,443,17\n"


def flows(text: str) -> dict[Flow, int]:
    return {
        some.flows.flow(row): int(some.counts[row])
        for some in read_flows(text, "flows.txt", {VIP})
        for row in range(len(some.flows))
    }


BOTH = {
    parse_flow("198.51.100.7:1234", WEB): 1,
    parse_flow("[2001:db8::7]:5", "[2001:db8::10]:443", "udp"): 1,
}


@pytest.mark.parametrize("header", ["", f"{HEADER}\n", f"\n{HEADER.upper()}\n"])
def test_csv_has_five_fields_with_or_without_a_header(header: str) -> None:
    assert BOTH == flows(header + ROWS)


def test_columns_may_stand_in_any_order_with_a_count() -> None:
    text = f"count,protocol,dst_port,dst_ip,src_port,src_ip\n3,6,80,{VIP},1234,198.51.100.7\n"

    assert {parse_flow("198.51.100.7:1234", WEB): 3} == flows(text)


def test_the_sixth_column_is_the_count_and_equal_flows_add_up() -> None:
    row = "198.51.100.7,1234,203.0.113.10,80,tcp"

    assert {parse_flow("198.51.100.7:1234", WEB): 5} == flows(f"{row},2\n{row},3\n")


SS = """\
State    Recv-Q Send-Q        Local Address:Port          Peer Address:Port Process
ESTAB    0      0              203.0.113.10:80           198.51.100.7:1234
ESTAB    0      0      [::ffff:203.0.113.10]:80  [::ffff:198.51.100.8]:1235
LISTEN   0      128                 0.0.0.0:80                 0.0.0.0:*
TIME-WAIT 0     0              203.0.113.10:80           198.51.100.9:1236
CLOSE-WAIT 0    0       203.0.113.10%eth0:80             198.51.100.10:1237
"""


def test_ss_on_a_server_has_the_service_on_the_left() -> None:
    clients = ("198.51.100.7:1234", "198.51.100.8:1235", "198.51.100.10:1237")

    assert {parse_flow(client, WEB): 1 for client in clients} == flows(SS)


def test_ss_on_a_client_has_the_service_on_the_right() -> None:
    line = "tcp   ESTAB 0 0  198.51.100.7:1234  203.0.113.10:80  timer:(keepalive)\n"

    assert {parse_flow("198.51.100.7:1234", WEB): 1} == flows(line)


def test_ss_writes_ipv6_in_brackets() -> None:
    line = "ESTAB 0 0 [2001:db8::10]:443 [2001:db8::7]:5\n"

    assert {parse_flow("[2001:db8::7]:5", "[2001:db8::10]:443"): 1} == flows(line)


CONNTRACK = """\
conntrack v1.4.7 (conntrack-tools): 4 flow entries have been shown.
tcp      6 431999 ESTABLISHED src=198.51.100.7 dst=203.0.113.10 sport=1234 dport=80 \
src=203.0.113.10 dst=198.51.100.7 sport=80 dport=1234 [ASSURED] mark=0 use=1
ipv6     10 udp      17 29 src=2001:db8::7 dst=2001:db8::10 sport=5 dport=443 \
src=2001:db8::10 dst=2001:db8::7 sport=443 dport=5 mark=0 use=1
tcp      6 10 TIME_WAIT src=198.51.100.8 dst=203.0.113.10 sport=1 dport=80 \
src=203.0.113.10 dst=198.51.100.8 sport=80 dport=1 use=1
icmp     1 29 src=198.51.100.7 dst=203.0.113.10 type=8 code=0 id=77 \
src=203.0.113.10 dst=198.51.100.7 type=0 code=0 id=77 use=1
"""


def test_conntrack_is_read_in_the_original_direction() -> None:
    echo = Flow("198.51.100.7", 77, "203.0.113.10", 0, 1)

    assert BOTH | {echo: 1} == flows(CONNTRACK)


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        ("flows.txt: no flows in it; expected CSV, or the output of ss or conntrack -L", "\n\n"),
        (
            (
                "flows.txt:1: unknown column 'sport'; expected src_ip, src_port, dst_ip, dst_port, "
                "protocol and, if any, count"
            ),
            "src_ip,sport,dst_ip,dst_port,protocol\n",
        ),
        (
            (
                "flows.txt:1: column 'protocol' is missing; expected src_ip, src_port, dst_ip, "
                "dst_port, protocol and, if any, count"
            ),
            "src_ip,src_port,dst_ip,dst_port\n1.2.3.4,1,5.6.7.8,2\n",
        ),
        (
            (
                "flows.txt:1: a column appears twice; expected src_ip, src_port, dst_ip, dst_port, "
                "protocol and, if any, count"
            ),
            f"{HEADER},src_ip\n",
        ),
        (
            "flows.txt:2: 4 values; expected src_ip, src_port, dst_ip, dst_port, protocol",
            f"{HEADER}\n198.51.100.7,1234,203.0.113.10,80\n",
        ),
        (
            (
                "flows.txt:1: 'host' is not an IP address; expected one like '192.0.2.11' or "
                "'2001:db8::11'"
            ),
            "host,1234,203.0.113.10,80,tcp\n",
        ),
        (
            "flows.txt:2: src_port is '70000'; expected a number, 0–65535",
            f"{HEADER}\n198.51.100.7,70000,203.0.113.10,80,tcp\n",
        ),
        (
            "flows.txt:1: count is '-1'; expected a number, 0–4611686018427387904",
            "198.51.100.7,1,203.0.113.10,80,tcp,-1\n",
        ),
        (
            "flows.txt:2: not a line of `ss -tn`; expected state, queues, local and peer address",
            "State Recv-Q Send-Q\nESTAB 0 0 203.0.113.10:80\n",
        ),
        (
            "flows.txt:2: not a line of `conntrack -L`; expected src=, dst= and ports",
            CONNTRACK.splitlines()[1] + "\nhello\n",
        ),
    ],
)
def test_what_cannot_be_read_is_one_sentence_with_its_line(sentence: str, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        flows(text)

    assert sentence == str(refused.value)
