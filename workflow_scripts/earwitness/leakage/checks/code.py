"""Do scripts fit anything before they split?"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from earwitness.core.errors import InputError
from earwitness.core.files import refuse_pipe
from earwitness.leakage.audit_input import AuditInput
from earwitness.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge, not_applicable

FITTING = ("fit", "fit_transform", "fit_resample", "partial_fit")


def fits_before_splits(source: str) -> list[tuple[int, int]]:
    """Lines of calls of a method that fits, and of the first later call of anything named "split", in one function or
    at the top of a module; source: Python. Raises SyntaxError."""
    return [pair for scope in _scopes(ast.parse(source)) for pair in _in_order(scope)]


def _scopes(tree: ast.Module) -> Iterator[list[ast.Call]]:
    """The calls of the module's top and of every function, each without those of the functions inside."""
    bodies: list[ast.AST] = [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))]
    for body in bodies:
        todo, calls = list(ast.iter_child_nodes(body)), list[ast.Call]()
        while todo:
            node = todo.pop()
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if isinstance(node, ast.Call):
                calls.append(node)
            todo += ast.iter_child_nodes(node)
        yield calls


def _in_order(calls: list[ast.Call]) -> list[tuple[int, int]]:
    names = sorted((call.lineno, _called(call.func), isinstance(call.func, ast.Attribute)) for call in calls)
    # Strings have a method split too; it divides no data.
    splits = [line for line, name, method in names if "split" in name and not (method and name in ("split", "rsplit", "splitlines"))]
    fits = [line for line, name, method in names if method and name in FITTING]
    return [(fit, min(later)) for fit in fits if (later := [line for line in splits if line > fit])]


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""


@check(
    id="L15",
    name="fit_before_split",
    severity="warn",
    units="scripts",
    question="Does any script call a fit before it calls a split?",
    remedy="Split first, then fit on the training part alone; a pipeline inside cross-validation does so by itself.",
)
def fit_before_split(data: AuditInput) -> Finding:
    """Calls of a fit that come before a call of a split, in one function or at the top of a script.

    Reads the Python files of the folder given with --code, runs nothing, and knows names only: a list to look at, not a
    proof. Functions that are called one after another are not followed.
    """
    if data.code is None:
        return not_applicable("no folder of scripts was named (--code)")
    scripts, rows = sorted(data.code.rglob("*.py")), []
    for script in scripts:
        name = script.relative_to(data.code).as_posix()
        rows += [("", "", name, "", "", "", f"line {fit}: fits; line {split}: splits") for fit, split in _read(script)]
    offenders = pd.DataFrame(rows, columns=list(EVIDENCE_COLUMNS), dtype=str)
    return judge(offenders, len(scripts), len(rows), 0, f"{len(rows)} call{'s' if len(rows) > 1 else ''} of a fit before a split")


def _read(script: Path) -> list[tuple[int, int]]:
    try:
        refuse_pipe(script)
        return fits_before_splits(script.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, OSError) as error:
        raise InputError(f"{script}: cannot be read as Python ({error}); repair it or name another folder with --code") from error
