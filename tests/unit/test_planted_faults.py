"""The list of planted faults keeps up with the code: a fault whose place is gone would count as caught, or end the run."""

from pathlib import Path

import pytest
from faults import FAULTS

import earwitness

LIBRARY = Path(earwitness.__file__).parent


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{place}-{fault.file}" for place, fault in enumerate(FAULTS)])
def test_the_place_of_a_planted_fault_is_there_once_and_so_are_its_tests(fault):
    assert (LIBRARY / fault.file).read_text(encoding="utf-8").count(fault.right) == 1
    assert all((Path(__file__).parent / f"{module}.py").is_file() for module in fault.tests)
