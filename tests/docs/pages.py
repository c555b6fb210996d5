"""The pages, and what stands in their fences."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLES: Final = ROOT / "examples"
PAGES: Final = sorted(
    page for folder in (ROOT, ROOT / "docs", EXAMPLES) for page in folder.glob("*.md")
)

_FENCED: Final = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page; ``kind`` is what stands behind the fence."""

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def usable(example: Path, folder: Path) -> Path:
    """A copy of an example, with the secret beside it that it asks for."""
    (folder / "dns.secret").write_text("8f1d0c5ab3e27946d1f0a86e35bc9247\n", encoding="utf-8")
    return Path(shutil.copy(example, folder))


def text_of(page: str | Path) -> str:
    """A page, by its path from the top of the tree."""
    return (ROOT / page).read_text(encoding="utf-8")


def prose_of(page: str | Path) -> str:
    """A page without its fenced blocks."""
    return _FENCED.sub("", text_of(page))


def name_of(path: Path) -> str:
    """The path from the top of the tree."""
    return str(path.relative_to(ROOT))


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """The fenced blocks of a page, in order."""
    text = text_of(page)
    return tuple(
        Block(name_of(page), text[: match.start()].count("\n") + 2, match[1].strip(), match[2])
        for match in _FENCED.finditer(text)
    )


def of_kind(*kinds: str) -> list[Block]:
    """All blocks of some kinds, of all pages."""
    return [block for page in PAGES for block in blocks(page) if block.kind in kinds]
