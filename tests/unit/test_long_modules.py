"""The lists of long modules and tests keep up with the tests."""

from pathlib import Path

from long_modules import LONG_TESTS, LONGEST, THOROUGH

UNIT = Path(__file__).parent


def test_each_module_and_test_that_is_named_is_there():
    assert [module for module in LONGEST if not list(UNIT.parent.glob(f"*/{module}.py"))] == []
    assert [module for module in THOROUGH if not (UNIT / f"{module}.py").is_file()] == []
    assert [
        name for module, names in LONG_TESTS.items() for name in names if f"def {name}(" not in (UNIT / f"{module}.py").read_text(encoding="utf-8")
    ] == []
    assert not LONG_TESTS.keys() & set(THOROUGH), "their other tests are left out already"
