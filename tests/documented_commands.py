"""The commands that the pages show, as a reader would type them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md", "config/profiles/README.md", "envs/README.md")),
        *(ROOT / name for name in ("data/README.md", "results/README.md", "rules/README.md", "tests/README.md")),
        *(ROOT / "docs").rglob("*.md"),
    ]
)

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """One command of a page. words: without comments, variables set before it, and what is piped into or out of it."""

    page: str
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {shlex.join(self.words)}"


def blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """The line on which each code block of a language begins, and its text."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        if found[1] == language:
            yield text.count("\n", 0, found.start(2)) + 1, found[2]


def commands_of(page: Path) -> Iterator[Command]:
    """Every command of a page's shell blocks."""
    for first, text in blocks(page, "bash"):
        line, pending = first, ""
        for number, written in enumerate(text.splitlines(), first):
            line = line if pending else number
            pending += written.removesuffix("\\")
            if not written.endswith("\\"):
                yield from (Command(page.relative_to(ROOT).as_posix(), line, words) for words in _simple(pending))
                pending = ""


def _simple(line: str) -> Iterator[tuple[str, ...]]:
    """The simple commands of a line: what stands between ;, &&, | and redirections."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set(";&|"):
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words:
                yield tuple(words)
            words = []
        elif not set(word) <= set("<>"):
            words.append(word)


COMMANDS = [command for page in PAGES for command in commands_of(page)]


def named_files(page: Path) -> dict[str, str]:
    """Files that a page shows: YAML whose first line is `# name.yaml`, by that name."""
    found = {}
    for _, text in blocks(page, "yaml"):
        if name := re.match(r"# ([\w.-]+\.yaml)\b", text):
            found[name[1]] = text
    return found
