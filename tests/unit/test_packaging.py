"""What is shipped works where it lands: a source distribution, and a wheel made from it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path
from typing import Final

import pytest

from scripts.compile_python import header

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).resolve().parents[2]
ELF: Final = b"\x7fELF"
EM_BPF: Final = 247


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env={**os.environ, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert 0 == done.returncode, done.stdout + done.stderr

    return done.stdout + done.stderr


def pip(*arguments: str | Path, **environment: str) -> str:
    """pip, kept from fetching anything."""
    return run(
        sys.executable, "-m", "pip", *arguments,
        "--no-deps", "--no-index", "--disable-pip-version-check", **environment,
    )  # fmt: skip


def platform() -> str:
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


def need_headers() -> None:
    if not header().exists():
        pytest.skip(f"compiled: {header()} is missing")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", folder)
    (archive,) = folder.iterdir()
    return archive


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source distribution, so that nothing of this tree helps."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "--wheel-dir", folder, sdist)
    (archive,) = folder.iterdir()
    return archive


@pytest.fixture(scope="module")
def uncompiled(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """(The same where nothing for Python can be compiled, what the build said)."""
    folder = tmp_path_factory.mktemp("uncompiled")
    said = pip(
        "wheel", "--verbose", "--no-build-isolation", "--wheel-dir", folder, sdist, CC="false"
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
    asked = [sys.executable, "-c", ASKED, f"get_requires_for_build_{kind}", tmp_path]
    without = ast.literal_eval(run(*asked))
    (tmp_path / "Python.h").touch()
    with_headers = ast.literal_eval(run(*asked))
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (pinned,) = (one for one in wanted["optional-dependencies"]["test"] if "mypyc" in one)

    assert [] == [one for one in without if "mypy" in one]
    assert [pinned] == [one for one in with_headers if "mypy" in one]


def test_the_wheel_has_every_program_compiled_with_its_types(wheel: Path) -> None:
    sources = (ROOT / "src" / "remainder" / "bpf").glob("*.bpf.c")
    wanted = {f"remainder/bpf/{source.with_suffix('.o').name}" for source in sources}

    with zipfile.ZipFile(wheel) as archive:
        objects = {name for name in archive.namelist() if name.endswith(".o")}
        contents = [archive.read(name) for name in sorted(objects)]

    assert wanted == objects
    for content in contents:
        assert ELF == content[:4]
        assert EM_BPF == int.from_bytes(content[18:20], sys.byteorder)
        assert b".BTF\0" in content


def test_the_objects_do_not_tell_where_they_were_compiled(wheel: Path) -> None:
    """Two nodes that compiled the same source can compare what they run."""
    with zipfile.ZipFile(wheel) as archive:
        objects = [archive.read(name) for name in archive.namelist() if name.endswith(".o")]

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


def test_the_wheel_carries_all_licences(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        licences = {Path(name).name for name in archive.namelist() if "/licenses/" in name}

    assert {"LICENSE", "GPL-2.0-only.txt", "BSD-2-Clause.txt"} == licences


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
