"""The model-free estimate: isotonic regression, and where it crosses a target."""

import numpy as np

from earwitness.psychometrics.functions import FloatArray


def isotonic_fit(correct: FloatArray, total: FloatArray) -> FloatArray:
    """Weighted least-squares fit that never falls from level to level, by the max-min formula (Barlow et al. 1972).

    correct, total: shape (n_curves, n_levels). A level without trials takes the value of the level before it. Returns
    proportions, same shape.
    """
    n_levels = correct.shape[1]
    ends = np.arange(n_levels)
    start_correct = np.concatenate([np.zeros((len(correct), 1)), np.cumsum(correct, axis=1)], axis=1)
    start_total = np.concatenate([np.zeros((len(total), 1)), np.cumsum(total, axis=1)], axis=1)
    hits = start_correct[:, None, 1:] - start_correct[:, :-1, None]
    trials = start_total[:, None, 1:] - start_total[:, :-1, None]
    valid = (ends[:, None] <= ends[None, :]) & (trials > 0)
    means = np.where(valid, hits / np.where(valid, trials, 1), np.inf)
    from_here = np.minimum.accumulate(means[:, :, ::-1], axis=2)[:, :, ::-1]
    usable = (ends[:, None] <= ends[None, :]) & np.isfinite(from_here)
    return np.asarray(np.where(usable, from_here, -np.inf).max(axis=1))


def crossing(levels: FloatArray, proportions: FloatArray, target: float) -> FloatArray:
    """Where rising proportions, joined by straight lines, first reach the target.

    proportions: shape (n_curves, n_levels), levels ascending. Returns shape (n_curves,): -inf where the lowest level has reached the target
    already, inf where no level has.
    """
    reached = proportions >= target
    first = np.where(reached.any(axis=1), reached.argmax(axis=1), len(levels))
    inside = np.clip(first, 1, len(levels) - 1)
    rows = np.arange(len(proportions))
    below, above = proportions[rows, inside - 1], proportions[rows, inside]
    rise = np.where(above > below, above - below, 1.0)
    place = levels[inside - 1] + (target - below) / rise * (levels[inside] - levels[inside - 1])
    return np.where(first == 0, -np.inf, np.where(first == len(levels), np.inf, place))
