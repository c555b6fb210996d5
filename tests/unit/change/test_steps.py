"""The order of steps: servers before balancers, and what is missing before all else."""

from __future__ import annotations

from remainder.change.outlook import outlook
from remainder.config import Config, Service
from tests.fleets import cluster, fleet
from tests.unit.change.pairs import earlier, file, server

FOUR = tuple(map(server, range(11, 15)))
FIVE = (*FOUR, server(15))


def told(before: Config, after: Config) -> list[str]:
    return list(outlook(before, after).steps)


def test_nothing_moves_nothing_to_do() -> None:
    assert ["install the new file on all nodes, in any order: no flow moves"] == told(
        file(*FOUR), file(*FOUR)
    )


def test_with_the_second_chance_servers_come_first_and_settle_last() -> None:
    install, settle = told(file(*FOUR), file(*FIVE, before=[earlier(*FOUR)]))

    assert install.index("on the servers") < install.index("on the balancers")
    assert "remainder settle" in settle


def test_what_the_new_file_lacks_comes_first() -> None:
    deaf = (*FOUR, server(15, node=False))
    first, second, *_ = told(file(*FOUR), file(*deaf))

    assert first.startswith("list the earlier calculation of web in the new file")
    assert second.startswith("add interface to s15 in the new file")


def test_a_server_that_leaves_stays_until_its_sessions_have_ended() -> None:
    found = told(file(*FIVE), file(*FOUR, before=[earlier(*FIVE)]))

    assert "leave s15 running until its sessions have ended" == found[1]


def test_without_any_second_chance_the_time_matters() -> None:
    first, install = told(fleet(), fleet(cluster=[cluster(table="maglev")]))[-2:]

    assert first.startswith(
        "choose a time when few sessions of routers/ipv4, routers/ipv6 are open"
    )
    assert "install the new file on all nodes at about the same time" == install


def test_no_step_is_said_twice() -> None:
    found = told(fleet(), fleet(cluster=[cluster(key="src_ip")]))

    assert len(set(found)) == len(found)


def test_many_services_share_their_steps_and_many_names_are_counted() -> None:
    old, new = (
        Config(
            service=[
                Service(
                    name=f"web{port}", vip="203.0.113.10", port=port, protocol="tcp",
                    key="src_ip", table="modulo", servers=list(servers),
                )
                for port in range(1, 31)
            ]
        )
        for servers in (FOUR, FIVE)
    )  # fmt: skip
    found = told(old, new)

    assert 2 == len(found)
    assert "of web1, web2, web3" in found[0]
    assert "web12 and 18 more in the new file" in found[0]
