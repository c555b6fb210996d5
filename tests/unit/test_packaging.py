"""What is shipped works where it lands: source distributions, and wheels made from them."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

import remainder
from scripts.compile_python import header

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).resolve().parents[2]
PLACES: Final = {
    "remainder": ROOT, "remainder_lab": ROOT / "packages" / "lab",
    "remainder_bench": ROOT / "packages" / "bench",
}  # fmt: skip
"""Package → where its distribution is built."""

MADE_FROM_OTHERS: Final = "the compiled programs that are here were made from other sources"

NOTHING: Final[Mapping[str, str]] = {}

ELF: Final = b"\x7fELF"
EM_BPF: Final = 247


def run(*command: str | Path, cwd: Path = ROOT, environment: Mapping[str, str] = NOTHING) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env={**os.environ, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert 0 == done.returncode, done.stdout + done.stderr

    return done.stdout + done.stderr


def pip(*arguments: str | Path, environment: Mapping[str, str] = NOTHING) -> str:
    """pip, kept from fetching anything."""
    return run(
        sys.executable, "-m", "pip", *arguments,
        "--no-deps", "--no-index", "--disable-pip-version-check", environment=environment,
    )  # fmt: skip


def platform() -> str:
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


def need_headers() -> None:
    if not header().exists():
        pytest.skip(f"compiled: {header()} is missing")


@pytest.fixture(scope="module")
def sdists(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Package → its source distribution."""
    made = {}
    for package, place in PLACES.items():
        folder = tmp_path_factory.mktemp("sdist")
        run(
            sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", folder,
            cwd=place,
        )  # fmt: skip
        (made[package],) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def wheels(sdists: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Built from the source distributions, so that nothing of this tree helps."""
    return {
        package: wheel_of(sdist, tmp_path_factory.mktemp("wheel"))
        for package, sdist in sdists.items()
    }


def wheel_of(source: Path, folder: Path, environment: Mapping[str, str] = NOTHING) -> Path:
    pip("wheel", "--no-build-isolation", "--wheel-dir", folder, source, environment=environment)
    (archive,) = folder.iterdir()
    return archive


@pytest.fixture(scope="module")
def sdist(sdists: dict[str, Path]) -> Path:
    """The product's."""
    return sdists["remainder"]


@pytest.fixture(scope="module")
def wheel(wheels: dict[str, Path]) -> Path:
    """The product's."""
    return wheels["remainder"]


@pytest.fixture(scope="module")
def uncompiled(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """(The same where nothing for Python can be compiled, what the build said)."""
    folder = tmp_path_factory.mktemp("uncompiled")
    said = pip(
        "wheel",
        "--verbose",
        "--no-build-isolation",
        "--wheel-dir",
        folder,
        sdist,
        environment={"CC": "false"},
    )
    (archive,) = folder.iterdir()
    return archive, said


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    pip("install", "--target", folder, wheel)
    return folder


# As pip asks, and as if Python had its headers there.
ASKED: Final = """
import sys, sysconfig
path = sysconfig.get_path
sysconfig.get_path = lambda name: sys.argv[2] if name == "include" else path(name)
from hatchling import build
print(getattr(build, sys.argv[1])())
"""


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_only_where_python_has_its_headers_a_build_fetches_mypyc(tmp_path: Path, kind: str) -> None:
    """At the version that the tests have."""
    asked: list[str | Path] = [
        sys.executable,
        "-c",
        ASKED,
        f"get_requires_for_build_{kind}",
        tmp_path,
    ]
    without = ast.literal_eval(run(*asked))
    (tmp_path / "Python.h").touch()
    with_headers = ast.literal_eval(run(*asked))
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (pinned,) = (one for one in wanted["optional-dependencies"]["test"] if "mypyc" in one)

    assert [] == [one for one in without if "mypy" in one]
    assert [pinned] == [one for one in with_headers if "mypy" in one]


@pytest.mark.parametrize("package", PLACES)
def test_a_wheel_has_every_program_of_its_package_compiled_with_its_types(
    wheels: dict[str, Path], package: str
) -> None:
    sources = (ROOT / "src" / package / "bpf").glob("*.bpf.c")
    wanted = {f"{package}/bpf/{source.with_suffix('.o').name}" for source in sources}
    objects = objects_in(wheels[package])

    assert wanted == set(objects)
    for content in objects.values():
        assert ELF == content[:4]
        assert EM_BPF == int.from_bytes(content[18:20], sys.byteorder)
        assert b".BTF\0" in content


def objects_in(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.endswith(".o")}


@pytest.mark.parametrize("package", PLACES)
def test_a_wheel_has_its_package_alone_and_all_of_it(wheels: dict[str, Path], package: str) -> None:
    sources = ROOT / "src" / package
    with zipfile.ZipFile(wheels[package]) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert {package} == {Path(name).parts[0] for name in names}
    assert {
        str(path.relative_to(ROOT / "src"))
        for path in (*sources.rglob("*.py"), *sources.rglob("*.[ch]"), sources / "py.typed")
    } == {name for name in names if not name.endswith((".o", ".so", "objects.json"))}


@pytest.mark.parametrize("package", PLACES)
def test_without_clang_a_wheel_has_the_programs_that_came_with_their_sources(
    sdists: dict[str, Path], wheels: dict[str, Path], package: str, tmp_path: Path
) -> None:
    without_clang = tmp_path / "empty"
    without_clang.mkdir()
    wheel = wheel_of(sdists[package], tmp_path / "wheel", {"PATH": str(without_clang)})

    assert objects_in(wheels[package]) == objects_in(wheel)


@pytest.mark.parametrize(
    ("spoiled", "content", "why"),
    [
        ("count.h", b"/* changed */", MADE_FROM_OTHERS),
        ("balancer.bpf.o", b"changed", MADE_FROM_OTHERS),
        ("objects.json", b"[]", MADE_FROM_OTHERS),
        ("objects.json", None, "the XDP programs are compiled from C"),
    ],
)
def test_without_clang_and_with_programs_of_other_sources_the_build_says_so_in_one_sentence(
    sdist: Path, tmp_path: Path, spoiled: str, content: bytes | None, why: str
) -> None:
    subprocess.run(["tar", "-xzf", sdist, "-C", tmp_path], check=True)
    (tree,) = tmp_path.iterdir()
    path = tree / "src" / "remainder" / "bpf" / spoiled
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel"],
        cwd=tree, env={**os.environ, "PATH": "/"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    sentence = (
        f"remainder: the compiler clang is missing, and {why}; "
        f"on Debian or Ubuntu run: apt-get install clang libbpf-dev linux-libc-dev\n"
    )

    assert 0 != done.returncode
    assert sentence == done.stderr


@pytest.mark.parametrize("package", PLACES)
def test_the_objects_do_not_tell_where_they_were_compiled(
    wheels: dict[str, Path], package: str
) -> None:
    """Two nodes that compiled the same source can compare what they run."""
    objects = objects_in(wheels[package]).values()

    assert not [content for content in objects if b"/tmp" in content or b"/home" in content]


def test_the_wheel_is_for_the_python_and_machine_that_can_load_what_is_compiled(
    wheel: Path,
) -> None:
    need_headers()
    version = "".join(map(str, sys.version_info[:2]))
    with zipfile.ZipFile(wheel) as archive:
        (extension,) = (name for name in archive.namelist() if name.endswith(".so"))
        content = archive.read(extension)

    assert f"remainder/selection/walk{sysconfig.get_config_var('EXT_SUFFIX')}" == extension
    assert b"/tmp" not in content
    assert wheel.name.endswith(f"-cp{version}-cp{version}-{platform()}.whl")


def test_without_a_compiler_for_python_the_wheel_is_for_any_python_3_and_says_why(
    uncompiled: tuple[Path, str],
) -> None:
    wheel, said = uncompiled
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    assert "remainder/selection/walk.py" in names
    assert not [name for name in names if name.endswith(".so")]
    assert wheel.name.endswith(f"-py3-none-{platform()}.whl")
    assert 1 == said.count("remainder: runs uncompiled, only slower: ")


@pytest.mark.parametrize(
    ("package", "python"),
    [
        ("remainder", "LICENSE"), ("remainder_lab", "Apache-2.0.txt"),
        ("remainder_bench", "Apache-2.0.txt"),
    ],
)  # fmt: skip
def test_a_wheel_carries_all_licences(wheels: dict[str, Path], package: str, python: str) -> None:
    with zipfile.ZipFile(wheels[package]) as archive:
        licences = {
            Path(name).name: archive.read(name)
            for name in archive.namelist()
            if "/licenses/" in name
        }

    assert {python, "GPL-2.0-only.txt", "BSD-2-Clause.txt"} == set(licences)
    assert (ROOT / "LICENSE").read_bytes() == licences[python]


def environment_with(folder: Path, *wheels: Path) -> Path:
    """A fresh environment of these wheels and what they depend on; returns its command."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    site = folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        # Nothing of ours, by which the tree would be found.
        if not path.name.lstrip("_").startswith("remainder") and path.suffix != ".pth":
            (site / path.name).symlink_to(path)
    pip("--python", folder / "bin" / "python", "install", *wheels)
    return folder / "bin" / "remainder"


def answer_of(command: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [command, *arguments],
        cwd="/", env={"PATH": "/"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_a_command_that_is_not_installed_says_how_to_get_it(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    command = environment_with(tmp_path / "venv", wheels["remainder"])

    assert 0 == answer_of(command, "check", "--help")[0]
    for name, extra in {"bench": "bench", "demo": "lab", "lab": "lab"}.items():
        sentence = (
            f"remainder: `remainder {name}` is not installed; "
            f"install it with `pip install 'remainder[{extra}]'`\n"
        )

        assert (2, "", sentence) == answer_of(command, name)


def test_a_package_of_its_own_brings_its_commands(wheels: dict[str, Path], tmp_path: Path) -> None:
    command = environment_with(tmp_path / "venv", *wheels.values())
    status, scenes, told = answer_of(command, "lab")

    assert (0, "") == (status, told)
    assert "one-service" in scenes.splitlines()
    for name in ("bench", "demo", "lab"):
        assert answer_of(command, name, "--help")[1].startswith(f"Usage: remainder {name} ")


def test_an_extra_brings_the_package_of_the_same_version(wheels: dict[str, Path]) -> None:
    lines = metadata_in(wheels["remainder"]).splitlines()

    assert {
        f"Requires-Dist: remainder-{extra}=={remainder.__version__}; extra == '{extra}'"
        for extra in ("lab", "bench")
    } <= set(lines)


def metadata_in(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        return archive.read(name).decode()


def test_what_is_installed_has_the_command(installed: Path) -> None:
    script = installed / "bin" / "remainder"

    assert os.access(script, os.X_OK)

    run(
        sys.executable, "-c",
        "import remainder, importlib.metadata as m; "
        f"assert remainder.__file__.startswith({str(installed)!r}); "
        f"d, = m.distributions(name='remainder', path=[{str(installed)!r}]); "
        "e, = d.entry_points; assert e.name == 'remainder'; assert callable(e.load())",
        cwd=installed,
    )  # fmt: skip


def test_what_is_installed_fills_a_table_compiled(installed: Path) -> None:
    need_headers()

    run(
        sys.executable, "-c",
        "from remainder.selection import maglev, walk; "
        f"assert walk.__file__.startswith({str(installed)!r}); "
        "assert walk.__file__.endswith('.so'); "
        "assert maglev.table([1, 1], ['a', 'b'], 7).tolist().count(0) in (3, 4)",
        cwd=installed,
    )  # fmt: skip
