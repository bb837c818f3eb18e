"""What a program's result depends on of its code: its meaning, not how it is written or what it tells people.

Comments, layout, docstrings, error messages, log lines, help texts and progress titles do not count, nor do the modules in COSMETIC.
So neither a docstring nor the text of an exception may be data; tests/unit/test_code_identity.py holds that.
"""

import ast
import functools
import hashlib
import re
from pathlib import Path

COSMETIC = frozenset({"earwitness/core/errors.py"})
"""Modules that decide how errors are told, and no result; relative to the folder of the programs."""

_EXCEPTION = re.compile(r"[A-Z]\w*(Error|Exception|Warning|Exit|Interrupt)$")
"""Names of classes whose text is a message, wherever they are made."""

_MESSAGES = re.compile(
    r"(parser|logging|logger|log|warnings)\.(error|exit|debug|info|warning|exception|critical|warn)|sys\.exit|tqdm\.write|load_record"
)
"""Functions whose text is a message."""

_LABELS = {
    re.compile(r"(.*\.)?(ArgumentParser|add_argument|add_argument_group|add_subparsers|add_parser)"): {
        "help", "description", "epilog", "metavar", "title", "usage", "prog",
    },
    re.compile(r"(.*\.)?(tqdm|trange)"): {"desc", "unit", "unit_scale", "mininterval", "maxinterval", "leave", "ncols", "disable"},
}  # fmt: skip
"""Functions -> keyword arguments that only a person reads."""


def modules_of(program: Path, folder: Path | None = None) -> list[Path]:
    """A program and every module in a folder, by default its own, that it imports, directly or not, sorted.

    Imports inside functions count; relative imports are not followed.
    """
    folder = folder or program.parent
    todo, seen = [program], set[Path]()
    while todo:
        path = todo.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        for name in _imported(path):
            parts = name.split(".")
            for depth in range(1, len(parts) + 1):
                base = folder.joinpath(*parts[:depth])
                todo += [base.with_suffix(".py"), base / "__init__.py"]
    return sorted(seen)


def code_identity(program: Path) -> str:
    """SHA-256 over the meanings of a program and of all that it imports (see modules_of), without COSMETIC modules."""
    named = [(path.relative_to(program.parent).as_posix(), path) for path in modules_of(program)]
    return identity_of({name: path for name, path in named if name not in COSMETIC})


def identity_of(modules: dict[str, Path]) -> str:
    """SHA-256 over the names and meanings of some Python files."""
    told = "".join(f"{_meaning(path)}  {name}\n" for name, path in sorted(modules.items()))
    return hashlib.sha256(told.encode()).hexdigest()


@functools.cache
def _imported(path: Path) -> frozenset[str]:
    names = set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


@functools.cache
def _meaning(path: Path) -> str:
    return meaning_of(path.read_text(encoding="utf-8"))


def meaning_of(code: str) -> str:
    """SHA-256 over Python code without what only a person reads."""
    return hashlib.sha256(ast.unparse(_Untold().visit(ast.parse(code))).encode()).hexdigest()


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
