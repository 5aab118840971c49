"""The fenced code of all pages, with what a page says of it in comments that no reader sees.

``<!-- finds: HC101 HC301 -->`` before a block means that it fails, and that just these are found.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
_FINDS = re.compile(r"<!-- finds: ([HC0-9 ]+) -->")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Args:
        page: its file, from the root.
        line: where it begins.
        info: what stands behind the fence: the language, and a title where the block is a file.
        text: what is in it.
        finds: the codes that a page says are found in it.
        output: the text that follows it as its output; empty where none does.
    """

    page: str
    line: int
    info: str
    text: str
    finds: frozenset[str]
    output: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def language(self) -> str:
        return self.info.partition(" ")[0]

    @property
    def title(self) -> str:
        """The name of the file that it is, where it is one."""
        found = re.search(r'title="(.+?)"', self.info)
        return found[1] if found else ""

    @property
    def name(self) -> str:
        """A module's name of its own."""
        return re.sub(r"\W", "_", str(self))

    @cached_property
    def is_test(self) -> bool:
        names = [node.name for node in ast.parse(self.text).body if hasattr(node, "name")]
        return any(name.startswith(("test_", "Test")) for name in names)

    @property
    def is_contract(self) -> bool:
        return "(ClientContract)" in self.text


def _pages() -> list[Path]:
    return [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("examples/*/README.md"))]


def _blocks_of(path: Path) -> list[Block]:
    end = Token("", "", 0)
    parsed = MarkdownIt().parse(path.read_text(encoding="utf-8"))
    tokens = [end, *(token for token in parsed if token.nesting == 0), end]
    found = []
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if token.type in {"fence", "code_block"}:
            comment = _FINDS.search(before.content)
            found.append(
                Block(
                    page=str(path.relative_to(ROOT)),
                    line=token.map[0] + 1,
                    info=token.info,
                    text=token.content,
                    finds=frozenset(comment[1].split() if comment else ()),
                    output=after.content if after.type == "fence" and after.info == "text" else "",
                )
            )
    return found


@pytest.fixture(scope="session")
def blocks() -> list[Block]:
    """All blocks of README, the pages and the examples, in order."""
    return [block for path in _pages() for block in _blocks_of(path)]


@pytest.fixture(scope="session")
def commands_in_prose() -> list[tuple[str, str]]:
    """What stands in a line of prose as a call of a subcommand of ``httpconc``, and on which page."""
    found = []
    for path in _pages():
        for token in MarkdownIt().enable("table").parse(path.read_text(encoding="utf-8")):
            codes = [child.content for child in token.children or () if child.type == "code_inline"]
            found += [(str(path.relative_to(ROOT)), code) for code in codes if code.startswith("httpconc ")]
    return found
