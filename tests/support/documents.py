"""The documents for the tests: pages, their fenced blocks, headings, links and tables."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import dropwhile
from pathlib import Path

from tests.support.server import REPOSITORY

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
_CODE = re.compile(r"`[^`]*`")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block."""

    page: Path
    language: str
    text: str
    line: int
    start: int
    """The position of its text in the page."""

    def __str__(self) -> str:
        page = self.page.relative_to(REPOSITORY) if self.page.is_relative_to(REPOSITORY) else self.page
        return f"{page}:{self.line}"


@cache
def pages() -> tuple[Path, ...]:
    """Everything in Markdown that people read."""
    found = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "benchmarks").glob("*.md")]
    return tuple(sorted(found))


def page(name: str) -> Path:
    """A page by its path from the repository's root."""
    return REPOSITORY / name


def blocks(*languages: str, of: Path | None = None) -> list[Block]:
    """The blocks of a page, or of all pages, in order; of these languages, or all."""
    return [
        block
        for path in (pages() if of is None else (of,))
        for block in _blocks(path)
        if not languages or block.language in languages
    ]


def _blocks(path: Path) -> Iterator[Block]:
    text = path.read_text()
    for match in _FENCE.finditer(text):
        yield Block(path, match[1], match[2], text.count("\n", 0, match.start()) + 1, match.start(2))


def section(page: Path, heading: str) -> list[Block]:
    """The blocks below a heading, down to the next one of its rank or above."""
    text = page.read_text()
    begin = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert begin is not None, heading
    end = re.compile(rf"^#{{1,{len(begin[1])}}} ", re.MULTILINE).search(text, begin.end())
    return [block for block in blocks(of=page) if begin.end() < block.start < (end.start() if end else len(text))]


def prose(path: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", path.read_text())


def anchors(path: Path) -> set[str]:
    """The anchors of a page: its headings, as GitHub spells them."""
    found: set[str] = set()
    for match in _HEADING.finditer(prose(path)):
        base = re.sub(r"[^\w\- ]", "", match[1].strip().lower()).replace(" ", "-")
        name, number = base, 0
        while name in found:
            number += 1
            name = f"{base}-{number}"
        found.add(name)
    return found


def links(path: Path) -> list[str]:
    """The links of a page, including pictures."""
    return _LINK.findall(_CODE.sub("", prose(path)))


def table_rows(path: Path) -> list[list[str]]:
    """The cells of every row of every table of a page, heads and all."""
    lines = [line for line in prose(path).splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [[cell.strip("| ") for cell in row] for row in rows if not set("".join(row)) <= set("-|: ")]


def commands(block: Block) -> Iterator[list[str]]:
    """The words of each command of a shell block, without the variables set before it."""
    text = block.text.replace("\\\n", " ")
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        # text inside $(…) is a command too, also inside quotes
        inner = re.findall(r"\$\(([^()]*)\)", line)
        for part in [*_split(words), *(shlex.split(command) for command in inner)]:
            bare = list(dropwhile(_ASSIGNMENT.match, part))
            if bare:
                yield bare


def _split(words: list[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for word in words:
        if word in {"&&", "||", "|", ";", "&"}:
            yield part
            part = []
        else:
            part.append(word)
    yield part
