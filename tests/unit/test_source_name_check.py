"""L18: names of sources that may be one."""

import pandas as pd
import pytest

from earwitness.leakage.audit_input import AuditInput
from earwitness.leakage.checks.source_names import similar_source_names


def finding(parts, datasets=None):
    """The check over one stimulus of each source; parts: source -> its part."""
    stimuli = pd.DataFrame({"source_id": list(parts), "part": list(parts.values())})
    recordings = pd.DataFrame({"source_id": list(parts), "dataset": [(datasets or {}).get(source, "") for source in parts]})
    return similar_source_names(AuditInput(stimuli, (), None, recordings))


@pytest.mark.parametrize(("first", "second"), [("007", "7"), ("johanna", "johana"), ("ana-maria", "ana_maria")])
def test_similar_names_in_two_parts_are_asked_about_by_name(first, second):
    found = finding({first: "train", second: "test", "somebody else": "test"})
    assert (found.status, found.statistic, found.n_compared) == ("fail", 1, 3)
    assert set(found.offenders[["source_a", "source_b"]].iloc[0]) == {first, second}
    assert list(found.offenders[["part_a", "part_b"]].iloc[0]) == ["test", "train"]
    assert first in found.reason and second in found.reason
    assert finding({first: "train", second: "train"}).status == "pass"


def test_one_name_in_two_data_sets_is_asked_about_unless_it_is_a_number():
    parts = {"mine:ana": "train", "yours:ana": "test", "mine:12": "train", "yours:12": "test"}
    found = finding(parts, {source: source.partition(":")[0] for source in parts})
    assert list(zip(found.offenders.source_a, found.offenders.source_b, strict=True)) == [("yours:ana", "mine:ana")]


def test_numbered_sources_raise_no_question():
    assert finding({f"freesound:{number}": ("train", "test")[number % 2] for number in range(900)}).status == "pass"
