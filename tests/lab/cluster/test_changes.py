"""What breaks when members leave, join and die?  Claims 28-30, 34-43."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path

import pytest

from remainder.config import CLUSTER_MAC
from remainder.kernel import netlink
from remainder_lab import hold_sessions, udp_exchanges
from remainder_lab.acts_cluster import (
    plan_of,
    publish,
    show_joining,
    show_leaving,
    show_selection,
)
from remainder_lab.cluster import Cluster
from tests.lab.cluster.members import listens, run_members

pytestmark = [pytest.mark.root, pytest.mark.bpf]
SIOCADDMULTI = 0x8931


# -- members leave, join and die -----------------------------------------------------


def test_a_member_that_leaves_a_stable_table_breaks_its_own_sessions(
    scene: Cluster, file: Path
) -> None:
    """One of three stops: about a third of the sessions move, and nobody else notices."""
    run_members(scene, file, scene.config_text(mode="native"))
    before = plan_of(file)
    text = scene.config_text(servers=["m1", "m2"], mode="native")
    left = show_leaving(scene, file, text, leaver="m3")
    own = {
        item.flow for item in left.sessions if scene.name_of(before.where(item.flow).owner) == "m3"
    }
    print(
        f"maglev, 3 to 2 members: {len(left.sessions)} sessions, {len(own)} of the leaver, "
        f"{len(left.moved)} moved, {len(left.broken)} broken"
    )

    assert len(left.sessions) == 300
    assert left.moved == left.broken
    assert own <= left.moved
    assert len(left.moved - own) < 0.1 * len(left.sessions)


def test_a_member_that_leaves_modulo_breaks_what_the_arithmetic_says(
    scene: Cluster, file: Path
) -> None:
    """Key % 3 becomes key % 2: two thirds of the sessions move."""
    run_members(scene, file, scene.config_text(table="modulo", mode="native"))
    text = scene.config_text(table="modulo", servers=["m1", "m2"], mode="native")
    left = show_leaving(scene, file, text, leaver="m3")
    keys = {
        item.flow: sum(
            map(
                int,
                (
                    item.flow.src_ip,
                    item.flow.src_port,
                    item.flow.dst_ip,
                    item.flow.dst_port,
                    item.flow.protocol,
                ),
            )
        )
        for item in left.sessions
    }
    print(f"modulo, 3 to 2 members: {len(left.broken)} of {len(left.sessions)} broken")

    assert {flow for flow, key in keys.items() if key % 3 != key % 2} == left.broken
    assert 0.5 < len(left.broken) / len(left.sessions) < 0.8


def test_a_member_that_joins_a_stable_table_takes_its_share_and_no_more(
    scene: Cluster, file: Path
) -> None:
    """Two become three: what moves, breaks; what does not, goes on; and new sessions are right."""
    run_members(
        scene, file, scene.config_text(servers=["m1", "m2"], mode="native"), names=["m1", "m2"]
    )
    joined = show_joining(scene, file, scene.config_text(mode="native"), joiner="m3")
    selected = show_selection(scene, file)
    print(f"maglev, 2 to 3 members: {len(joined.broken)} of {len(joined.sessions)} broken")

    assert len(joined.sessions) == 300
    assert joined.broken <= joined.moved
    assert 0.2 < len(joined.moved) / len(joined.sessions) < 0.5
    assert () == selected.broken == selected.misdirected
    assert {} == selected.torn
    # Sessions that broke may still say so to the new member, in packets of their own.
    assert all(selected.packets[name] <= selected.kept[name] for name in scene.members)


def test_a_member_that_was_stopped_answers_nothing(scene: Cluster, file: Path) -> None:
    """It still hears every frame; its stack drops them, so nobody gets two answers."""
    run_members(scene, file, scene.config_text(mode="native"))
    scene.running("m3").terminate()
    plan = plan_of(file)
    echoes = udp_exchanges(
        scene.clients,
        scene.echo(),
        sources=scene.client_addresses[4],
        flows=100,
        timeout_s=0.5,
    )
    missing = {item.flow for item in echoes if not item.ok}

    assert missing
    assert missing == {
        item.flow for item in echoes if scene.name_of(plan.where(item.flow).owner) == "m3"
    }
    assert {"m1", "m2"} == {item.server for item in echoes if item.ok}


def test_the_data_plane_of_a_member_outlives_its_process(scene: Cluster, file: Path) -> None:
    """kill -9 of every process: open and new sessions go on, and the next start adopts it."""
    run_members(scene, file, scene.config_text(mode="native"))
    with hold_sessions(
        scene.clients, scene.web(), sources=scene.client_addresses[4], interval_s=0.2
    ) as held:
        for name in scene.members:
            scene.running(name).kill()
        alone = show_selection(scene, file, tcp=200, udp=50)
        again = scene.start_nodes(file)
        time.sleep(0.3)
        sessions = held.stop()

    # The held sessions were there too, so the packets counted are not those of the others alone.
    assert () == alone.broken + alone.misdirected
    assert {} == alone.torn
    assert [] == [item for item in sessions if not item.ok]
    assert not any("starting afresh" in line for item in again.values() for line in item.lines)


def test_a_member_listens_once_while_it_runs_and_no_longer(scene: Cluster, file: Path) -> None:
    """However often the file is published, one join; and it leaves when it stops."""
    run_members(scene, file, scene.config_text(mode="native"))
    heard = [listens(scene.members["m1"])]
    publish(scene, file, scene.config_text(table="modulo", mode="native"), names=scene.members)
    heard.append(listens(scene.members["m1"]))
    scene.running("m1").terminate()
    heard.append(listens(scene.members["m1"]))

    assert [1, 1, 0] == heard


def test_a_member_that_joins_again_does_not_leave_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A NIC filters: what comes between leaving and joining would be lost at every publication."""
    asked_for: list[int] = []
    monkeypatch.setattr(fcntl, "ioctl", lambda _, request, __: asked_for.append(request))
    interface = netlink.Interface(
        index=1, name="eth0", mac=bytes(6), mtu=1500, up=True, kind=None, xdp_mode=None,
        xdp_program=None,
    )  # fmt: skip
    netlink.listen_to(interface, bytes.fromhex(CLUSTER_MAC.replace(":", "")), join=True)

    assert asked_for == [SIOCADDMULTI]


def test_a_file_without_this_member_is_refused_and_its_share_goes_on(
    scene: Cluster, file: Path
) -> None:
    """So the leaver is stopped first, and then taken out of the file."""
    run_members(scene, file, scene.config_text(mode="native"))
    text = scene.config_text(servers=["m1", "m2"], mode="native")
    publish(scene, file, text, names=["m1", "m2"])
    warning = scene.running("m3").wait_for("warning: new file rejected")

    assert f"no node named {scene.members['m3'].namespace!r}" in warning
    assert scene.running("m3").poll() is None
