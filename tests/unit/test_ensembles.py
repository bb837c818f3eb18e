import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_study import predictions, study

from earwitness.core.errors import InputError
from earwitness.evaluation.ensembles import combine_seeds, gain_table
from earwitness.evaluation.scored_answers import score_systems
from earwitness.systems import System
from earwitness.tables.predictions import answered_by, by_system

MEMBERS = System.parse("x-grouped")


def seeds_of(log_odds):
    """Predictions of one adapter; log_odds: shape (n_seeds, n_stimuli)."""
    values = np.asarray(log_odds, dtype=float)
    rows = [(f"s{k}", seed, value) for seed, row in enumerate(values) for k, value in enumerate(row)]
    table = pd.DataFrame(rows, columns=["stimulus_id", "seed", "log_odds"])
    return answered_by(table, MEMBERS).assign(
        seed=table.seed,
        prompt_id="p",
        coverage=0.9,
        letter_bias=0.1,
        n_audio_tokens=25,
        answer=np.where(table.log_odds > 0, "SPEECH", "NONSPEECH"),
    )


def answers_of(table, rule):
    return table[table.combination == rule].set_index("stimulus_id")


def test_a_confident_minority_wins_the_mean_and_loses_the_vote():
    table = combine_seeds(seeds_of([[5.0], [-1.0], [-1.0]]))
    assert answers_of(table, "vote").answer["s0"] == "NONSPEECH"
    assert answers_of(table, "mean").answer["s0"] == "SPEECH"
    assert answers_of(table, "mean").log_odds["s0"] == pytest.approx(1.0)
    assert [system for system, _ in by_system(table)] == [MEMBERS.combined("mean"), MEMBERS.combined("vote")]
    assert table.seed.isna().all()


@settings(max_examples=25)
@given(st.lists(st.lists(st.floats(-9, 9).filter(bool), min_size=4, max_size=4), min_size=2, max_size=6))
def test_the_vote_is_the_majority_and_a_tie_goes_with_the_mean(log_odds):
    table = combine_seeds(seeds_of(log_odds))
    values = np.array(log_odds)
    votes = 2 * (values > 0).sum(axis=0) - len(values)
    expected = np.where(votes == 0, np.where(values.mean(axis=0) > 0, 1, -1), np.sign(votes))
    vote = answers_of(table, "vote")
    assert (np.where(vote.answer == "SPEECH", 1, -1) == expected).all()
    assert (np.sign(vote.log_odds) == expected).all(), "scores and answers agree"


def test_a_lone_seed_and_a_missing_answer_are_refused():
    with pytest.raises(InputError, match="at least two seeds"):
        combine_seeds(seeds_of([[1.0, 2.0]]))
    with pytest.raises(InputError, match="did not answer the same stimuli"):
        combine_seeds(seeds_of([[1.0, 2.0], [1.0, 2.0]]).iloc[:-1])


def test_the_gain_is_over_the_mean_of_the_seeds_not_over_the_best_or_worst():
    """Each of three seeds is wrong on a third of its own: every vote is right, every seed at two thirds."""
    index, splits = study(24)

    def wrong_on(k):
        return lambda table: (np.arange(len(table)) % 3 != k).astype(bool)

    members = pd.concat([predictions(index, "x-grouped", (seed,), wrong_on(seed)) for seed in range(3)], ignore_index=True)
    base = predictions(index, "base")
    systems = score_systems(pd.concat([members, combine_seeds(members), base], ignore_index=True), index, splits)
    table = gain_table(systems, 0.95, 0.03).set_index("rule")
    vote = table.loc["vote"]
    assert vote.balanced_accuracy == 1
    assert vote.single_seed_expectation == pytest.approx(2 / 3, abs=0.02)
    assert vote.gain == pytest.approx(vote.balanced_accuracy - vote.single_seed_expectation)
    assert vote.low <= vote.gain <= vote.high and vote.conclusion == "different" and vote.unanimous == 0


def test_seeds_that_always_agree_gain_nothing():
    index, splits = study(24)
    members = predictions(index, "x-grouped", (1, 2), lambda table: np.arange(len(table)) % 5 != 0)
    table = pd.concat([members, combine_seeds(members), predictions(index, "base")], ignore_index=True)
    found = gain_table(score_systems(table, index, splits), 0.95, 0.03)
    assert (found.gain == 0).all() and (found.unanimous == 1).all() and not (found.conclusion == "different").any()
