"""Mixed models of yes-or-no answers: maximum likelihood with random intercepts, standard errors, tests, R2.

GPBoost maximises the Laplace approximation of the marginal likelihood. Where every answer has one random intercept only,
the maximum of the likelihood itself is then found by quadrature: with few answers of one kind the approximation can be
two standard errors off. The standard errors that GPBoost prints take the variances of the random intercepts as
known, which makes those of effects between sources too small; here they come from the curvature of the marginal likelihood in
coefficients and variances together, as lme4's do.
"""

import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, stats

from earwitness.statistics.clustered import Jackknife, jackknife_variance
from earwitness.statistics.quadrature import Link, marginal_likelihood

if TYPE_CHECKING:
    from gpboost import GPModel

FloatArray = npt.NDArray[np.float64]

INTERCEPT = "intercept"

LATENT_VARIANCE = {"probit": 1.0, "logit": math.pi**2 / 3}
"""Variance of a single answer on the scale of the linear predictor."""

SINGULAR_DEVIATION = 0.01
"""A random intercept's standard deviation below this, on the scale of the linear predictor, lies at its boundary, 0."""

LARGEST_ESTIMATE = 20.0
"""A larger coefficient, standard error or standard deviation counts as infinite: on the probit's scale, 8 is certainty in double precision."""

LARGEST_STEP = 0.05
"""The largest Newton step that may be left at convergence, in standard errors."""

_TOLERANCE = 1e-10
_STEP = 0.05
_FLAT = 1e-3


@dataclass(frozen=True)
class RandomIntercept:
    """A normal deviation shared by the answers of one group.

    groups: shape (n,), the group of every answer. member: shape (n,), which answers it applies to; all where None.
    """

    name: str
    groups: npt.NDArray[Any]
    member: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class MixedModel:
    """P(outcome = 1) = F(design @ coefficients + random intercepts), with F the inverse of the link.

    outcome: shape (n,), 0 or 1. design: n rows, one column per fixed effect, `intercept` among them. random: at least one.
    """

    outcome: FloatArray
    design: pd.DataFrame
    random: tuple[RandomIntercept, ...]
    link: Link = "probit"

    @property
    def exact(self) -> bool:
        """Whether every answer has one random intercept, so that its likelihood can be had by quadrature."""
        members = [np.ones(len(self.outcome), bool) if intercept.member is None else intercept.member for intercept in self.random]
        return bool((np.sum(members, axis=0) == 1).all())

    def without(self, term: str) -> "MixedModel":
        """The same model without one fixed effect."""
        return replace(self, design=self.design.drop(columns=term))

    def intercept_only(self) -> "MixedModel":
        """The same random intercepts, and of the fixed effects only the intercept."""
        return replace(self, design=self.design[[INTERCEPT]])


@dataclass(frozen=True)
class Fit:
    """The maximum of the marginal likelihood.

    coefficients: by fixed effect. deviations: standard deviation by random intercept. log_likelihood: of the rows as
    Bernoulli trials, in nats. converged: the optimiser's own verdict. method: "quadrature" or "laplace".
    """

    coefficients: pd.Series
    deviations: pd.Series
    log_likelihood: float
    converged: bool
    method: str

    @property
    def singular(self) -> bool:
        """Whether a random intercept's standard deviation lies at its boundary."""
        return bool((self.deviations < SINGULAR_DEVIATION).any())


@dataclass(frozen=True)
class Precision:
    """How well the coefficients are known.

    errors: standard errors by fixed effect; nan where the likelihood has no proper maximum. largest_step: the Newton step
    that is left, in standard errors, at most over all parameters; near 0 at a true maximum.
    """

    errors: pd.Series
    largest_step: float


@dataclass(frozen=True)
class RobustPrecision:
    """Standard errors by fixed effect and their degrees of freedom (`robust_precision`).

    shifts: per random intercept, how far the coefficients move without each of its groups; shape (n_groups, n_effects).
    """

    errors: pd.Series
    df: pd.Series
    shifts: tuple[FloatArray, ...]


def can_be_fitted(model: MixedModel) -> bool:
    """Whether a model can be fitted here: Laplace's approximation needs gpboost, of which some processors have no wheel."""
    return model.exact or _has_gpboost()


def _has_gpboost() -> bool:
    return importlib.util.find_spec("gpboost") is not None


def fit(model: MixedModel, start: Fit | None = None) -> Fit:
    """Maximise the marginal likelihood, from `start` where given: by quadrature where that is exact, else Laplace.

    Quadrature begins at Laplace's maximum, or without gpboost at `start` or nothing. See `can_be_fitted`.
    """
    if not _has_gpboost():
        deviations = pd.Series(1.0, index=[intercept.name for intercept in model.random])
        begin = start or Fit(pd.Series(0.0, index=model.design.columns), deviations, math.nan, False, "quadrature")
        return _refined(model, replace(begin, coefficients=begin.coefficients[model.design.columns]))
    approximate = laplace_fit(model, start)
    return _refined(model, approximate) if model.exact else approximate


