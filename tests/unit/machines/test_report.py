"""What a run on other kernels found becomes a table that people can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.machines import report
from tests.machines.kernels import Kernel


def test_a_reason_stands_once_below_the_table_and_its_number_in_the_cells() -> None:
    notes = {
        "virtio_net": {"6.1": "generic: too few buffers", "6.12": "native"},
        "igb": {"6.1": "generic: too few buffers; **3 of 24 sessions broken**"},
        report.AGREEMENT: {"6.12": "0 of 90"},
    }

    assert [
        "| | 6.1 (6.1.9) | 6.12 (6.12.4) |",
        "|---|---|---|",
        f"| {report.AGREEMENT} | not tried | 0 of 90 |",
        "| igb | generic (1); **3 of 24 sessions broken** | not tried |",
        "| virtio_net | generic (1) | native |",
        "",
        "1. too few buffers",
    ] == report.table(notes, {"6.12": "6.12.4", "6.1": "6.1.9"})


def test_another_build_of_a_kernel_begins_with_an_empty_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "KEPT", tmp_path / "results.json")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    first, second = (
        Kernel("6.1", f"6.1.{number}", f"6.1.{number}-1", Path("vmlinuz"), Path("modules"))
        for number in (1, 2)
    )
    report.note("a", first, "native")
    report.note("b", second, "native")
    report.write(page)
    text = page.read_text(encoding="utf-8")

    assert "| a | not tried |" in text
    assert "| b | native |" in text
    assert "6.1.2-1" in text
    assert "old" not in text
    assert (text.startswith("before\n"), text.endswith("after\n")) == (True, True)


def test_a_line_of_the_product_is_a_sentence_without_its_id() -> None:
    said = "remainder: eth0 is gone; exiting [interface-gone]\n"

    assert report.sentence(said) == "eth0 is gone; exiting"
