"""Tables of accuracy: per system, per source, per condition."""

from collections.abc import Sequence

import pandas as pd

from earwitness.evaluation.scored_answers import Outcomes
from earwitness.statistics.clustered import Sample, estimate, naive_interval, reliability
from earwitness.tables.columns import LABELS

METRICS = ("balanced_accuracy", "accuracy", "speech_accuracy", "nonspeech_accuracy")


def metric_parts(outcomes: Outcomes, metric: str) -> tuple[list[Sample], list[float]]:
    """The classes that enter a metric and their weights.

    balanced_accuracy is the mean of the two classes' accuracies, accuracy weighs items equally; within a class, items
    always weigh equally.
    """
    speech, nonspeech = (outcomes.sample(label) for label in LABELS)
    share = speech.n_items / (speech.n_items + nonspeech.n_items)
    return {
        "balanced_accuracy": ([speech, nonspeech], [0.5, 0.5]),
        "accuracy": ([speech, nonspeech], [share, 1 - share]),
        "speech_accuracy": ([speech], [1.0]),
        "nonspeech_accuracy": ([nonspeech], [1.0]),
    }[metric]


def accuracy_table(systems: Sequence[Outcomes], confidence: float) -> pd.DataFrame:
    """earwitness.tables.accuracy.ACCURACY: every system, test set, seed and metric, with clustered and naive intervals.

    n_items and the numbers of sources count only what enters the metric; the metric of one class has 0 sources of the other.
    """
    rows = []
    for system in systems:
        for outcomes in system.by_seed():
            for metric in METRICS:
                samples, weights = metric_parts(outcomes, metric)
                result = estimate(samples, weights)
                low, high = result.interval(confidence, 0, 1)
                naive_low, naive_high = naive_interval(samples, weights, confidence)
                rows.append(
                    _identity(outcomes)
                    | {
                        "metric": metric,
                        "estimate": result.value,
                        "low": low,
                        "high": high,
                        "naive_low": naive_low,
                        "naive_high": naive_high,
                        "interval": result.method,
                        "n_items": sum(sample.n_items for sample in samples),
                        "n_speech_sources": 0 if metric == "nonspeech_accuracy" else samples[0].n_sources,
                        "n_nonspeech_sources": 0 if metric == "speech_accuracy" else samples[-1].n_sources,
                        "reliability": reliability(min(sample.n_sources for sample in samples)),
                    }
                )
    return pd.DataFrame(rows)


def source_table(systems: Sequence[Outcomes]) -> pd.DataFrame:
    """earwitness.tables.accuracy.SOURCE_ACCURACY: accuracy of every source, per seed and as the mean over seeds."""
    tables = []
    for system in systems:
        for outcomes in system.by_seed():
            items = outcomes.items[["source_id", "label"]].assign(correct=outcomes.correct.mean(axis=0))
            table = items.groupby(["label", "source_id"]).correct.agg(n_items="size", accuracy="mean").reset_index()
            tables.append(table.assign(**_identity(outcomes)))
    return pd.concat(tables, ignore_index=True)


def condition_table(systems: Sequence[Outcomes]) -> pd.DataFrame:
    """earwitness.tables.accuracy.CONDITION_ACCURACY: balanced accuracy per duration and SNR, the mean over seeds.

    A condition without stimuli of both classes has no row.
    """
    tables = []
    for outcomes in systems:
        items = outcomes.items.assign(correct=outcomes.correct.mean(axis=0))
        condition = ["duration_ms", "snr_db"]
        classes = items.groupby([*condition, "label"]).correct.agg(balanced_accuracy="mean", n_items="size").reset_index()
        both = classes[classes.groupby(condition).label.transform("nunique") == len(LABELS)]
        table = both.groupby(condition).agg({"balanced_accuracy": "mean", "n_items": "sum"}).reset_index()
        tables.append(table.assign(**_identity(outcomes)))
    return pd.concat(tables, ignore_index=True)


def _identity(outcomes: Outcomes) -> dict[str, str]:
    return {
        "system_id": outcomes.system_id,
        "trained_on": outcomes.trained_on,
        "test_set": outcomes.test_set,
        "seed": outcomes.seed,
    }
