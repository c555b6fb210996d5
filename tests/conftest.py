"""What a test may ask of the host, and what happens where the host cannot.

``root``, ``bpf``, ``machines`` and ``realtime`` are found out by trying (scripts/host.py), once
per run.
Where the host cannot, the test skips with the reason; with
REMAINDER_REQUIRE_ALL=1, as ./test sets it for root, that skip and every other
one is a failure, so that no skip can hide a bug.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from functools import cache

import pytest
from hypothesis import settings

from remainder_lab.patience import patience, patient
from scripts.host import LACKS

REQUIRE_ALL = os.environ.get("REMAINDER_REQUIRE_ALL", "0") not in ("", "0")

# A call into the kernel may take its time; that says nothing about the code.
settings.register_profile("remainder", deadline=None, print_blob=True)
settings.load_profile("remainder")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-golden`` writes the golden files anew, for a reviewer to read the difference.

    ``--all`` boots for tests/machines whatever is tried before a release.
    """
    parser.addoption("--update-golden", action="store_true", dest="update_golden")
    parser.addoption("--all", action="store_true", dest="all_machines")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where machines are slow every test gets its time, stretched as the lab's deadlines are."""
    if patience() == 1:
        return
    for item in items:
        marker = item.get_closest_marker("timeout")
        usual_s = float(marker.args[0] if marker else config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(patient(usual_s)), append=False)


@cache
def lacks(what: str) -> str | None:
    """Why this host cannot do ``root``, ``bpf``, ``machines`` or ``realtime``; None if it can."""
    return LACKS[what]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what the host cannot run, before any fixture is made."""
    for what in LACKS:
        if item.get_closest_marker(what):
            reason = lacks(what)
            if reason:
                pytest.skip(f"{what}: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip in a test or fixture is a failure where everything is required."""
    report = yield
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = _sentence(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a skip of a whole module, as ``pytest.importorskip`` makes it."""
    report = yield
    if REQUIRE_ALL and report.skipped:
        report.outcome = "failed"
        report.longrepr = _sentence(report)
    return report


def _sentence(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The reason of a skip, without pytest's file and line."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    return f"REMAINDER_REQUIRE_ALL is set, so this may not be skipped: {reason}"