def laplace_fit(model: MixedModel, start: Fit | None = None) -> Fit:
    """Maximise the Laplace approximation of the marginal likelihood with exact Cholesky factors, from `start` where given."""
    parameters: dict[str, Any] = {"delta_rel_conv": _TOLERANCE, "maxit": 2000, "max_num_restarts_lbfgs": 2}
    if start is not None:
        parameters["init_coef"] = start.coefficients[model.design.columns].to_numpy(dtype=float)
        parameters["init_cov_pars"] = np.maximum(_in_engine_order(model, start.deviations) ** 2, SINGULAR_DEVIATION)
    engine = _engine(model)
    engine.fit(y=model.outcome, X=model.design.to_numpy(dtype=float), params=parameters)
    names = [intercept.name for intercept in _engine_order(model)]
    deviations = pd.Series(np.sqrt(engine.get_cov_pars(format_pandas=False)), index=names)
    return Fit(
        pd.Series(engine.get_coef(format_pandas=False), index=model.design.columns),
        deviations[[intercept.name for intercept in model.random]],
        -engine.get_current_neg_log_likelihood(),
        engine._get_convergence_status() == 0,
        "laplace",
    )


def _refined(model: MixedModel, start: Fit) -> Fit:
    """The maximum of the likelihood itself, from that of its approximation."""
    n_terms = len(start.coefficients)
    lowest, highest = math.log(SINGULAR_DEVIATION / 10), math.log(2 * LARGEST_ESTIMATE)
    logs = np.clip(np.log(np.maximum(start.deviations.to_numpy(dtype=float), 0.1)), lowest, highest)
    best = optimize.minimize(
        _quadrature(model)[0],
        np.concatenate([start.coefficients.to_numpy(dtype=float), logs]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None)] * n_terms + [(lowest, highest)] * len(logs),
        options={"maxiter": 1000, "ftol": 1e-13, "gtol": 1e-5},
    )
    return Fit(
        pd.Series(best.x[:n_terms], index=start.coefficients.index),
        pd.Series(np.exp(best.x[n_terms:]), index=start.deviations.index),
        -float(best.fun),
        # The line search may give up in the last digits, where the gradient already is nothing but rounding.
        bool(best.success) or float(np.abs(best.jac).max()) < _FLAT,
        "quadrature",
    )


