"""Who falls silent is told once, and so is who comes back."""

from __future__ import annotations

from ipaddress import ip_address

from remainder.diagnose.silence import GRACE_S, Silence, sentence
from remainder.flow import Address
from remainder.kernel.neighbours import Neighbour

S1, S2 = ip_address("192.0.2.11"), ip_address("192.0.2.12")
BOTH = [S1, S2]


def known(*valid: Address) -> dict[Address, Neighbour]:
    return {
        address: Neighbour(address=address, mac=b"\2" * 6, valid=address in valid, managed=True)
        for address in BOTH
    }


def test_a_silent_server_is_told_of_once_after_the_grace_and_once_when_it_is_back() -> None:
    silence = Silence()
    looks = [
        silence.look(BOTH, known(S1), 10.0),
        silence.look(BOTH, known(S1), 10.0 + GRACE_S),
        silence.look(BOTH, known(S1), 99.0),
        silence.look(BOTH, known(S1, S2), 100.0),
        silence.look(BOTH, known(S1, S2), 200.0),
    ]

    assert [([], []), ([S2], []), ([], []), ([], [S2]), ([], [])] == looks


def test_an_entry_that_is_made_anew_is_no_silence() -> None:
    """After a link flap the kernel has forgotten all, and they are asked for again."""
    silence = Silence()
    looks = [
        silence.look(BOTH, known(*BOTH), 0.0),
        silence.look(BOTH, {}, 1.0),
        silence.look(BOTH, known(*BOTH), 1.0 + GRACE_S / 2),
        silence.look(BOTH, {}, 50.0),
    ]

    assert 4 * [([], [])] == looks
    assert {} == silence.lasting


def test_since_when_is_the_first_look_that_saw_it() -> None:
    silence = Silence()
    for second in range(20):
        silence.look(BOTH, known(S2), float(second))

    assert {S1: 0.0} == silence.lasting


def test_a_server_that_leaves_the_file_is_neither_silent_nor_back() -> None:
    silence = Silence()
    silence.look(BOTH, known(S1), 0.0)
    silence.look(BOTH, known(S1), 10.0)

    assert ([], []) == silence.look([S1], known(S1), 20.0)
    assert {} == silence.lasting
    assert ([], []) == silence.look(BOTH, known(*BOTH), 30.0)


def test_what_was_told_before_is_not_told_again_and_its_end_is() -> None:
    silence = Silence()
    silence.recall({S1: 5.0})

    assert ([], []) == silence.look(BOTH, known(S2), 60.0)
    assert {S1: 5.0} == silence.lasting
    assert ([], [S1]) == silence.look(BOTH, known(*BOTH), 70.0)


def test_many_are_one_line() -> None:
    many = {ip_address(f"192.0.2.{n}"): f"s{n}" for n in range(11, 18)}

    assert (
        "servers 's11' (192.0.2.11), 's12' (192.0.2.12), 's13' (192.0.2.13), 's14' (192.0.2.14), "
        "3 more answer again"
    ) == sentence(list(many), many, "server", back=True)
    assert (
        "router 'r1' (192.0.2.11) no longer answers ARP or neighbour discovery; it keeps its "
        "share, so clients wait in vain until it is back or the file changes"
    ) == sentence([S1], {S1: "r1"}, "router", back=False)
