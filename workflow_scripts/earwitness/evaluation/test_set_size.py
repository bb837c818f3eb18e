"""What test sets of several sizes resolve: the same systems, tested on few and on many items of the same sources."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from earwitness.core.randomness import stream
from earwitness.evaluation.accuracy import metric_parts
from earwitness.evaluation.comparison import difference
from earwitness.evaluation.power import detectable_difference
from earwitness.evaluation.scored_answers import Outcomes
from earwitness.statistics.clustered import Estimate, estimate
from earwitness.tables.columns import LABELS
from earwitness.tables.experiments import TEST_SIZES


def size_table(systems: Sequence[Outcomes], sizes: Sequence[int], draws: int, confidence: float, power: float, seed: int) -> pd.DataFrame:
    """earwitness.tables.experiments.TEST_SIZES: every base and adapter on test sets of each size, and on all items.

    systems: outcomes; those of detectors, and on other test sets than "unseen", are ignored. sizes: numbers of items, half of each class; a
    size above that of the whole test set is left out. draws: how many test sets of each size are drawn; the table has the 2.5 and 97.5 %
    quantiles of estimates over draws, and the median of widths. Every seed and system is tested on the same draws. power: the chance with which the
    minimum detectable gain is found.
    """
    unseen = {outcomes.system: outcomes for outcomes in systems if outcomes.test_set == "unseen"}
    tested = [outcomes for system, outcomes in unseen.items() if system.kind != "detector"]
    items = next(iter(unseen.values())).items
    fitting = [size for size in sorted(sizes) if size // 2 <= min((items.label == label).sum() for label in LABELS)]
    masks = {size: [draw_items(items, size, seed, draw) for draw in range(draws)] for size in fitting}
    masks[len(items)] = [np.ones(len(items), dtype=bool)]
    rows = [_row(outcomes, unseen[outcomes.system.base], size, drawn, confidence, power) for size, drawn in masks.items() for outcomes in tested]
    return pd.DataFrame(rows, columns=list(TEST_SIZES.columns))


def draw_items(items: pd.DataFrame, size: int, seed: int, draw: int) -> npt.NDArray[np.bool_]:
    """Which items a drawn test set holds, shape (n_items,): half of each class, from as many of its sources as there can be.

    The sources take turns in a drawn order, each with its items in a drawn order, so a smaller test set of one draw is
    part of a larger one.
    """
    chosen = np.zeros(len(items), dtype=bool)
    for label in LABELS:
        places = np.flatnonzero(items.label == label)
        random = stream(seed, "compare_test_sizes", label, draw)
        order = random.permutation(places)
        sources = pd.Series(items.source_id.to_numpy()[order])
        turn = sources.groupby(sources).cumcount().to_numpy()
        rank = sources.map({source: k for k, source in enumerate(random.permutation(np.unique(sources)))}).to_numpy()
        chosen[order[np.lexsort((rank, turn))[: size // 2]]] = True
    return chosen


def _row(system: Outcomes, base: Outcomes, size: int, draws: Sequence[npt.NDArray[np.bool_]], confidence: float, power: float) -> dict[str, object]:
    own = [estimate(*metric_parts(_part(system, mask), "balanced_accuracy")) for mask in draws]
    against = [] if system.system.kind == "base" else [difference(_part(system, mask), _part(base, mask)) for mask in draws]
    values = [result.value for result in own]
    return {
        "system_id": system.system_id,
        "n_items": size,
        "n_sources": round(float(np.median([system.items.source_id[mask].nunique() for mask in draws]))),
        "draws": len(draws),
        "balanced_accuracy": float(np.mean(values)),
        "lowest": float(np.quantile(values, 0.025)),
        "highest": float(np.quantile(values, 0.975)),
        "half_width": _median([_half_width(result, confidence) for result in own]),
        "gain": float(np.mean([result.value for result in against])) if against else np.nan,
        "gain_half_width": _median([_half_width(result, confidence) for result in against]),
        "minimum_detectable_gain": _median([_detectable(result, confidence, power) for result in against]),
        "share_of_draws_that_show_a_gain": float(np.mean([_shows_a_gain(result, confidence) for result in against])) if against else np.nan,
    }


def _part(outcomes: Outcomes, mask: npt.NDArray[np.bool_]) -> Outcomes:
    return replace(
        outcomes,
        items=outcomes.items[mask],
        correct=outcomes.correct[:, mask],
        log_odds=outcomes.log_odds[:, mask],
        majority=outcomes.majority[mask],
    )


def _half_width(result: Estimate, confidence: float) -> float:
    low, high = result.interval(confidence, -np.inf, np.inf)
    return (high - low) / 2


def _detectable(result: Estimate, confidence: float, power: float) -> float:
    return detectable_difference(math.sqrt(result.variance), result.df, 1 - confidence, power) if result.known else np.nan


def _shows_a_gain(result: Estimate, confidence: float) -> bool:
    return bool(result.known and result.interval(confidence, -1, 1)[0] > 0)


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else np.nan