def _quadrature(
    model: MixedModel,
) -> tuple[Callable[[FloatArray], tuple[float, FloatArray]], Callable[[FloatArray], tuple[FloatArray, FloatArray]], npt.NDArray[np.int64]]:
    """The negative log-likelihood with its gradient, as a whole and by group, and the place in `random` of every group."""
    kinds, groups = np.zeros((2, len(model.outcome)), dtype=np.int64)
    n_groups = 0
    for kind, intercept in enumerate(model.random):
        member = slice(None) if intercept.member is None else intercept.member
        codes, names = pd.factorize(intercept.groups[member])
        kinds[member], groups[member] = kind, codes + n_groups
        n_groups += len(names)
    by_group = marginal_likelihood(model.outcome, model.design.to_numpy(dtype=float), kinds, groups, model.link)

    def whole(parameters: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = by_group(parameters)
        return float(value.sum()), gradient.sum(axis=0)

    return whole, by_group, np.array([kinds[groups == group][0] for group in range(n_groups)])


def precision(model: MixedModel, fitted: Fit) -> Precision:
    """Standard errors from the observed information of coefficients and logarithms of standard deviations together.

    Central differences of the likelihood that `fitted` maximises. A standard deviation at its boundary is held there.
    """
    n_terms = len(fitted.coefficients)
    at, steps, free = _place(model, fitted)
    if fitted.method == "quadrature":
        gradient, information = _derivatives_from_gradient(_quadrature(model)[0], at, steps, free)
    else:
        gradient, information = _derivatives(_laplace(model), at, steps, free)
    try:
        np.linalg.cholesky(information)
        covariance = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        return Precision(pd.Series(math.nan, index=fitted.coefficients.index), math.inf)
    errors = np.sqrt(np.diag(covariance))
    largest_step = float(np.max(np.abs(covariance @ gradient) / errors))
    return Precision(pd.Series(errors[:n_terms], index=fitted.coefficients.index), largest_step)


def robust_precision(model: MixedModel, fitted: Fit) -> RobustPrecision | None:
    """Standard errors that hold where groups differ in more than their intercepts, such as in slopes that the model lacks.

    The jackknife over groups in one Newton step: without group g the coefficients move by -(H - H_g)^-1 s_g, where s_g is the score
    of the group, H_g its information and H that of all (Bell and McCaffrey 2002, Pustejovsky and Tipton 2018, their CR3), with the
    standard deviations held. Groups of each random intercept are a class of their own, as in `Jackknife`. None where the likelihood
    is not a product over groups.
    """
    if not model.exact:
        return None
    at, steps, _ = _place(model, fitted)
    free = np.arange(len(fitted.coefficients))
    _, by_group, kinds = _quadrature(model)
    score = by_group(at)[1][:, free]
    moves = np.diag(steps)[free]
    slopes = np.array([(by_group(at + move)[1] - by_group(at - move)[1])[:, free] for move in moves]) / (2 * steps[free])[:, None, None]
    information = (slopes.transpose(1, 0, 2) + slopes.transpose(1, 2, 0)) / 2
    left = information.sum(axis=0) - information
    if np.linalg.eigvalsh(left).min() <= 0:
        return None
    shifts = np.linalg.solve(left, score[..., None])[..., 0]
    by_kind = tuple(shifts[kinds == kind] for kind in range(len(model.random)))
    variance, df = jackknife_variance(by_kind)
    terms = fitted.coefficients.index
    return RobustPrecision(pd.Series(np.sqrt(variance), index=terms), pd.Series(df, index=terms), by_kind)


def mean_over_seeds(fits: Sequence[Fit], known: Sequence[RobustPrecision]) -> tuple[pd.Series, RobustPrecision]:
    """The mean of the coefficients of one model, fitted to the answers of several training seeds to the same stimuli, and how well it is known.

    Groups and seeds are crossed, as in `Jackknife`: the error holds for new groups and new seeds. All fits have the same design, and groups in
    the same order. Raises ValueError where there are fewer than two.
    """
    n_seeds = len(fits)
    if n_seeds < 2:
        raise ValueError("one seed has no mean over seeds")
    coefficients = pd.DataFrame([fit.coefficients for fit in fits])
    mean = coefficients.mean()
    shifts = [np.stack(of_seeds) for of_seeds in zip(*(one.shifts for one in known), strict=True)]
    without_seed = (mean.to_numpy() - coefficients.to_numpy() / n_seeds) * n_seeds / (n_seeds - 1)
    # A shift is that of one seed's coefficients, of which the mean has a K-th; leaving out one of K n answers moves a mean of all by this.
    cells = tuple(of_kind * (of_kind.shape[1] - 1) / (n_seeds * of_kind.shape[1] - 1) for of_kind in shifts)
    df = tuple(of_kind.shape[1] - 1.0 for of_kind in shifts)
    variance, freedom = Jackknife(tuple(of_kind.mean(axis=0) for of_kind in shifts), without_seed, cells, df).variance()
    left_out = tuple(of_kind.mean(axis=0) for of_kind in shifts)
    return mean, RobustPrecision(pd.Series(np.sqrt(variance), index=mean.index), pd.Series(freedom, index=mean.index), left_out)


def _place(model: MixedModel, fitted: Fit) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]:
    """Coefficients and logarithms of standard deviations, steps of differences, and which parameters are not at a boundary."""
    logs = np.log(np.maximum(fitted.deviations.to_numpy(dtype=float), SINGULAR_DEVIATION / 10))
    at = np.concatenate([fitted.coefficients.to_numpy(dtype=float), logs])
    inside = (fitted.deviations >= SINGULAR_DEVIATION).to_numpy()
    return at, _steps(model), np.flatnonzero(np.concatenate([np.ones(len(fitted.coefficients), bool), inside]))


def likelihood_ratio(full: Fit, reduced: Fit) -> tuple[float, float]:
    """Twice the difference of the log-likelihoods, and its chi-squared p for the fixed effects that `reduced` lacks."""
    statistic = max(0.0, 2 * (full.log_likelihood - reduced.log_likelihood))
    return statistic, float(stats.chi2.sf(statistic, len(full.coefficients) - len(reduced.coefficients)))


def constant_log_likelihood(outcome: FloatArray) -> float:
    """Log-likelihood of the intercept-only model without random intercepts, Bernoulli rows."""
    share = float(outcome.mean())
    return len(outcome) * float(-stats.bernoulli(share).entropy())


def mcfadden(fitted: Fit, null_log_likelihood: float) -> float:
    """McFadden's R2 against a null model that the caller names; Bernoulli rows, so not to be compared with counts."""
    return 1 - fitted.log_likelihood / null_log_likelihood


