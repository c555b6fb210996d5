"""Why a card will not run XDP natively is said with its cure."""

from __future__ import annotations

import errno

import pytest

from remainder.kernel.card import Card, queue_note, why_not_native

VIRTIO = Card("virtio_net", queues=1, most_queues=1)


@pytest.mark.parametrize(
    ("number", "found", "mtu", "words"),
    [
        (
            errno.EOPNOTSUPP,
            Card("e1000e"),
            1500,
            ("e1000e has no native XDP", "a third"),
        ),
        (errno.EOPNOTSUPP, VIRTIO, 1500, ("receive offloads", "guest_tso4=off")),
        (errno.EINVAL, VIRTIO, 9000, ("virtio_net", "MTU 9000", "mtu 1500")),
        (errno.EOPNOTSUPP, Card("igb"), 9000, ("igb", "MTU 9000", "multi-buffer")),
        (errno.EOPNOTSUPP, Card("e1000e"), 9000, ("e1000e", "perhaps at no MTU")),
        (errno.EOPNOTSUPP, VIRTIO, 9000, ("receive offloads", "guest_tso4=off")),
        (errno.ENOMEM, Card("vmxnet3", 8, 8), 1500, ("8 of 8 queues", "ethtool -L")),
        (errno.EINVAL, Card("igb"), 1500, ("igb says invalid argument",)),
        (errno.EOPNOTSUPP, Card(""), 1500, ("its driver has no native XDP on this kernel",)),
    ],
)
def test_a_refusal_names_its_reason_and_its_cure(
    number: int, found: Card, mtu: int, words: tuple[str, ...]
) -> None:
    sentence = why_not_native(number, found, mtu)

    assert [] == [word for word in words if word not in sentence]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("vlan", ("a VLAN interface",)),
        ("bond", ("a bond", "802.3ad")),
        ("bridge", ("a bridge", "use its port")),
        (None, ("its driver has no native XDP",)),
    ],
)
def test_a_virtual_interface_is_told_where_it_would_be_native(
    kind: str | None, words: tuple[str, ...]
) -> None:
    sentence = why_not_native(errno.EOPNOTSUPP, Card(""), 1500, kind=kind)

    assert [] == [word for word in words if word not in sentence]


@pytest.mark.parametrize(
    ("found", "cpus", "told"),
    [
        (VIRTIO, 2, True),
        (Card("virtio_net", 2, 4), 2, False),
        (Card("virtio_net", 3, 4), 2, True),
        (Card("igb", 1, 1), 8, False),
        (Card(""), 8, False),
    ],
)
def test_too_few_queues_are_told_where_they_cost_speed(
    found: Card, cpus: int, *, told: bool
) -> None:
    assert told == (queue_note(found, cpus) is not None)
