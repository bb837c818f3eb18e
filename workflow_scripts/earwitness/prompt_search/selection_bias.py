"""How large a gain a search would show if all questions were equally good."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import integrate, special

from earwitness.statistics.clustered import jackknife_variance


def expected_maximum(count: int) -> float:
    """Mean of the largest of `count` independent standard normal values."""
    values = np.linspace(-10, 10, 4001)
    density = count * special.ndtr(values) ** (count - 1) * np.exp(-(values**2) / 2) / math.sqrt(2 * math.pi)
    return float(integrate.trapezoid(values * density, values))


def expected_optimism(correct: Sequence[npt.NDArray[np.bool_]], speech: npt.NDArray[np.bool_], sources: npt.NDArray[np.object_], count: int) -> float:
    """By how much the best of `count` equally good prompts is expected to beat their mean, in balanced accuracy.

    correct: right or wrong per stimulus, of at least two prompts asked about the same stimuli, all of shape (stimuli,);
    speech: their class; sources: their source. Normal theory: the mean of the largest of `count` values times the
    standard error of a prompt's difference from the prompts' mean, by the jackknife over sources. What prompts get right
    in common cancels. NaN where a class has fewer than two sources or there is one prompt.
    """
    if len(correct) < 2:
        return math.nan
    answers = np.array(correct, dtype=np.float64)
    deviations = answers - answers.mean(axis=0)
    parts = [(deviations[:, chosen], sources[chosen]) for chosen in (speech, ~speech)]
    if any(len(set(part)) < 2 for _, part in parts):
        return math.nan
    variances, _ = jackknife_variance([_means_left_out(*part) / 2 for part in parts])
    # The mean over prompts is estimated too.
    return expected_maximum(count) * math.sqrt(variances.sum() / (len(answers) - 1))


def _means_left_out(values: npt.NDArray[np.float64], sources: npt.NDArray[np.object_]) -> npt.NDArray[np.float64]:
    """Each row's mean without each source, shape (sources, rows)."""
    _, codes = np.unique(sources.astype(str), return_inverse=True)
    members = np.eye(codes.max() + 1)[codes]
    return ((values.sum(axis=1, keepdims=True) - values @ members) / (len(codes) - members.sum(axis=0))).T
