"""``--all`` runs what is meant for before a release too; without it those tests are left out."""

from __future__ import annotations

import pytest

from tests.machines import report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, not skip: as root no skip is allowed."""
    if config.getoption("all_machines"):
        return
    left_out = [item for item in items if item.get_closest_marker("release")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What was found out, for docs/machines.md."""
    if session.config.getoption("all_machines"):
        report.write()
