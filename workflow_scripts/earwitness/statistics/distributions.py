"""Quantiles, tails and intervals of a few distributions.

They are those of scipy.stats to the last bit (tests/unit/test_distributions.py), by scipy.special, which loads in a third of the time: every
table of results needs one of these, and each is made by a process of its own.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special


def normal_quantile(probability: npt.ArrayLike) -> Any:
    """The value that a standard normal variable stays below with a probability in (0, 1)."""
    return special.ndtri(probability)


def normal_tail(value: npt.ArrayLike) -> Any:
    """The probability that a standard normal variable exceeds a value."""
    return special.ndtr(-np.asarray(value))


def t_quantile(probability: npt.ArrayLike, df: npt.ArrayLike) -> Any:
    """The value that Student's t with df degrees of freedom stays below with a probability in (0, 1); nan where df is not positive."""
    return special.stdtrit(df, probability)


def t_tail(value: npt.ArrayLike, df: npt.ArrayLike) -> Any:
    """The probability that Student's t with df degrees of freedom exceeds a value."""
    return special.stdtr(df, -np.asarray(value))


def chi_squared_tail(value: npt.ArrayLike, df: npt.ArrayLike) -> Any:
    """The probability that a chi-squared variable with df degrees of freedom exceeds a value."""
    return special.chdtrc(df, value)


def wilson_interval(right: int, total: int, confidence: float) -> tuple[float, float]:
    """Wilson's (1927) interval of a share, from `right` of `total` independent items; total is at least 1."""
    share, z = right / total, float(special.ndtri(0.5 + 0.5 * confidence))
    denominator = 2 * (total + z**2)
    centre = (2 * total * share + z**2) / denominator
    half = z / denominator * math.sqrt(4 * total * share * (1 - share) + z**2)
    return 0.0 if right == 0 else centre - half, 1.0 if right == total else centre + half