def latent_r2(model: MixedModel, fitted: Fit) -> tuple[float, float]:
    """Marginal and conditional R2 on the latent scale (Nakagawa and Schielzeth 2013, Nakagawa et al. 2017).

    A random intercept of some answers only counts with its variance averaged over all answers (Johnson 2014).
    """
    fixed = float(np.var(model.design.to_numpy(dtype=float) @ fitted.coefficients.to_numpy(dtype=float)))
    shares = [1.0 if intercept.member is None else float(intercept.member.mean()) for intercept in model.random]
    between = float(fitted.deviations.to_numpy(dtype=float) ** 2 @ np.array(shares))
    total = fixed + between + LATENT_VARIANCE[model.link]
    return fixed / total, (fixed + between) / total


def is_separated(model: MixedModel) -> bool:
    """Whether some combination of the fixed effects predicts answers perfectly, so that no finite maximum exists.

    Complete or quasi-complete separation (Albert and Anderson 1984) as a linear programme (Konis 2007).
    """
    signs = np.where(model.outcome > 0.5, 1.0, -1.0)
    rows = np.unique(signs[:, None] * model.design.to_numpy(dtype=float), axis=0)
    best = optimize.linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=(-1, 1), method="highs")
    return bool(-best.fun > 1e-7)


def runs_off(fitted: Fit, known: Precision) -> bool:
    """Whether an estimate or its standard error is too large to be finite."""
    sizes = np.concatenate([fitted.coefficients.abs(), fitted.deviations, known.errors])
    return bool(np.nanmax(sizes) > LARGEST_ESTIMATE)


def _engine_order(model: MixedModel) -> list[RandomIntercept]:
    """GPBoost lists intercepts of all answers first."""
    return sorted(model.random, key=lambda intercept: intercept.member is not None)


def _in_engine_order(model: MixedModel, deviations: pd.Series) -> FloatArray:
    return deviations[[intercept.name for intercept in _engine_order(model)]].to_numpy(dtype=float)


def _engine(model: MixedModel) -> "GPModel":
    from gpboost import GPModel

    ordered = _engine_order(model)
    partial = {place: intercept.member.astype(float) for place, intercept in enumerate(ordered, start=1) if intercept.member is not None}
    coefficients: dict[str, Any] = {}
    if partial:
        coefficients = {
            "group_rand_coef_data": np.column_stack(list(partial.values())),
            "ind_effect_group_rand_coef": list(partial),
            "drop_intercept_group_rand_effect": [place in partial for place in range(1, len(ordered) + 1)],
        }
    return GPModel(
        group_data=np.column_stack([intercept.groups.astype(str) for intercept in ordered]),
        likelihood=f"bernoulli_{model.link}",
        # The default is stochastic and gives other standard errors.
        matrix_inversion_method="cholesky",
        num_parallel_threads=1,
        **coefficients,
    )


def _laplace(model: MixedModel) -> Callable[[FloatArray], float]:
    """The negative of the approximate log-likelihood as a function of coefficients and logarithms of standard deviations."""
    engine, design = _engine(model), model.design.to_numpy(dtype=float)
    n_terms, names = design.shape[1], [intercept.name for intercept in model.random]

    def function(parameters: FloatArray) -> float:
        variances = _in_engine_order(model, pd.Series(np.exp(2 * parameters[n_terms:]), index=names))
        return float(engine.neg_log_likelihood(variances, model.outcome, fixed_effects=design @ parameters[:n_terms]))

    return function


def _steps(model: MixedModel) -> FloatArray:
    """Step of the differences per parameter: a small part of a standard error if answers were independent."""
    design = model.design.to_numpy(dtype=float)
    information = design.T @ design * 2 / np.pi
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    return _STEP * np.concatenate([errors, np.full(len(model.random), 0.2)])


def _derivatives(
    function: Callable[[FloatArray], float], at: FloatArray, steps: FloatArray, free: npt.NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Gradient and Hessian in the free parameters by central differences."""
    moves = np.diag(steps)[free]
    centre = function(at)
    up = np.array([function(at + move) for move in moves])
    down = np.array([function(at - move) for move in moves])
    hessian = np.diag(up + down - 2 * centre)
    for i in range(len(free)):
        for j in range(i):
            both = function(at + moves[i] + moves[j]) + function(at - moves[i] - moves[j])
            hessian[i, j] = hessian[j, i] = (both + 2 * centre - up[i] - up[j] - down[i] - down[j]) / 2
    return (up - down) / (2 * steps[free]), hessian / np.outer(steps[free], steps[free])


def _derivatives_from_gradient(
    function: Callable[[FloatArray], tuple[float, FloatArray]], at: FloatArray, steps: FloatArray, free: npt.NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Gradient and Hessian in the free parameters, the Hessian by central differences of the gradient."""
    moves = np.diag(steps)[free]
    rows = np.array([function(at + move)[1] - function(at - move)[1] for move in moves])[:, free] / (2 * steps[free])[:, None]
    return function(at)[1][free], (rows + rows.T) / 2
