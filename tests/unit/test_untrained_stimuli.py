"""An adapter answers nothing that it trained on."""

import pandas as pd

from earwitness.splits import untrained_stimuli


def split_of(**parts: str) -> pd.DataFrame:
    return pd.DataFrame({"stimulus_id": list(parts), "source_id": [name[0] for name in parts], "part": list(parts.values())})


STIMULI = pd.DataFrame({"stimulus_id": ["a1", "b1", "b2", "c1", "d1"], "source_id": ["a", "b", "b", "c", "d"]})
GROUPED = split_of(a1="train", b1="test", b2="test", c1="dev")


def test_the_dev_and_test_parts_of_every_split_are_asked_about_and_sources_outside_all_splits():
    assert untrained_stimuli(STIMULI, [GROUPED]) == {"b1", "b2", "c1", "d1"}
    rows = split_of(a1="test")
    assert untrained_stimuli(STIMULI, [rows, GROUPED]) == {"a1", "b1", "b2", "c1", "d1"}


def test_what_the_adapter_trained_on_is_left_out_whatever_another_split_calls_it():
    own = split_of(a1="test", b1="train", b2="train", c1="dev")
    assert untrained_stimuli(STIMULI, [own, GROUPED]) == {"a1", "c1", "d1"}
