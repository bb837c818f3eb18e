"""What a program's result depends on of its code: its meaning, not how it is written or what it tells.

Comments, layout, docstrings, error messages, help texts and progress titles do not count, nor do the modules in COSMETIC.
So docstrings must not be data.
"""

import ast
import functools
import hashlib
from pathlib import Path

COSMETIC = frozenset({"earwitness/core/errors.py", "earwitness/core/redaction.py"})
"""Modules that decide how errors are told, and no result; relative to the folder of the programs."""

_TOLD = frozenset({"help", "description", "epilog", "metavar", "desc", "unit", "mininterval"})
"""Keyword arguments that only a person reads."""

_TELLING = frozenset({"print", "parser.error", "sys.exit"})
"""Functions whose arguments only a person reads."""


def modules_of(program: Path) -> list[Path]:
    """A program and every module beside it that it imports, directly or not, sorted.

    Imports inside functions count; relative imports are not followed.
    """
    folder = program.parent
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
    """Leaves out bare texts (docstrings), what exceptions and prints say, and arguments that only a person reads."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc.args, node.exc.keywords = [], []
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if ast.unparse(node.func) in _TELLING:
            node.args, node.keywords = [], []
        node.keywords = [keyword for keyword in node.keywords if keyword.arg not in _TOLD]
        return self.generic_visit(node)
