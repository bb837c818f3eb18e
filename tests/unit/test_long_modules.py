"""The lists of long modules keep up with the tests."""

from pathlib import Path

from long_modules import LONGEST, THOROUGH

UNIT = Path(__file__).parent


def test_each_long_module_is_there_and_so_is_the_one_test_of_it_that_is_quick():
    assert [module for module in LONGEST if not list(UNIT.parent.glob(f"*/{module}.py"))] == []
    assert [name for module, name in THOROUGH.items() if f"def {name}(" not in (UNIT / f"{module}.py").read_text(encoding="utf-8")] == []
