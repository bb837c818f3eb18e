"""Accuracy against the number of training sources, and what more of them would give."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit

from earwitness.evaluation.accuracy import metric_parts
from earwitness.evaluation.experiments import Arm
from earwitness.statistics.clustered import estimate
from earwitness.statistics.distributions import t_quantile
from earwitness.systems import is_redrawn, leaks
from earwitness.tables.experiments import LEARNING_CURVE

FloatArray = npt.NDArray[np.float64]

EXTRAPOLATED_TO = (50, 100, 200)
"""Training speakers; the published study guessed 90 to 95 % at 50 and more."""

FEWEST_SIZES = 3
"""Fewer points lie on a line exactly, and nothing would tell how well it fits."""


def learning_curves(arms: Sequence[Arm], confidence: float) -> pd.DataFrame:
    """earwitness.tables.experiments.LEARNING_CURVE of every recipe that was trained on at least three numbers of sources; else no rows.

    The line is logit(a(n)) = alpha + beta log2(n), by least squares over the numbers n of training speakers, where a is the balanced
    accuracy, mean over seeds. Every doubling of n multiplies the odds of a right answer by exp(beta). The line never levels off,
    but accuracy may do so beyond the largest n, where there is no point to show it. So beyond the largest n the lower limit stays at most what it
    is there.

    The interval at n is expit(y +- t sqrt(V_speech + V_nonspeech + V_training)), where y is the line's value:

    * V_class = (S - 1) / S sum_s (y_(s) - y)^2 is the jackknife over the S test sources of a class (Efron 1982), where y_(s) is the value of
      the line fitted again without source s. It has S - 1 degrees of freedom.
    * V_training is the variance that training leaves to chance: the larger of two estimates, not their sum, because both see the same chance.
      Between seeds: var_k(y_k) / K over the lines through the K single seeds, with K - 1 degrees of freedom. Around the line:
      RSS / (m - 2) sum_i w_i^2, where the m points have the weights w (`line_weights`) in y, with m - 2 degrees of freedom.

    t has the degrees of freedom (sum V)^2 / sum(V^2 / df) (Satterthwaite 1946).
    """
    usable = [arm for arm in arms if arm.test_set == "unseen" and not leaks(arm.split) and not is_redrawn(arm.split)]
    tables = []
    for recipe in dict.fromkeys(arm.recipe for arm in usable):
        points = sorted((arm for arm in usable if arm.recipe == recipe), key=lambda arm: arm.training[0])
        if len({arm.training[0] for arm in points}) >= FEWEST_SIZES:
            tables += [_measured(points, confidence), _fitted(points, confidence)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(LEARNING_CURVE.columns))


def _measured(points: Sequence[Arm], confidence: float) -> pd.DataFrame:
    rows = []
    for arm in points:
        result = estimate(*metric_parts(arm.adapter, "balanced_accuracy"))
        low, high = result.interval(confidence, 0, 1)
        rows.append([arm.recipe, "measured", arm.training[0], result.value, low, high])
    return pd.DataFrame(rows, columns=list(LEARNING_CURVE.columns))


def _fitted(points: Sequence[Arm], confidence: float) -> pd.DataFrame:
    sizes = np.array([arm.training[0] for arm in points])
    at = np.unique([*sizes, *(target for target in EXTRAPOLATED_TO if target > sizes.max())])
    weights = line_weights(np.log2(sizes), np.log2(at))
    classes = [[metric_parts(arm.adapter, "balanced_accuracy")[0][k] for arm in points] for k in (0, 1)]
    floor = 0.5 / len(points[0].adapter.items)

    def log_odds(accuracies: FloatArray) -> FloatArray:
        return logit(np.clip(accuracies, floor, 1 - floor))

    # Shapes: sizes x seeds, and sizes x sources with one source left out of the mean over seeds.
    by_seed = [np.array([sample.means for sample in samples]) for samples in classes]
    left_out = []
    for samples in classes:
        totals = np.array([sample.totals.mean(axis=0) for sample in samples])
        counts = samples[0].counts
        left_out.append((totals.sum(axis=1, keepdims=True) - totals) / (counts.sum() - counts))
    whole = [means.mean(axis=1) for means in by_seed]
    observed = log_odds(0.5 * (whole[0] + whole[1]))
    line = weights @ observed

    terms: list[tuple[FloatArray, FloatArray | float]] = []
    for k, others in ((0, whole[1]), (1, whole[0])):
        n = left_out[k].shape[1]
        shifted = weights @ log_odds(0.5 * (left_out[k] + others[:, None]))
        terms.append(((n - 1) / n * np.sum((shifted - line[:, None]) ** 2, axis=1), n - 1))
    residuals = observed - line_weights(np.log2(sizes), np.log2(sizes)) @ observed
    training = np.sum(residuals**2) / (len(sizes) - 2) * np.sum(weights**2, axis=1)
    training_df = np.full(len(at), len(sizes) - 2.0)
    n_seeds = by_seed[0].shape[1]
    if n_seeds > 1:
        between = (weights @ log_odds(0.5 * (by_seed[0] + by_seed[1]))).var(axis=1, ddof=1) / n_seeds
        training_df = np.where(between > training, n_seeds - 1.0, training_df)
        training = np.maximum(between, training)
    terms.append((training, training_df))
    variance = np.sum([term for term, _ in terms], axis=0)
    spread = np.sum([term**2 / df for term, df in terms], axis=0)
    df = np.divide(variance**2, spread, out=np.ones_like(variance), where=spread > 0)
    half = t_quantile((1 + confidence) / 2, df) * np.sqrt(variance)
    kind = np.where(at <= sizes.max(), "fitted", "extrapolated")
    low = line - half
    beyond = kind == "extrapolated"
    low[beyond] = np.minimum(low[beyond], low[~beyond][-1])
    rows = zip([points[0].recipe] * len(at), kind, at, expit(line), expit(low), expit(line + half), strict=True)
    return pd.DataFrame(rows, columns=list(LEARNING_CURVE.columns))


def line_weights(x: FloatArray, at: FloatArray) -> FloatArray:
    """Weights, shape (n_at, n_x), that give the value of the least-squares line at `at` as a sum over the points at x."""
    design, wanted = np.vander(x, 2), np.vander(at, 2)
    return np.asarray(wanted @ np.linalg.pinv(design))
