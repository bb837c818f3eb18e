"""The lists of long modules and tests keep up with the tests."""

import re
from pathlib import Path

from long_modules import BY_HAND, LONG_TESTS, LONGEST, THOROUGH

UNIT = Path(__file__).parent


def test_each_module_and_test_that_is_named_is_there():
    assert [module for module in LONGEST if not list(UNIT.parent.glob(f"*/{module}.py"))] == []
    assert [module for module in THOROUGH if not (UNIT / f"{module}.py").is_file()] == []
    assert [
        name for module, names in LONG_TESTS.items() for name in names if f"def {name}(" not in (UNIT / f"{module}.py").read_text(encoding="utf-8")
    ] == []
    assert not LONG_TESTS.keys() & set(THOROUGH), "their other tests are left out already"


def test_each_module_with_slow_tests_is_named_in_what_every_change_must_pass_or_says_why_it_is_run_by_hand():
    checked = (UNIT.parents[1] / ".ci/run").read_text(encoding="utf-8").partition("# Slow ones by name")[2]
    words = set(re.findall(r"[\w/]+", checked))
    slow = [path for path in UNIT.parent.glob("*/test_*.py") if path != Path(__file__) and "mark.slow" in path.read_text(encoding="utf-8")]
    assert len(slow) > 15
    left = {path.stem for path in slow if not {f"tests/{path.parent.name}", f"tests/{path.parent.name}/{path.stem}", path.stem[5:]} & words}
    assert left == BY_HAND.keys()
