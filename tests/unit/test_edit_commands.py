"""The commands that edit a file: what they write, what they keep, and what they refuse."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from remainder.cli import editing, group
from remainder.config import Config, Service
from remainder.errors import ConfigError, HostError, RemainderError
from remainder.sources.file import load

WEB = (Path(__file__).parents[2] / "examples" / "web.toml").read_text(encoding="utf-8")
FLEET = Path(__file__).parents[1] / "golden" / "fleet.toml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.toml"
    path.write_text(WEB)
    path.chmod(0o640)
    return path


def run(*arguments: str | Path, answer: str = "") -> Result:
    return CliRunner().invoke(group, [str(word) for word in arguments], input=answer)


def web(file: Path) -> Service:
    (service,) = load(file).service
    return service


def sentence(done: Result) -> str:
    assert isinstance(done.exception, RemainderError), done.output
    return str(done.exception)


def assert_as_before(file: Path) -> None:
    assert WEB == file.read_text()
    assert [file.name] == [path.name for path in file.parent.iterdir()]


def test_a_server_is_added_with_the_earlier_calculation(file: Path) -> None:
    done = run("add", file, "s4", "192.0.2.14", "--weight", "2", "--yes")

    assert 0 == done.exit_code
    assert "web  203.0.113.10:80 tcp: " in done.output
    assert ["s1", "s2", "s3", "s4"] == [server.name for server in web(file).servers]
    assert 2 == web(file).servers[3].weight
    assert [["s1", "s2", "s3"]] == [[one.name for one in old.servers] for old in web(file).before]
    assert file.read_text().startswith(WEB.removesuffix("]\n"))


def test_a_new_server_gets_the_interface_that_all_others_have(file: Path) -> None:
    file.write_text(WEB.replace('" },', '", interface = "eth1", mode = "native" },'))
    assert 0 == run("add", file, "s4", "192.0.2.14", "--yes").exit_code
    assert 0 == run("add", file, "s5", "192.0.2.15", "--interface", "eth0", "--yes").exit_code

    assert [("eth1", "native"), ("eth0", "auto")] == [
        (one.interface, one.mode) for one in web(file).servers[3:]
    ]


def test_a_server_is_drained_and_removed_and_its_sessions_are_remembered(file: Path) -> None:
    assert 0 == run("drain", file, "s2", "--yes").exit_code
    assert [1, 0, 1] == [server.weight for server in web(file).servers]
    assert 0 == run("remove", file, "s2", "--yes").exit_code

    assert ["s1", "s3"] == [server.name for server in web(file).servers]
    assert [[1, 1, 1]] == [[server.weight for server in old.servers] for old in web(file).before]


def test_a_weight_and_a_formula_are_changed(file: Path) -> None:
    assert 0 == run("weight", file, "s3", "5", "--yes").exit_code
    done = run(
        "change-key", file, "src_ip + src_port", "--table", "maglev", "--slots", "251", "--yes"
    )

    assert 0 == done.exit_code
    assert ("src_ip + src_port", "maglev", 251) == (
        str(web(file).key),
        web(file).table,
        web(file).slots,
    )
    assert 5 == web(file).servers[2].weight
    assert ["modulo", "modulo"] == [old.table for old in web(file).before]


def test_settling_says_what_is_lost(file: Path) -> None:
    for weight in ("2", "3"):
        assert 0 == run("weight", file, "s3", weight, "--yes").exit_code
    kept = run("settle", file, "--keep", "1", "--yes")

    assert "web forgets 1 earlier calculation: sessions that still need it break" in kept.output
    assert 1 == len(web(file).before)
    assert "web forgets 1 earlier calculation" in run("settle", file, "--yes").output
    assert [] == web(file).before
    assert "nothing to change" in run("settle", file, "--yes").output


def test_undo_takes_a_change_back_and_makes_it_again(file: Path) -> None:
    assert 0 == run("drain", file, "s2", "--yes").exit_code
    drained = file.read_text()
    assert 0 == run("undo", file, "--yes").exit_code
    assert WEB == file.read_text()
    assert 0 == run("undo", file, "--yes").exit_code

    assert drained == file.read_text()


def test_the_former_file_is_beside_it_with_the_same_mode(file: Path) -> None:
    assert 0 == run("drain", file, "s2", "--yes").exit_code
    former = file.with_name("shop.toml.previous")

    assert WEB == former.read_text()
    assert {former, file} == set(file.parent.iterdir())
    assert [0o640, 0o640] == [stat.S_IMODE(path.stat().st_mode) for path in (former, file)]


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    assert 0 == run("drain", link, "s2", "--yes").exit_code

    assert link.is_symlink()
    assert 0 == web(file).servers[1].weight
    assert file.with_name("shop.toml.previous").exists()


def test_line_ends_and_the_byte_order_mark_stay(file: Path) -> None:
    content = b"\xef\xbb\xbf" + WEB.replace("\n", "\r\n").encode()
    file.write_bytes(content)
    assert 0 == run("weight", file, "s1", "2", "--yes").exit_code
    written = file.read_bytes()

    assert written.startswith(b"\xef\xbb\xbf#")
    assert written.count(b"\n") == written.count(b"\r\n") > content.count(b"\r\n")
    assert 2 == web(file).servers[0].weight
    assert content == file.with_name("shop.toml.previous").read_bytes()


# -- nothing changes ---------------------------------------------------------------------


def test_without_a_yes_nothing_changes(file: Path) -> None:
    done = run("drain", file, "s2", answer="n\n")

    assert 1 == done.exit_code
    assert "nothing has changed" in done.output
    assert_as_before(file)


def test_with_a_yes_it_changes(file: Path) -> None:
    assert 0 == run("drain", file, "s2", answer="y\n").exit_code
    assert 0 == web(file).servers[1].weight


def test_where_nobody_answers_the_option_is_named(file: Path) -> None:
    done = run("drain", file, "s2")

    assert 2 == done.exit_code
    assert "nobody answered, so nothing has changed; add --yes" in done.output
    assert_as_before(file)


def test_a_dry_run_shows_the_lines_and_changes_nothing(file: Path) -> None:
    done = run("weight", file, "s2", "3", "--dry-run")

    assert 0 == done.exit_code
    assert '+    { name = "s2", address = "192.0.2.12", weight = 3 },' in done.output.splitlines()
    assert_as_before(file)


@pytest.mark.parametrize("more", [(), ("--yes",), ("--dry-run",)])
def test_too_large_a_change_is_not_made(file: Path, more: tuple[str, ...]) -> None:
    done = run("drain", file, "s2", "--max-moved", "5%", *more)

    assert "50 % of the flows would move" in sentence(done) or "66.7 %" in sentence(done)
    assert "moves-too-much" == getattr(done.exception, "id", None)
    assert_as_before(file)


def test_given_sessions_decide_what_is_too_large(file: Path, tmp_path: Path) -> None:
    flows = tmp_path.parent / f"{tmp_path.name}.csv"
    flows.write_text("198.51.100.10,1,203.0.113.10,80,tcp\n")
    arguments = ("--flows", flows, "--max-moved", "0%", "--dry-run")
    results = {name: run("drain", file, name, *arguments).exit_code for name in ("s1", "s2", "s3")}

    assert {"s1": 1, "s2": 0, "s3": 0} == results


def test_a_file_that_changes_meanwhile_is_left_alone(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = WEB.replace("modulo", "maglev")
    monkeypatch.setattr(editing, "_confirm", lambda path: path.write_text(other))
    done = run("drain", file, "s2")

    assert sentence(done).endswith("the file was changed in the meantime; run the command again")
    assert other == file.read_text()


@pytest.mark.parametrize("failing", [1, 2])
def test_a_write_that_fails_leaves_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    calls = []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    done = run("drain", file, "s2", "--yes")

    assert isinstance(done.exception, HostError)
    assert "(No space left on device), so" in str(done.exception)
    assert WEB == file.read_text()
    assert not [path for path in file.parent.iterdir() if path.name.startswith(".")]


MISTAKES = [
    ("'s9' is not in the file; it has s1, s2, s3", ("drain", "s9")),
    ("'s9' is not in the file; it has s1, s2, s3", ("remove", "s9")),
    ("'s9' is not in the file; it has s1, s2, s3", ("weight", "s9", "2")),
    ("'s1' is already in service.web", ("add", "s1", "192.0.2.19")),
    ("no address for 's4'; expected `add FILE NAME ADDRESS`", ("add", "s4")),
    (
        "service[0].servers[3].address (server 's4' of service 'web'): 203.0.113.10 is a VIP",
        ("add", "s4", "203.0.113.10"),
    ),
    ("'host' is not an IP address", ("add", "s4", "host")),
    ("unknown field 'ttl'", ("change-key", "src_ip + ttl")),
    ("a hash and needs a secret", ("change-key", "hash(src_ip)")),
    ("nothing to change is given; expected a KEY, --table or --slots", ("change-key",)),
    ("'ftp' is not in the file; choose one of service.web", ("settle", "--in", "ftp")),
    ("nothing to undo: there is no", ("undo",)),
]


@pytest.mark.parametrize(("problem", "arguments"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_one_sentence_and_changes_nothing(
    file: Path, problem: str, arguments: tuple[str, ...]
) -> None:
    command, *rest = arguments
    done = run(command, file, *rest, "--yes")

    assert isinstance(done.exception, ConfigError)
    assert problem in str(done.exception)
    assert "\n" not in str(done.exception)
    assert_as_before(file)


def test_an_undo_of_a_former_file_that_is_wrong_is_refused(file: Path) -> None:
    former = file.with_name("shop.toml.previous")
    former.write_text("[[service]]\n")
    done = run("undo", file, "--yes")

    assert f"{former}:1: service[0]: name is missing" in sentence(done)
    assert WEB == file.read_text()


# -- other sections ------------------------------------------------------------------------


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.toml"
    path.write_bytes(FLEET.read_bytes())
    return path


def test_members_and_routers_come_and_go(fleet: Path) -> None:
    config: Config = load(fleet)
    cluster, back = config.cluster[0].name, config.return_path[0].name
    for arguments in (
        ("add", fleet, "r9", "--interface", "eth7", "--in", f"cluster.{cluster}"),
        ("add", fleet, "r9", "192.0.2.99", "--in", f"return_path.{back}"),
    ):
        assert 0 == run(*arguments, "--yes").exit_code

    assert "r9" == load(fleet).cluster[0].members[-1].name
    assert "r9" == load(fleet).return_path[0].routers[-1].name
    assert "is in cluster" in sentence(run("drain", fleet, "r9", "--yes"))
    assert 0 == run("remove", fleet, "r9", "--in", f"cluster.{cluster}", "--yes").exit_code
    assert config.cluster[0].members == load(fleet).cluster[0].members


def test_what_an_owner_cannot_have_is_said(fleet: Path) -> None:
    config = load(fleet)
    cluster, back = config.cluster[0].name, config.return_path[0].name
    member = run("add", fleet, "r9", "192.0.2.99", "--in", f"cluster.{cluster}", "--yes")
    router = run(
        "add", fleet, "r9", "192.0.2.9", "--interface", "e", "--in", f"return_path.{back}", "--yes"
    )

    assert "a member has an --interface, and no address" == sentence(member)
    assert "a router has an address, and no interface" == sentence(router)
