"""The library's packages know only what lies below them."""

import ast
from pathlib import Path

LIBRARY = Path(__file__).parents[2] / "workflow_scripts" / "earwitness"
LAYERS = (
    "core", "runtime", "audio", "statistics", "systems", "tables", "corpora", "stimuli", "splits", "config", "plan", "evaluation",
    "psychometrics", "model", "detectors", "leakage", "prompt_search", "report", "provenance", "command_line",
)  # fmt: skip
"""Packages and modules of earwitness, lowest first: each imports itself and what comes before it."""


def layer_of(module: str) -> str:
    return module.split(".")[1]


def imported(path: Path) -> set[str]:
    """Every module of the library that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.startswith("earwitness.")}


def test_imports_go_downwards_only():
    upwards = []
    for path in sorted(LIBRARY.rglob("*.py")):
        own = path.relative_to(LIBRARY).with_suffix("").parts[0]
        if own == "__init__":
            continue
        upwards += [f"{path.relative_to(LIBRARY)}: {name}" for name in imported(path) if LAYERS.index(layer_of(name)) > LAYERS.index(own)]
    assert upwards == []


def test_every_package_has_its_layer():
    found = {path.stem for path in LIBRARY.iterdir() if path.stem != "__init__" and (path.suffix == ".py" or (path / "__init__.py").exists())}
    assert found <= set(LAYERS)
