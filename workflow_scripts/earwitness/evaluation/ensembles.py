"""Several training seeds as one system: the majority of their answers, or the mean of their log-odds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from earwitness.core.errors import InputError
from earwitness.evaluation.accuracy import metric_parts
from earwitness.evaluation.comparison import compare, concluded
from earwitness.evaluation.scored_answers import ENSEMBLE_MARK, Outcomes
from earwitness.statistics.clustered import estimate
from earwitness.tables.conclusions import ENSEMBLES
from earwitness.tables.files import validate
from earwitness.tables.predictions import PREDICTIONS

RULES = ("vote", "mean")


def combine_seeds(predictions: pd.DataFrame) -> pd.DataFrame:
    """Prediction rows of both ensembles of one adapter's seeds, sorted by system and stimulus.

    predictions: earwitness.tables.predictions.PREDICTIONS of one system with at least two seeds. "+vote" answers with the majority of the
    seeds, a tie with the sign of the mean log-odds; its log-odds are those of the votes, each answer with half a vote more,
    and in a tie a quarter of a vote from even. "+mean" has the mean log-odds. seed is empty; coverage and letter_bias are means.
    Raises InputError where a seed lacks or repeats a stimulus, or there is but one seed.
    """
    seeds = predictions.seed.nunique()
    counts = predictions.groupby("stimulus_id").seed.agg(["size", "nunique"])
    system = str(predictions.system_id.iloc[0])
    if seeds < 2:
        raise InputError(f"system {system}: an ensemble needs at least two seeds, not {seeds}; name more in the experiment")
    if (predictions.system_id != system).any() or (counts != seeds).any(axis=None):
        raise InputError(f"system {system}: its seeds did not answer the same stimuli, once each; remake their predictions")

    grouped = predictions.assign(speech=predictions.answer == "SPEECH").sort_values("stimulus_id", kind="stable").groupby("stimulus_id")
    mean = grouped[["log_odds", "coverage", "letter_bias"]].mean()
    first = grouped[["prompt_id", "n_audio_tokens"]].first()
    votes = grouped.speech.sum()
    leaning = np.where(2 * votes == seeds, np.where(mean.log_odds > 0, 0.25, -0.25), 0.0)
    for_speech = votes.to_numpy(float) + leaning
    counted = np.log((for_speech + 0.5) / (seeds - for_speech + 0.5))
    log_odds = {"mean": mean.log_odds.to_numpy(float), "vote": counted}
    tables = [
        mean.join(first)
        .assign(system_id=f"{system}{ENSEMBLE_MARK}{rule}", seed=None, log_odds=values, answer=np.where(values > 0, "SPEECH", "NONSPEECH"))
        .reset_index()
        for rule, values in log_odds.items()
    ]
    return validate(pd.concat(tables, ignore_index=True), PREDICTIONS)


def is_ensemble(system_id: str) -> bool:
    """Whether a system is several seeds in one."""
    return ENSEMBLE_MARK in system_id


def score_based(system_ids: pd.Series) -> pd.Series:
    """Which systems have scores of their own: all but votes, whose log-odds only count seeds."""
    return ~system_ids.str.endswith(f"{ENSEMBLE_MARK}vote")


def gain_table(systems: Sequence[Outcomes], confidence: float, margin: float) -> pd.DataFrame:
    """earwitness.tables.conclusions.ENSEMBLES: every ensemble against the expectation of one of its seeds, on unseen sources.

    The expectation is the mean of the seeds' balanced accuracies. Both answer the same stimuli, and the ensemble is of these very
    seeds, so interval and test are paired, clustered by source, and take the seeds as they are. Holm's method runs over the table;
    conclusion: as in earwitness.evaluation.comparison.comparison_table.
    """
    unseen = {outcomes.system_id: outcomes for outcomes in systems if outcomes.test_set == "unseen"}
    rows = []
    for name in sorted(filter(is_ensemble, unseen)):
        members = unseen[name.partition(ENSEMBLE_MARK)[0]]
        row = compare(unseen[name], members, confidence, margin, seeds_fixed=True)
        right = members.correct.sum(axis=0)
        rows.append(
            {
                "system_id": name,
                "members": members.system_id,
                "rule": name.partition(ENSEMBLE_MARK)[2],
                "n_seeds": len(members.seeds),
                "unanimous": float(np.mean((right == 0) | (right == len(members.seeds)))),
                "balanced_accuracy": estimate(*metric_parts(unseen[name], "balanced_accuracy")).value,
                "single_seed_expectation": estimate(*metric_parts(members, "balanced_accuracy")).value,
                "gain": row["difference"],
                **{column: row[column] for column in ("low", "high", "p_clustered_t", "p_tost", "p_holm", "n_items", "n_sources")},
            }
        )
    return validate(concluded(pd.DataFrame(rows, columns=list(ENSEMBLES.columns)), confidence), ENSEMBLES)
