"""Where kernels, compilers and the emulator come from: Debian's packages, and nothing else.

An apt of our own, with lists, cache and state in a folder outside the tree, so that the host's
apt and its packages stay as they are.  The mirror is the host's; signatures are checked with
Debian's keys.  A tree of packages that has been unpacked once is not asked for again:
remove the folder to get what Debian has today.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from scripts.host import DEBIAN_KEYS

CACHE: Final = Path(
    os.environ.get("REMAINDER_MACHINES_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "remainder" / "machines"
)
_FORMAT: Final = "1: "
"""Of a tree; another number makes all anew."""


class PackageError(Exception):
    """Something that Debian should have is not to be had; the message is for people."""


@dataclass(frozen=True)
class Suite:
    """A release of Debian, as one apt sees it."""

    name: str
    """unique, and the name of the folder"""
    sources: tuple[str, ...]
    """suites, from which the newest version of a package is taken"""
    architecture: str = "amd64"
    preferred: str = ""
    """among the sources; without one the newest version counts"""


BULLSEYE: Final = Suite("bullseye", ("bullseye",))
BOOKWORM: Final = Suite("bookworm", ("bookworm", "bookworm-security"))
TRIXIE: Final = Suite("trixie", ("trixie", "trixie-security"))
BACKPORTS: Final = Suite(
    "trixie-backports", ("trixie-backports", "trixie"), preferred="trixie-backports"
)
SID: Final = Suite("sid", ("sid",))


@cache
def mirrors() -> dict[str, str]:
    """The host's mirrors: ``debian`` for suites, ``debian-security`` for security's."""
    chosen = os.environ.get("REMAINDER_MACHINES_MIRROR")
    found = {} if chosen is None else {"debian": chosen}
    listing = subprocess.run(
        (
            "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(ORIGIN)",
            "Created-By: Packages",
        ),
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    for line in listing.splitlines():
        uri, release, *_ = line.split()
        release = release.split("/")[0]
        if release in _RELEASES:
            found.setdefault("debian", uri)
        elif release.removesuffix("-security") in _RELEASES:
            found.setdefault("debian-security", uri)
    if "debian" not in found:
        raise PackageError(
            "no mirror of Debian is in this host's apt sources; set REMAINDER_MACHINES_MIRROR "
            "to the address of one (what stands before /dists)"
        )
    # Mirrors have the two side by side; a wrong guess shows when apt asks it.
    main = found["debian"].rstrip("/")
    found.setdefault("debian-security", f"{main}-security")
    return found


_RELEASES: Final = {
    "oldoldstable", "oldstable", "stable", "testing", "unstable",
    "bullseye", "bookworm", "trixie", "forky", "duke", "sid",
}  # fmt: skip


def _apt(suite: Suite, *arguments: str) -> subprocess.CompletedProcess[str]:
    """An apt command with lists, state and cache of this suite alone."""
    return _with_apt(_home(suite), *arguments)


def _with_apt(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        env={**os.environ, "APT_CONFIG": str(home / "apt.conf"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


@cache
def _home(suite: Suite) -> Path:
    """The folder of a suite's apt, its lists fetched."""
    home = CACHE / "apt" / f"{suite.name}-{suite.architecture}"
    for folder in ("lists/partial", "archives/partial", "etc"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "status").touch()
    lines = []
    for source in suite.sources:
        mirror = mirrors()["debian-security" if source.endswith("-security") else "debian"]
        lines.append(f"deb [signed-by={DEBIAN_KEYS}] {mirror} {source} main\n")
    (home / "sources.list").write_text("".join(lines), encoding="utf-8")
    (home / "apt.conf").write_text(
        f'APT::Architecture "{suite.architecture}";\n'
        f'APT::Architectures {{ "{suite.architecture}"; }};\n'
        # Without it what stands in backports is taken only if nothing else has it.
        f'APT::Default-Release "{suite.preferred}";\n'
        f'APT::Install-Recommends "false";\n'
        f'APT::Sandbox::User "root";\n'  # the folder may be one that nobody else may enter
        f'Acquire::Languages "none";\n'
        f'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";\n'
        f'Dir::State "{home}";\n'
        f'Dir::State::lists "{home}/lists";\n'
        f'Dir::State::status "{home}/status";\n'
        f'Dir::State::extended_states "{home}/extended";\n'
        f'Dir::Cache "{home}";\n'
        f'Dir::Cache::archives "{home}/archives";\n'
        f'Dir::Etc::sourcelist "{home}/sources.list";\n'
        f'Dir::Etc::sourceparts "/dev/null";\n'
        f'Dir::Etc::preferencesparts "/dev/null";\n',
        encoding="utf-8",
    )
    run = _with_apt(home, "apt-get", "update", "-qq", "-o", "APT::Update::Error-Mode=any")
    if run.returncode != 0:
        raise PackageError(f"the package lists of {suite.name} are not to be had: {_last(run)}")
    return home


