import pandas as pd
import pytest
from scored_by_hand import scored

from earwitness.core.errors import InputError
from earwitness.evaluation.phases import best_question, phase_table

BASE = scored("base", "11001110")
"""4 of 6 and 1 of 2 right, so (2/3 + 1/2) / 2 = 7/12; of all items it would be 5/8."""


def gains(*rows):
    return pd.DataFrame(rows, columns=["system_id", "proposer", "search_seed", "prompt_id", "development_gain", "search_gain"])


def test_the_question_is_chosen_by_development_sources_and_never_by_the_searchs_own_gain():
    table = gains(
        ("base", "edits", "1", "flattered", 0.02, 0.30),
        ("base", "edits", "2", "good", 0.05, 0.01),
        ("base", "edits", "all", "-", 0.90, 0.90),
        ("x-grouped-seed-1", "edits", "1", "of an adapter", 0.80, 0.80),
    )
    assert best_question(table) == "good"


def test_of_equal_questions_the_first_by_proposer_and_seed_is_taken():
    tied = gains(("base", "opro", "1", "c", 0.1, 0), ("base", "edits", "2", "b", 0.1, 0), ("base", "edits", "1", "a", 0.1, 0))
    assert best_question(tied) == "a"
    assert best_question(gains(("x-grouped-seed-1", "edits", "1", "of an adapter", 0.80, 0.80))) is None


def test_every_phase_weighs_classes_equally_and_is_set_against_zero_shot():
    systems = [
        scored("x-grouped+mean", "11111111"),
        scored("x-grouped", "11111111", "11100000"),
        scored("silero", "00000011"),
        BASE,
        scored("fire-red-vad", "11111100"),
    ]
    table = phase_table(systems, [scored("base", "11111110")], 0.95)
    assert list(zip(table.phase, table.system_id, table.name, strict=True)) == [
        ("reference", "fire-red-vad", "fire-red-vad"),
        ("reference", "silero", "silero"),
        ("zero-shot", "base", "base"),
        ("prompt", "base", "searched question"),
        ("fine-tuned", "x-grouped", "x-grouped"),
        ("ensemble", "x-grouped+mean", "x-grouped+mean"),
    ]
    expected = [1 / 2, 1 / 2, 7 / 12, 3 / 4, (1 + 1 / 4) / 2, 1]
    assert table.estimate.tolist() == pytest.approx(expected)
    assert table.change.tolist() == pytest.approx([value - 7 / 12 for value in expected])
    zero_shot, prompt = table.iloc[2], table.iloc[3]
    assert (zero_shot.change_low, zero_shot.change_high) == (0, 0), "against itself"
    assert prompt.change_low < prompt.change < prompt.change_high
    assert set(table.n_sources) == {4}


def test_without_the_base_there_is_nothing_to_set_phases_against():
    with pytest.raises(InputError, match="no predictions of base among silero"):
        phase_table([scored("silero", "11111111")], [], 0.95)
