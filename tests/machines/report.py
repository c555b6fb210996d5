"""What a run of ./test machines --all found out, written into docs/machines.md.

Between two markers; what stands around them is prose.  A row per question, a column per kernel.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.machines.kernels import Kernel
from tests.machines.machine import has_kvm
from tests.machines.packages import CACHE

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "machines.md"
BEGIN: Final = "<!-- results: written by ./test machines --all -->"
END: Final = "<!-- end of results -->"

KEPT: Final = CACHE / "results.json"

AGREEMENT: Final = "frames on which kernel and model differ"
LOADS: Final = "programs that load"


def note(question: str, kernel: Kernel, answer: str) -> None:
    """Remember an answer, for the table: a later run may ask the other questions."""
    with _alone():
        notes, kernels = _kept()
        if kernels.get(kernel.name) != kernel.version:
            for answers in notes.values():  # what an older build of this kernel did counts no more
                answers.pop(kernel.name, None)
        kernels[kernel.name] = kernel.version
        notes.setdefault(question, {})[kernel.name] = answer.replace("|", "\\|")
        KEPT.write_text(json.dumps([notes, kernels], indent=1), encoding="utf-8")


@contextmanager
def _alone() -> Iterator[None]:
    """Several runs may note side by side, each with other tests."""
    with KEPT.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _kept() -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    if not KEPT.exists():
        return {}, {}
    notes, kernels = json.loads(KEPT.read_text(encoding="utf-8"))
    return notes, kernels


def sentence(line: str) -> str:
    """A line of the product's, without its name and the id by which a message is looked up."""
    return re.sub(r" \[[a-z0-9-]+\]$", "", line.strip().removeprefix("remainder: "))


def table(notes: Mapping[str, Mapping[str, str]], kernels: Mapping[str, str]) -> Sequence[str]:
    """Rows of Markdown; below them the reasons, each once, by the numbers that the cells have."""
    columns = sorted(kernels, key=lambda name: [int(part) for part in re.findall(r"\d+", name)])
    reasons: list[str] = []

    def cell(answer: str) -> str:
        found = _REASON.fullmatch(answer)
        if found is None:
            return answer
        if found["why"] not in reasons:
            reasons.append(found["why"])
        return f"{found['how']} ({reasons.index(found['why']) + 1}){found['lost'] or ''}"

    rows = [
        f"| {question} | "
        + " | ".join(cell(answers.get(name, "not tried")) for name in columns)
        + " |"
        for question, answers in sorted(notes.items(), key=lambda item: _rank(item[0]))
    ]
    return [
        "| | " + " | ".join(f"{name} ({kernels[name]})" for name in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
        *rows,
        *([""] if reasons else []),
        *(f"{number}. {reason}" for number, reason in enumerate(reasons, start=1)),
    ]


_REASON: Final = re.compile(r"(?P<how>generic|refused): (?P<why>.*?)(?P<lost>; \*\*.*)?")
_FIRST: Final = (LOADS, AGREEMENT, "life", "`", "the unit")


def _rank(question: str) -> tuple[int, str]:
    """What is true of a whole kernel first, then cards and devices."""
    found = [number for number, words in enumerate(_FIRST) if question.startswith(words)]
    return (found[0] if found else len(_FIRST), question)


def processor() -> str:
    """What the machine calls its own."""
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else "an unnamed processor"


def write(page: Path = PAGE) -> None:
    """Replace what stands between the markers."""
    notes, kernels = _kept()
    if not notes:
        return
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    how = "with KVM" if has_kvm() else "without KVM"
    today = dt.datetime.now(dt.UTC).date().isoformat()
    said = f"{today}, {processor()}, {how}."
    body = "\n".join([BEGIN, "", said, "", *table(notes, kernels), "", END])
    page.write_text(before + body + after, encoding="utf-8")
