"""Several training seeds as one system: the majority of their answers, or the mean of their log-odds."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from earwitness.core.errors import InputError
from earwitness.evaluation.accuracy import metric_parts
from earwitness.evaluation.comparison import compare, concluded, difference
from earwitness.evaluation.scored_answers import Outcomes
from earwitness.statistics.clustered import estimate
from earwitness.systems import Combination, System
from earwitness.tables.ensembles import ENSEMBLES
from earwitness.tables.files import validate
from earwitness.tables.predictions import PREDICTIONS, answered_by, system_of


def combine_seeds(predictions: pd.DataFrame) -> pd.DataFrame:
    """Prediction rows of both ensembles of one adapter's seeds, sorted by system and stimulus.

    predictions: earwitness.tables.predictions.PREDICTIONS of one system with at least two seeds. "+vote" answers with the majority of the
    seeds, and in a tie with the sign of the mean log-odds. Its log-odds are log((for + 0.5) / (against + 0.5)) of the votes; in a tie the
    side that wins has a quarter of a vote more. "+mean" has the mean log-odds. seed is empty; coverage and letter_bias are means.
    Raises InputError where a seed lacks or repeats a stimulus, or there is but one seed.
    """
    seeds = predictions.seed.nunique()
    counts = predictions.groupby("stimulus_id").seed.agg(["size", "nunique"])
    system = system_of(predictions)
    if seeds < 2:
        raise InputError(f"system {system}: an ensemble needs at least two seeds, not {seeds}; name more in the experiment")
    if (counts != seeds).any(axis=None):
        raise InputError(f"system {system}: its seeds did not answer the same stimuli, once each; remake their predictions")

    grouped = predictions.assign(speech=predictions.answer == "SPEECH").sort_values("stimulus_id", kind="stable").groupby("stimulus_id")
    mean = grouped[["log_odds", "coverage", "letter_bias"]].mean()
    first = grouped[["prompt_id", "n_audio_tokens"]].first()
    votes = grouped.speech.sum()
    leaning = np.where(2 * votes == seeds, np.where(mean.log_odds > 0, 0.25, -0.25), 0.0)
    for_speech = votes.to_numpy(float) + leaning
    counted = np.log((for_speech + 0.5) / (seeds - for_speech + 0.5))
    log_odds: dict[Combination, npt.NDArray[np.float64]] = {"mean": mean.log_odds.to_numpy(float), "vote": counted}
    tables = []
    for combination, values in log_odds.items():
        answers = mean.join(first).assign(log_odds=values, answer=np.where(values > 0, "SPEECH", "NONSPEECH"))
        tables.append(answered_by(answers.reset_index(), system.combined(combination)))
    return validate(pd.concat(tables, ignore_index=True), PREDICTIONS)


def gain_table(systems: Sequence[Outcomes], confidence: float, margin: float) -> pd.DataFrame:
    """earwitness.tables.ensembles.ENSEMBLES: every ensemble against the expectation of one of its seeds, on unseen sources.

    The expectation of one seed is the mean of the seeds' balanced accuracies. Ensemble and seeds answer the same stimuli, so interval and
    test are paired and clustered by source. They hold for these seeds, since the ensemble is made of them. Holm's method runs over each model's
    ensembles; conclusion: as in earwitness.evaluation.comparison.concluded.
    """
    unseen = {outcomes.system: outcomes for outcomes in systems if outcomes.test_set == "unseen"}
    rows, estimates = [], []
    for system in sorted((system for system in unseen if system.kind == "ensemble"), key=str):
        members = unseen[system.members()]
        row = compare(unseen[system], members, confidence, margin, seeds_fixed=True)
        right = members.correct.sum(axis=0)
        rows.append(
            {
                "system_id": str(system),
                "members": members.system_id,
                "rule": system.combination,
                "n_seeds": len(members.seeds),
                "unanimous": float(np.mean((right == 0) | (right == len(members.seeds)))),
                "balanced_accuracy": estimate(*metric_parts(unseen[system], "balanced_accuracy")).value,
                "single_seed_expectation": estimate(*metric_parts(members, "balanced_accuracy")).value,
                "gain": row["difference"],
                **{column: row[column] for column in ("p_clustered_t", "p_tost", "n_items", "n_sources")},
            }
        )
        estimates.append(difference(unseen[system], members, seeds_fixed=True))
    table = pd.DataFrame(rows, columns=list(ENSEMBLES.columns))
    families = [own for _, own in table.groupby(table.system_id.map(lambda text: System.parse(text).model), sort=False)] or [table]
    concluded_in_families = [concluded(own, [estimates[k] for k in own.index], confidence, np.zeros(len(own), dtype=bool)) for own in families]
    return validate(pd.concat(concluded_in_families), ENSEMBLES)
