"""What a program's result depends on of its code: its meaning, not how it is written or what it tells people.

Comments, layout, docstrings, error messages, log lines, help texts and progress titles do not count, nor do the modules in COSMETIC.
So neither a docstring nor the text of an exception may be data; tests/unit/test_code_identity.py holds that.
"""

import ast
import contextlib
import functools
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Set
from pathlib import Path

from earwitness.core.errors import InputError
from earwitness.core.files import atomic

COSMETIC = frozenset({"earwitness/core/errors.py", "earwitness/core/progress.py", "earwitness/tables/meanings.py"})
"""Modules that decide how errors and progress are told and columns explained, and no result; relative to the folder of the programs."""

WITHOUT_IMPORTS = frozenset({"check_model.py"})
"""Programs that count for themselves, without what they import. What check_model found of a model stands until the model changes: an edit of the
engine would have it look again, and with it rerun whatever uses the model."""

_EXCEPTION = re.compile(r"[A-Z]\w*(Error|Exception|Warning|Exit|Interrupt)$")
"""Names of classes whose text is a message, wherever they are made."""

_MESSAGES = re.compile(
    r"(parser|logging|logger|log|warnings)\.(error|exit|debug|info|warning|exception|critical|warn)|sys\.exit|progress\.write|load_record"
)
"""Functions whose text is a message."""

_LABELS = {
    re.compile(r"(.*\.)?(ArgumentParser|add_argument|add_argument_group|add_subparsers|add_parser)"): {
        "help", "description", "epilog", "metavar", "title", "usage", "prog",
    },
    re.compile("column|label|text|choice|share|number|count|whole|duration_ms|second"): {"means", "unit"},
    re.compile("Progress"): {"desc", "unit"},
}  # fmt: skip
"""Functions -> keyword arguments that only a person reads."""


def modules_of(program: Path, folder: Path | None = None, without: Set[str] = frozenset()) -> list[Path]:
    """A program and every module in a folder, by default its own, that it imports, directly or not, sorted.

    Imports inside functions count; relative imports are not followed. without: modules that are known never to be run, relative to the
    folder; they are left out, with what they alone import.
    """
    folder = folder or program.parent
    todo, seen, never = {program}, set[Path](), {folder / name for name in without}
    while todo:
        seen |= todo
        todo = {other for path in todo for other in _imported_files(path, folder)} - seen - never
    return sorted(seen)


def code_identity(program: Path, without: Set[str] = frozenset()) -> str:
    """SHA-256 over the meanings of a program and, unless it is in WITHOUT_IMPORTS, of the modules that it imports (see modules_of).

    COSMETIC modules do not count, nor does what they alone import.
    """
    followed = [program] if program.name in WITHOUT_IMPORTS else modules_of(program, without=COSMETIC | without)
    return identity_of({path.relative_to(program.parent).as_posix(): path for path in followed})


def code_identities(programs: Iterable[Path], memory: Path, without: Set[str] = frozenset()) -> dict[str, str]:
    """Name of each program's file -> its code_identity.

    memory: a file that keeps what each content of a file means, so that only edited files are parsed again. It is passed over
    where it is damaged, was made by another version of this module or of Python, or cannot be written.
    """
    made_by = f"{_sha256(Path(__file__).read_bytes())} {sys.version_info[:2]}"
    kept = _kept(memory, made_by)
    _KNOWN.update(kept)
    identities = {program.name: code_identity(program, without) for program in programs}
    if kept.keys() != _KNOWN.keys():
        with contextlib.suppress(OSError, InputError), atomic(memory) as temporary:
            temporary.write_text(json.dumps({"made_by": made_by, "contents": _KNOWN}), encoding="utf-8")
    return identities


def _kept(memory: Path, made_by: str) -> dict[str, tuple[tuple[str, ...], str]]:
    try:
        kept = json.loads(memory.read_text(encoding="utf-8"))
        contents = kept["contents"] if kept["made_by"] == made_by else {}
        return {digest: (tuple(imports), meaning) for digest, (imports, meaning) in contents.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def identity_of(modules: dict[str, Path]) -> str:
    """SHA-256 over the names and meanings of some Python files."""
    return _sha256("".join(f"{_read(path)[1]}  {name}\n" for name, path in sorted(modules.items())).encode())


_KNOWN: dict[str, tuple[tuple[str, ...], str]] = {}
"""SHA-256 of a file's content -> names that it imports, and its meaning."""


@functools.cache
def _read(path: Path) -> tuple[tuple[str, ...], str]:
    """Names that a file imports, and its meaning."""
    content = path.read_bytes()
    digest = _sha256(content)
    if digest not in _KNOWN:
        tree = ast.parse(content)
        _KNOWN[digest] = _imported_names(tree), _meaning(tree)
    return _KNOWN[digest]


def _imported_names(tree: ast.Module) -> tuple[str, ...]:
    names = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return tuple(sorted(names))


@functools.cache
def _imported_files(path: Path, folder: Path) -> frozenset[Path]:
    """The files in a folder that a file imports, packages of what it imports included."""
    return frozenset().union(*(_files_of(name, folder) for name in _read(path)[0]))


@functools.cache
def _files_of(name: str, folder: Path) -> frozenset[Path]:
    """The files in a folder that an imported name stands for: a module, and the packages that it is in."""
    package, _, _ = name.rpartition(".")
    base = folder.joinpath(*name.split("."))
    files = frozenset(file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file())
    return files | _files_of(package, folder) if package else files


def meaning_of(code: str) -> str:
    """SHA-256 over Python code without what only a person reads."""
    return _meaning(ast.parse(code))


def _meaning(tree: ast.Module) -> str:
    return _sha256(ast.unparse(_Untold().visit(tree)).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class _Untold(ast.NodeTransformer):
    """Leaves out what only a person reads: bare texts (docstrings), the texts of exceptions, messages and prints, and labels.

    What is no text stays, such as an exit code, or a table that is printed.
    """

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = ast.unparse(node.func)
        if _EXCEPTION.match(name.rpartition(".")[2]) or _MESSAGES.fullmatch(name) or _prints_to_the_terminal(name, node):
            node.args = [argument for argument in node.args if not _is_text(argument)]
        labels = next((names for functions, names in _LABELS.items() if functions.fullmatch(name)), set())
        node.keywords = [keyword for keyword in node.keywords if keyword.arg not in labels]
        return self.generic_visit(node)


def _prints_to_the_terminal(name: str, call: ast.Call) -> bool:
    where = [ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == "file"]
    return name == "print" and (not where or where[0] in ("sys.stdout", "sys.stderr"))


def _is_text(node: ast.expr) -> bool:
    """Is an expression a text that is spelled out, in part at least?"""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, (ast.Add, ast.Mod)) and (_is_text(node.left) or _is_text(node.right))
    if isinstance(node, ast.IfExp):
        return _is_text(node.body) or _is_text(node.orelse)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "join") and _is_text(node.func.value)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
