"""Which systems differ on the same stimuli, and what leakage buys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from earwitness.core.errors import InputError
from earwitness.evaluation.accuracy import metric_parts
from earwitness.evaluation.scored_answers import Outcomes, outcomes_on
from earwitness.statistics.clustered import MIN_SOURCES_FOR_TESTS, Estimate, Sample, durkalski_p, estimate, mcnemar_p, sample_by_source, sign_flip_p
from earwitness.statistics.multiple_tests import holm
from earwitness.systems import BASE, LEAKY_SPLIT, TOWER_PROBE, UNNAMED_MODEL, UNTRAINED_PROBE, System
from earwitness.tables.columns import LABELS
from earwitness.tables.comparisons import COMPARISONS, LEAKAGE
from earwitness.tables.predictions import by_system

QUESTIONS = {
    "fine_tuning": "what fine-tuning gains",
    "leakage": "what training by row costs on unseen sources",
    "recipes": "whether recipes differ",
    "detectors": "how the model compares with classic detectors",
    "hearing": "whether the ear hears more than an untrained one",
    "saying": "whether the answers fall short of what the ear hears",
    "models": "which model hears best as it is",
    "adapted_models": "which model hears best once fine-tuned",
}
"""Question -> in words. Each has one primary contrast, but for recipes, which has none. All but the last two are asked of every model."""

BETWEEN_MODELS = ("models", "adapted_models")


@dataclass(frozen=True)
class Contrast:
    """Two systems, and the question (a key of QUESTIONS) that they are compared for. primary: whether the answer to the question was declared to
    rest on it."""

    a: System
    b: System
    question: str
    primary: bool


def best_on_development(kind: str, predictions: pd.DataFrame, index: pd.DataFrame, grouped: pd.DataFrame) -> System | None:
    """The system of a kind that has the best balanced accuracy on the development part of the grouped split, adapters only if trained on it.

    Balanced accuracy is the mean over seeds; the first name wins a tie. None where there is no such system.
    """
    candidates = [system for system, _ in by_system(predictions) if system.kind == kind and (kind != "adapter" or system.is_honest)]
    return next(iter(ranked_on_development(candidates, predictions, index, grouped)), None)


def ranked_on_development(candidates: Sequence[System], predictions: pd.DataFrame, index: pd.DataFrame, grouped: pd.DataFrame) -> list[System]:
    """Systems by their balanced accuracy on the development part of the grouped split, the best first; of equals, the first stays before.

    A single system is not looked at, so it need not have answered there.
    """
    if len(candidates) < 2:
        return list(candidates)
    scores = {}
    for system, rows in by_system(predictions):
        if system in candidates:
            outcomes = outcomes_on(rows, index, grouped, "dev", "development")
            scores[system] = estimate(*metric_parts(outcomes, "balanced_accuracy")).value
    return sorted(candidates, key=lambda system: -scores[system])


def compare_systems(
    systems: Sequence[Outcomes], predictions: pd.DataFrame, index: pd.DataFrame, grouped: pd.DataFrame, confidence: float, margin: float
) -> pd.DataFrame:
    """earwitness.tables.comparisons.COMPARISONS: what is compared for every model, and between models.

    What is said of a model rests on its own systems and the detectors, with a family of tests of its own, so it stays the same whatever other
    models a study has. The contrasts between models are a further family.
    predictions, index, grouped: of these systems, of the stimuli, and the grouped split, on whose development part the best are found.
    """
    models = list(dict.fromkeys(outcomes.system.model for outcomes in systems if outcomes.system.model)) or [UNNAMED_MODEL]
    tables: list[pd.DataFrame] = []
    best_adapters: list[System] = []
    for model in models:
        own = predictions[predictions.model.isna() | (predictions.model == model)]
        adapter, detector = (best_on_development(kind, own, index, grouped) for kind in ("adapter", "detector"))
        seeds = {outcomes.system: outcomes.seeds for outcomes in systems if outcomes.system.model in (model, "")}
        tables.append(comparison_table(systems, declared_contrasts(seeds, adapter, detector, model), confidence, margin))
        best_adapters += [] if adapter is None else [adapter]
    every = {outcomes.system: outcomes.seeds for outcomes in systems}
    rivals = {"models": [system for system in every if system.kind == "base"], "adapted_models": best_adapters}
    rankings = {question: ranked_on_development(found, predictions, index, grouped) for question, found in rivals.items()}
    tables.append(comparison_table(systems, contrasts_between_models(every, rankings), confidence, margin))
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def contrasts_between_models(seeds: Mapping[System, Sequence[str]], rankings: Mapping[str, Sequence[System]]) -> list[Contrast]:
    """In every ranking, the best system against each other one whose seeds pair with its own; the primary contrast is against the second best.

    seeds: of every system. rankings: per question, systems of different models, the best on development sources first.
    """
    found = []
    for question, ranked in rankings.items():
        pairing = [system for system in ranked[1:] if seeds[system] == seeds[ranked[0]]]
        found += [Contrast(ranked[0], system, question, place == 0) for place, system in enumerate(pairing)]
    return found


def declared_contrasts(
    seeds: Mapping[System, Sequence[str]], adapter: System | None, detector: System | None, model: str = UNNAMED_MODEL
) -> list[Contrast]:
    """What is compared for which question about a model, fixed by what the systems are before any test result is seen.

    seeds: of the model's systems and of the detectors. adapter, detector: the best on development sources, on which the primary contrasts
    of fine-tuning, leakage and detectors rest; without an adapter, the base is compared with the detector. Recipes are compared with that
    adapter where their seeds pair with its own. Ensembles have a family of their own (earwitness.evaluation.ensembles).
    """
    adapters, detectors = (sorted((system for system in seeds if system.kind == kind), key=str) for kind in ("adapter", "detector"))
    honest = [system for system in adapters if system.is_honest]
    base, tower, untrained = (replace(system, model=model) for system in (BASE, TOWER_PROBE, UNTRAINED_PROBE))
    contrasts = [Contrast(system, base, "fine_tuning", system == adapter) for system in honest]
    contrasts += [Contrast(system, replace(system, split=LEAKY_SPLIT), "leakage", system == adapter) for system in honest]
    contrasts += [Contrast(system, base, "leakage", False) for system in adapters if not system.is_honest]
    if adapter is not None:
        pairing = [system for system in honest if system != adapter and seeds[system] == seeds[adapter]]
        contrasts += [Contrast(system, adapter, "recipes", False) for system in pairing]
        contrasts += [Contrast(adapter, system, "detectors", system == detector) for system in detectors]
    contrasts += [Contrast(system, base, "detectors", adapter is None and system == detector) for system in detectors]
    contrasts += [Contrast(tower, untrained, "hearing", True), Contrast(tower, base, "saying", True)]
    return [contrast for contrast in contrasts if {contrast.a, contrast.b} <= set(seeds)]


def comparison_table(systems: Sequence[Outcomes], contrasts: Sequence[Contrast], confidence: float, margin: float) -> pd.DataFrame:
    """earwitness.tables.comparisons.COMPARISONS: every contrast on unseen sources.

    systems: outcomes on "unseen"; others are ignored. contrasts: as declared. confidence: of the interval of a primary contrast;
    1 - confidence is the level of every conclusion. margin: difference in balanced accuracy below which two systems count as equivalent.
    """
    unseen = {outcomes.system: outcomes for outcomes in systems if outcomes.test_set == "unseen"}
    rows = [compare(unseen[contrast.a], unseen[contrast.b], confidence, margin) for contrast in contrasts]
    table = pd.DataFrame(rows, columns=list(COMPARISONS.columns))
    table["question"] = [contrast.question for contrast in contrasts]
    table["role"] = ["primary" if contrast.primary else "exploratory" for contrast in contrasts]
    estimates = [difference(unseen[contrast.a], unseen[contrast.b]) for contrast in contrasts]
    return concluded(table, estimates, confidence, primary=np.array([contrast.primary for contrast in contrasts], dtype=bool))


def concluded(table: pd.DataFrame, estimates: Sequence[Estimate], confidence: float, primary: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """The table with p_holm and conclusion, and with the interval that belongs to each conclusion.

    table: rows with p_clustered_t and p_tost. estimates: of the same differences. primary: rows that are tested at 1 - confidence as they
    stand, one for a question that was declared beforehand; over the others Holm's method runs.

    Holm's method multiplies a p by k = p_holm / p, so a row is tested at the level (1 - confidence) / k, and its interval has the confidence
    1 - (1 - confidence) / k: it excludes 0 exactly where the conclusion is "different". "equivalent": not so, and both one-sided tests
    against the margin below 1 - confidence. "descriptive_only": fewer than 6 sources in a class, and then no clustered p.
    """
    tested, level = table.p_clustered_t.notna().to_numpy(), 1 - confidence
    p = table.p_clustered_t.to_numpy(dtype=float)
    adjusted = p.copy()
    family = tested & ~primary
    if family.any():
        adjusted[family] = holm(p[family])
    with np.errstate(invalid="ignore"):
        times = np.where(p > 0, adjusted / p, np.where(primary, 1, max(1, int(family.sum()))))
    table["p_holm"] = adjusted
    table["interval_confidence"] = 1 - level / np.where(tested, times, 1)
    ends = [one.interval(own, -1, 1) for one, own in zip(estimates, table.interval_confidence, strict=True)]
    table["low"], table["high"] = [low for low, _ in ends], [high for _, high in ends]
    table["conclusion"] = np.select(
        [~tested, adjusted < level, table.p_tost.astype(float) < level], ["descriptive_only", "different", "equivalent"], "inconclusive"
    )
    return table


def compare(a: Outcomes, b: Outcomes, confidence: float, margin: float, seeds_fixed: bool = False) -> dict[str, object]:
    """One row of the comparisons, without what depends on the rest of the family (p_holm, conclusion, and the interval that belongs to it).

    The outcome of an item is right (1) or wrong (0) of a minus that of b, each the mean over the system's seeds. Within
    a class items weigh equally, and the difference is the mean of the two classes, so it is the difference of the
    balanced accuracies. Its interval, p_clustered_t and p_tost hold for new sources and, where a system has several
    seeds, for new seeds too (paired by their order). p_sign_flip and p_durkalski say nothing of new seeds, so they are empty where
    a system has several, unless seeds_fixed, where everything takes the seeds as they are. Durkalski's test weighs sources equally
    within a class, and both classes equally, so that it too is about balanced accuracy. McNemar's counts compare the majority
    answers over seeds. Raises InputError where both have several seeds and not as many.
    """
    samples = _by_class(_mean_difference(a, b), a.items)
    result = difference(a, b, seeds_fixed)
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
        "only_a_correct": only_a,
        "only_b_correct": only_b,
        "p_mcnemar_assumes_independent_items": mcnemar_p(only_a, only_b),
        "n_items": len(a.items),
        "n_sources": sum(sample.n_sources for sample in samples),
    }


def difference(a: Outcomes, b: Outcomes, seeds_fixed: bool = False) -> Estimate:
    """Balanced accuracy of a minus b on the same items, as `compare` estimates it."""
    return estimate(_by_class(_mean_difference(a, b), a.items) if seeds_fixed else paired_samples(a, b), [0.5, 0.5])


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


def family_of(row: Mapping[Any, Any]) -> str:
    """The family of tests that a row of COMPARISONS is of: its model, or "" where it is between models."""
    if row["question"] in BETWEEN_MODELS:
        return ""
    return next(model for name in ("system_a", "system_b") if (model := System.parse(str(row[name])).model))


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
                        "base_own_test": estimate(*metric_parts(on[system.system.base, "row_random"], metric)).value,
                        "base_unseen_sources": estimate(*metric_parts(on[system.system.base, "unseen"], metric)).value,
                    }
                )
    return pd.DataFrame(rows, columns=list(LEAKAGE.columns))
