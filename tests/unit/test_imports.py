"""Programs load torch and transformers without looking through them, again and again, for objects that nobody needs."""

import ast
import gc
from pathlib import Path

import pytest

from earwitness.runtime.imports import garbage_collection_paused

PROGRAMS = Path(__file__).parents[2] / "workflow_scripts"


def test_nothing_is_collected_in_the_block_and_what_was_made_in_it_is_passed_over_later():
    passed_over = gc.get_freeze_count()
    with garbage_collection_paused():
        assert not gc.isenabled()
        made = [[] for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= passed_over + len(made)


def test_a_module_that_cannot_be_loaded_leaves_the_collector_as_it_was():
    with pytest.raises(ImportError), garbage_collection_paused():
        raise ImportError
    assert gc.isenabled()
    gc.disable()
    try:
        with garbage_collection_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def paused(tree: ast.AST) -> set[ast.AST]:
    """What stands in a block of `garbage_collection_paused`."""
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.With)]
    blocks = [node for node in blocks if any("garbage_collection_paused()" in ast.unparse(item) for item in node.items)]
    return {inner for block in blocks for inner in ast.walk(block)}


@pytest.mark.parametrize("program", sorted(path.stem for path in PROGRAMS.glob("*.py") if "import torch" in path.read_text()))
def test_a_program_that_computes_with_torch_loads_it_and_the_model_so(program):
    tree = ast.parse((PROGRAMS / f"{program}.py").read_text())
    loaded = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) and node.col_offset > 0]
    loaded = [node for node in loaded if any(name in ast.unparse(node) for name in ("import torch", "earwitness.model"))]
    assert loaded
    assert set(loaded) <= paused(tree)
