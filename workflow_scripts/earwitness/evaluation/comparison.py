"""Which systems differ on the same stimuli, and what leakage buys."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from statsmodels.stats.multitest import multipletests

from earwitness.core.errors import InputError
from earwitness.evaluation.accuracy import metric_parts
from earwitness.evaluation.scored_answers import Outcomes, outcomes_on
from earwitness.statistics.clustered import MIN_SOURCES_FOR_TESTS, Estimate, Sample, durkalski_p, estimate, mcnemar_p, sample_by_source, sign_flip_p
from earwitness.systems import BASE, LEAKY_SPLIT, TOWER_PROBE, UNTRAINED_PROBE, System
from earwitness.tables.columns import LABELS
from earwitness.tables.comparisons import COMPARISONS, LEAKAGE
from earwitness.tables.predictions import by_system


def best_adapter(predictions: pd.DataFrame, index: pd.DataFrame, grouped: pd.DataFrame) -> System | None:
    """The adapter trained on the grouped split that has the best balanced accuracy on its development part.

    Balanced accuracy is the mean over seeds; the first name wins a tie. None where no adapter was trained on that split.
    """
    candidates = {system: rows for system, rows in by_system(predictions) if system.kind == "adapter" and system.is_honest}
    if len(candidates) < 2:
        return next(iter(candidates), None)
    scores = {}
    for system, rows in candidates.items():
        outcomes = outcomes_on(rows, index, grouped, "dev", "development")
        scores[system] = estimate(*metric_parts(outcomes, "balanced_accuracy")).value
    return max(scores, key=lambda system: scores[system])


def declared_pairs(systems: Iterable[System], best: System | None) -> list[tuple[System, System]]:
    """The family of comparisons, fixed by what the systems are before any test result is seen.

    In this order: every adapter with the base; the honest with the leaky adapter of a recipe; every detector with the
    base; the best adapter (chosen on development sources) with every detector; the readout of the ear with the base, and with the
    readout of an untrained ear. Ensembles have a family of their own
    (earwitness.evaluation.ensembles).
    """
    there = set(systems)
    adapters, detectors = (sorted((system for system in there if system.kind == kind), key=str) for kind in ("adapter", "detector"))
    pairs = [(adapter, BASE) for adapter in adapters]
    pairs += [(adapter, replace(adapter, split=LEAKY_SPLIT)) for adapter in adapters if adapter.is_honest]
    pairs += [(detector, BASE) for detector in detectors]
    if best is not None:
        pairs += [(best, detector) for detector in detectors]
    pairs += [(TOWER_PROBE, BASE), (TOWER_PROBE, UNTRAINED_PROBE)]
    return [pair for pair in pairs if there.issuperset(pair)]


def comparison_table(systems: Sequence[Outcomes], pairs: Sequence[tuple[System, System]], confidence: float, margin: float) -> pd.DataFrame:
    """earwitness.tables.comparisons.COMPARISONS: every pair on unseen sources.

    systems: outcomes on "unseen"; others are ignored. pairs: the declared family, over which Holm's method runs.
    confidence: of the interval; 1 - confidence is the level of the conclusion. margin: difference in balanced accuracy
    below which two systems count as equivalent.

    "different": the Holm-adjusted p of the clustered t-test is below the level. "equivalent": it is not, and the p-values of both one-sided
    tests against the margin are below the level. "descriptive_only": fewer than 6 sources in a class, and then no clustered p.
    """
    unseen = {outcomes.system: outcomes for outcomes in systems if outcomes.test_set == "unseen"}
    rows = [compare(unseen[a], unseen[b], confidence, margin) for a, b in pairs]
    return concluded(pd.DataFrame(rows, columns=list(COMPARISONS.columns)), confidence)


def concluded(table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """The table with p_holm and conclusion, from p_clustered_t and p_tost of the family that it holds."""
    tested = table.p_clustered_t.notna()
    if tested.any():
        table.loc[tested, "p_holm"] = multipletests(table.p_clustered_t[tested].to_numpy(dtype=float), method="holm")[1]
    level = 1 - confidence
    table["conclusion"] = np.select(
        [~tested, table.p_holm.astype(float) < level, table.p_tost.astype(float) < level],
        ["descriptive_only", "different", "equivalent"],
        "inconclusive",
    )
    return table


def compare(a: Outcomes, b: Outcomes, confidence: float, margin: float, seeds_fixed: bool = False) -> dict[str, object]:
    """One row of the comparisons, without what depends on the rest of the family (p_holm, conclusion).

    The outcome of an item is right (1) or wrong (0) of a minus that of b, each the mean over the system's seeds. Within
    a class items weigh equally, and the difference is the mean of the two classes, so it is the difference of the
    balanced accuracies. Its interval, p_clustered_t and p_tost hold for new sources and, where a system has several
    seeds, for new seeds too (paired by their order). p_sign_flip and p_durkalski say nothing of new seeds, so they are empty where
    a system has several, unless seeds_fixed, where everything takes the seeds as they are. Durkalski's test weighs sources equally
    within a class, and both classes equally, so that it too is about balanced accuracy. McNemar's counts compare the majority
    answers over seeds. Raises InputError where both have several seeds and not as many.
    """
    samples = _by_class(_mean_difference(a, b), a.items)
    result = estimate(samples, [0.5, 0.5]) if seeds_fixed else difference(a, b)
    low, high = result.interval(confidence, -1, 1)
    testable = min(sample.n_sources for sample in samples) >= MIN_SOURCES_FOR_TESTS
    for_these_seeds = testable and (seeds_fixed or len(a.seeds) == len(b.seeds) == 1)
    contributions = np.concatenate([0.5 * sample.totals[0] / sample.counts.sum() for sample in samples])
    per_source = np.concatenate([sample.totals[0] / sample.counts / sample.n_sources for sample in samples])
    only_a, only_b = int((a.majority & ~b.majority).sum()), int((b.majority & ~a.majority).sum())
    return {
        "system_a": a.system_id,
        "system_b": b.system_id,
        "test_set": a.test_set,
        "difference": result.value,
        "low": low,
        "high": high,
        "p_clustered_t": result.p_zero() if testable else np.nan,
        "p_sign_flip": sign_flip_p(contributions) if for_these_seeds else np.nan,
        "p_durkalski": durkalski_p(per_source) if for_these_seeds else np.nan,
        "p_tost": result.p_equivalence(margin) if testable else np.nan,
        "p_holm": np.nan,
        "only_a_correct": only_a,
        "only_b_correct": only_b,
        "p_mcnemar_assumes_independent_items": mcnemar_p(only_a, only_b),
        "n_items": len(a.items),
        "n_sources": sum(sample.n_sources for sample in samples),
    }


def difference(a: Outcomes, b: Outcomes) -> Estimate:
    """Balanced accuracy of a minus b on the same items, as `compare` estimates it."""
    return estimate(paired_samples(a, b), [0.5, 0.5])


def paired_samples(a: Outcomes, b: Outcomes) -> list[Sample]:
    """How much more often a is right than b, per class and source, with a row per seed.

    Raises InputError where both have several seeds and not as many: their seeds cannot be paired, and a mean over them would hide
    how much seeds differ.
    """
    if len({len(a.seeds), len(b.seeds)} - {1}) > 1:
        raise InputError(
            f"{a.system_id} has {len(a.seeds)} seeds and {b.system_id} {len(b.seeds)}; train both with the same seeds, or compare one seed of each"
        )
    return _by_class(a.correct.astype(np.float64) - b.correct, a.items)


def _mean_difference(a: Outcomes, b: Outcomes) -> npt.NDArray[np.float64]:
    return (a.correct.mean(axis=0) - b.correct.mean(axis=0))[None, :]


def _by_class(values: npt.NDArray[np.float64], items: pd.DataFrame) -> list[Sample]:
    labels = items.label.to_numpy()
    sources = items.source_id.to_numpy()
    return [sample_by_source(values[:, labels == label], sources[labels == label], "difference") for label in LABELS]


def leakage_table(systems: Sequence[Outcomes], confidence: float) -> pd.DataFrame:
    """earwitness.tables.comparisons.LEAKAGE: every leaky system on its own test rows and on unseen sources, and the base on both.

    inflation is own_test minus unseen_sources. The two sets share no source, so their variances add; they share the seeds.
    """
    on: Mapping[tuple[System, str], Outcomes] = {(outcomes.system, outcomes.test_set): outcomes for outcomes in systems}
    leaky = [outcomes for outcomes in systems if outcomes.system.is_leaky and outcomes.test_set == "row_random"]
    rows = []
    for system in leaky:
        for own, unseen in zip(system.by_seed(), on[system.system, "unseen"].by_seed(), strict=True):
            for metric in ("balanced_accuracy", "speech_accuracy", "nonspeech_accuracy"):
                own_samples, weights = metric_parts(own, metric)
                unseen_samples, _ = metric_parts(unseen, metric)
                inflation = estimate([*own_samples, *unseen_samples], [*weights, *(-weight for weight in weights)])
                low, high = inflation.interval(confidence, -1, 1)
                rows.append(
                    {
                        "system_id": system.system_id,
                        "seed": own.seed,
                        "metric": metric,
                        "own_test": estimate(own_samples, weights).value,
                        "unseen_sources": estimate(unseen_samples, weights).value,
                        "inflation": inflation.value,
                        "low": low,
                        "high": high,
                        "base_own_test": estimate(*metric_parts(on[BASE, "row_random"], metric)).value,
                        "base_unseen_sources": estimate(*metric_parts(on[BASE, "unseen"], metric)).value,
                    }
                )
    return pd.DataFrame(rows, columns=list(LEAKAGE.columns))