def _last(run: subprocess.CompletedProcess[str]) -> str:
    return " / ".join((run.stderr or run.stdout).strip().splitlines()[-3:])


def names(suite: Suite, pattern: str) -> list[str]:
    """The packages of a suite whose names match."""
    listing = _apt(suite, "apt-cache", "search", "--names-only", pattern).stdout
    return [line.split()[0] for line in listing.splitlines()]


def version(suite: Suite, package: str) -> str:
    """The version of a package that would be taken; empty if there is none."""
    for line in _apt(suite, "apt-cache", "policy", package).stdout.splitlines():
        key, _, value = line.strip().partition(": ")
        if key == "Candidate" and value != "(none)":
            return value
    return ""


def is_newer(one: str, other: str) -> bool:
    """Whether a version of Debian's is newer than another."""
    command = ("dpkg", "--compare-versions", one, "gt", other)
    return subprocess.run(command, check=False).returncode == 0


@dataclass(frozen=True)
class Wanted:
    """What a tree is made from."""

    suite: Suite
    packages: Sequence[str]
    only: str = ""
    """of what they depend on, that whose names begin so"""
    leave: Sequence[str] = ()
    """what is not unpacked, by its path"""


def unpacked(name: str, wanted: Callable[[], Wanted]) -> Path:
    """A tree with packages and all that they depend on; made once, then found.

    ``wanted`` is asked only if there is no tree, since it may ask the mirror.
    No script of a package is run.
    """
    tree, stamp = CACHE / name, CACHE / f"{name}.made-from"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another ./test machines may be making it
        if not stamp.exists() or not stamp.read_text(encoding="utf-8").startswith(_FORMAT):
            stamp.unlink(missing_ok=True)
            chosen = wanted()
            _make(tree, chosen)
            stamp.write_text(f"{_FORMAT}{chosen}\n", encoding="utf-8")
    return tree


def _make(tree: Path, wanted: Wanted) -> None:
    if tree.exists():
        shutil.rmtree(tree)
    archives = CACHE / f"{tree.name}.debs"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    download(wanted.suite, wanted.packages, archives)
    unpack_all(archives, tree, only=wanted.only, leave=wanted.leave)
    shutil.rmtree(archives)


def download(suite: Suite, packages: Sequence[str], archives: Path) -> None:
    """Fetch packages and all that they depend on.  Raises PackageError."""
    run = _apt(
        suite, "apt-get", "install", "--yes", "--download-only",
        "-o", f"Dir::Cache::archives={archives}", *packages,
    )  # fmt: skip
    if run.returncode != 0:
        raise PackageError(f"{' '.join(packages)} of {suite.name} is not to be had: {_last(run)}")


def unpack_all(archives: Path, tree: Path, *, only: str = "", leave: Sequence[str] = ()) -> None:
    """Unpack what was fetched, below /usr as every Debian since 12 has it."""
    for folder in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / folder).mkdir(parents=True, exist_ok=True)
        (tree / folder).symlink_to(f"usr/{folder}")
    excluded = [f"--exclude={path}" for path in leave]
    for package in sorted(archives.glob(f"{only}*.deb")):
        _unpack(package, tree, excluded)


def _unpack(package: Path, tree: Path, excluded: Sequence[str]) -> None:
    with subprocess.Popen(
        ("dpkg-deb", "--fsys-tarfile", str(package)), stdout=subprocess.PIPE
    ) as archive:
        # Older packages have /lib, which is a link here, as on every Debian since 12.
        subprocess.run(
            ("tar", "-x", "--keep-directory-symlink", "-C", str(tree), *excluded),
            stdin=archive.stdout,
            check=True,
        )
    if archive.returncode != 0:
        raise PackageError(f"{package.name} cannot be unpacked; remove {package} and run it again")
