"""Axes of a fit: linear, or the decimal logarithm of the stimulus."""

import math

import numpy as np
import numpy.typing as npt

from earwitness.psychometrics.functions import FloatArray

AXES = ("log", "linear")


def to_axis(levels: npt.ArrayLike, axis: str) -> FloatArray:
    """Levels on the axis of the fit; those of a log axis must be positive."""
    values = np.asarray(levels, dtype=np.float64)
    return np.log10(values) if axis == "log" else values


def from_axis(values: npt.ArrayLike, axis: str) -> FloatArray:
    """Levels in their own unit, from the axis of the fit. -inf, inf and nan are kept: they mean below, above and no level."""
    given = np.asarray(values, dtype=np.float64)
    if axis == "linear":
        return given
    finite = np.isfinite(given)
    return np.where(finite, 10 ** np.where(finite, given, 0.0), given)


def number_or_none(value: float) -> float | None:
    """A number for JSON, which has none for a level below or above the axis or for no level."""
    return float(value) if math.isfinite(value) else None
