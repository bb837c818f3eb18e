"""A mixed model of the counts of several sources (subjects, listeners) in several conditions.

P(correct) = guess + (1 - guess - lapse) F(b0[c] + u0[s] + (b1[c] + u1[s]) z) in condition c for source s, with z the standardised level and
(u0, u1) from a bivariate normal distribution (Moscatelli, Mezzetti and Lacquaniti 2012). With m and d mean and standard deviation of the
levels on the axis, a condition's midpoint (point of subjective equality) is m - d b0 / b1, and its just noticeable difference q d / b1, with q the
quantile of F at 3/4.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from earwitness.core.errors import InputError
from earwitness.psychometrics.axes import number_or_none, to_axis
from earwitness.psychometrics.functions import MEASURES, Family, FloatArray
from earwitness.psychometrics.thresholds import Settings
from earwitness.statistics.clustered import MIN_SOURCES_FOR_TESTS, Estimate
from earwitness.statistics.random_slopes import GroupedCounts, RandomSlopesFit, fit_random_slopes

_MIDPOINT, _DIFFERENCE = MEASURES[1:]


def mixed_model(counts: pd.DataFrame, reference: str, axis: str, settings: Settings) -> dict[str, Any]:
    """The model, each condition's midpoint and just noticeable difference, and their comparisons with the reference, ready for JSON.

    counts: of `checked_counts`. Intervals by the delta method from errors over sources, with t on sources - 1 degrees of freedom.
    Status: "ok"; "not_converged", where the likelihood has no proper maximum; "not_rising", where performance does not rise with the level
    in some condition. The last two have no numbers. Raises InputError where a condition has fewer than two sources, or where the sigmoid is
    Gumbel's or the guess rate free.
    """
    _check(counts, settings.family)
    conditions = [reference, *(name for name in counts.condition.unique() if name != reference)]
    x = to_axis(counts.level, axis)
    middle, unit = float(x.mean()), float(x.std())
    fit = fit_random_slopes(_grouped(counts, conditions, (x - middle) / unit, settings.family))
    n_sources = counts.source.nunique()
    status = _status(fit)
    result: dict[str, Any] = {"status": status} | _summary(fit, len(conditions), n_sources, unit, settings.family)
    if status != "ok":
        return result
    measured = _Measured(fit, middle, unit, float(settings.family.shape.quantile(np.array(0.75))), n_sources - 1.0)
    # A midpoint outside the levels that a condition was tested at is no finding.
    known = {}
    for place, name in enumerate(conditions):
        tested = x[counts.condition == name]
        known[name] = bool(tested.min() <= measured.midpoint({place: 1.0}).value <= tested.max())
    reported = _Reported(settings.confidence, axis == "log")
    result["conditions"] = {
        name: {
            **reported.measures(measured, {place: 1.0}, known[name]),
            "slope_per_unit": float(fit.coefficients[2 * place + 1] / unit),
        }
        for place, name in enumerate(conditions)
    }
    result["comparisons"] = [
        {"condition": name, "reference": reference}
        | reported.contrasts(measured, {place: 1.0, 0: -1.0}, known[name] and known[reference], n_sources >= MIN_SOURCES_FOR_TESTS)
        for place, name in list(enumerate(conditions))[1:]
    ]
    return result


def _check(counts: pd.DataFrame, family: Family) -> None:
    if family.sigmoid == "gumbel" or family.guess_rate is None:
        raise InputError("--mixed: needs the sigmoid normal or logistic and a guess rate that is held; change --sigmoid or --guess-rate")
    if counts.source.nunique() < 2:
        raise InputError("--mixed: needs a column `source` with at least 2 sources; add it, or leave --mixed out")
    of_condition = counts.groupby("condition").source.nunique()
    if (of_condition < 2).any():
        raise InputError(f"--mixed: condition {of_condition.idxmin()} has 1 source, and needs at least 2; add some, or leave --mixed out")


def _grouped(counts: pd.DataFrame, conditions: Sequence[str], z: FloatArray, family: Family) -> GroupedCounts:
    """An intercept and a slope over z per condition, in their order."""
    indicators = [(counts.condition == name).to_numpy().astype(np.float64) for name in conditions]
    design = np.column_stack([column for own in indicators for column in (own, own * z)])
    return GroupedCounts(
        counts.correct.to_numpy(float),
        counts.total.to_numpy(float),
        design,
        z,
        counts.source.to_numpy(str),
        family.guess_rate or 0.0,
        family.lapse_rate,
        "probit" if family.sigmoid == "normal" else "logit",
    )


def _status(fit: RandomSlopesFit) -> str:
    if not (fit.converged and np.isfinite(fit.robust).all()):
        return "not_converged"
    return "ok" if (fit.coefficients[1::2] > 0).all() else "not_rising"


def _summary(fit: RandomSlopesFit, n_conditions: int, n_sources: int, unit: float, family: Family) -> dict[str, Any]:
    several = "answer ~ 0 + condition + condition:level + (1 + level | source)"
    return {
        "formula": several if n_conditions > 1 else "answer ~ level + (1 + level | source)",
        "n_sources": n_sources,
        "guess_rate": family.guess_rate,
        "lapse_rate": fit.lapse,
        "lapse_rate_fitted": family.lapse_rate is None,
        "log_likelihood": fit.log_likelihood,
        "sd_intercept_at_mean_level": fit.sd_intercept,
        "sd_slope_per_unit": fit.sd_slope / unit,
        "correlation": number_or_none(fit.correlation),
    }


@dataclass(frozen=True)
class _Measured:
    """Measures of a fit, each a sum over conditions of sign x measure; signs: by the condition's place.

    middle, unit: mean and standard deviation of the levels on the axis. quartile: the quantile of the sigmoid at 3/4.
    """

    fit: RandomSlopesFit
    middle: float
    unit: float
    quartile: float
    df: float

    def midpoint(self, signs: Mapping[int, float]) -> Estimate:
        return self._delta(signs, lambda b0, b1: self.middle - self.unit * b0 / b1)

    def log_difference(self, signs: Mapping[int, float]) -> Estimate:
        """Decimal logarithm of the just noticeable difference."""
        return self._delta(signs, lambda _, b1: math.log10(self.quartile * self.unit / b1))

    def _delta(self, signs: Mapping[int, float], function: Callable[[float, float], float]) -> Estimate:
        """By the delta method; gradients are central differences."""
        value, gradient = 0.0, np.zeros(len(self.fit.coefficients))
        for place, sign in signs.items():
            pair = self.fit.coefficients[2 * place : 2 * place + 2]
            value += sign * function(*pair)
            for i in range(2):
                step = 1e-5 * max(1.0, abs(pair[i]))
                ahead, back = pair.copy(), pair.copy()
                ahead[i] += step
                back[i] -= step
                gradient[2 * place + i] += sign * (function(*ahead) - function(*back)) / (2 * step)
        variance = float(gradient @ self.fit.robust @ gradient)
        return Estimate(float(value), variance, variance, self.df, "delta_t")


@dataclass(frozen=True)
class _Reported:
    """Measures as they are printed. log: whether the axis is logarithmic, so that differences of midpoints are ratios."""

    confidence: float
    log: bool

    def measures(self, measured: _Measured, signs: Mapping[int, float], known: bool) -> dict[str, Any]:
        return {
            _MIDPOINT: self._ends(measured.midpoint(signs), self.log, known),
            _DIFFERENCE: self._ends(measured.log_difference(signs), True, known),
        }

    def contrasts(self, measured: _Measured, signs: Mapping[int, float], known: bool, testable: bool) -> dict[str, Any]:
        """The same of a comparison, with p."""
        rows = self.measures(measured, signs, known)
        for measure, one, ratio in ((_MIDPOINT, measured.midpoint(signs), self.log), (_DIFFERENCE, measured.log_difference(signs), True)):
            p = one.p_zero() if known and testable else None
            rows[measure] = {"contrast": "ratio" if ratio else "difference", **rows[measure], "p": p}
        return rows

    def _ends(self, one: Estimate, ratio: bool, known: bool) -> dict[str, Any]:
        ends = np.array([one.value, *one.interval(self.confidence, -np.inf, np.inf)]) if known else np.full(3, np.nan)
        return dict(zip(("value", "low", "high"), map(number_or_none, 10**ends if ratio else ends), strict=True))
