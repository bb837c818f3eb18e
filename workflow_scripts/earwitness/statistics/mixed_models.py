"""Mixed models of yes-or-no answers: maximum likelihood with random intercepts and slopes, standard errors, tests, R2.

Random effects of one grouping have no correlation, so that few sources can carry them (Barr et al. 2013, Bates et al. 2015). Where there is one
grouping, the likelihood is maximised by quadrature; otherwise GPBoost maximises its Laplace approximation, which with few answers of one kind can be
two standard errors off. The standard errors that GPBoost prints take the variances of the random effects as
known, which makes those of effects between sources too small; here they come from the curvature of the marginal likelihood in
coefficients and deviations together, as lme4's do.
"""

import importlib.util
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, special

from earwitness.statistics.clustered import Jackknife, jackknife_variance
from earwitness.statistics.quadrature import Link, marginal_likelihood

if TYPE_CHECKING:
    from gpboost import GPModel

FloatArray = npt.NDArray[np.float64]

INTERCEPT = "intercept"

LATENT_VARIANCE = {"probit": 1.0, "logit": math.pi**2 / 3}
"""Variance of a single answer on the scale of the linear predictor."""

SINGULAR_DEVIATION = 0.01
"""A random effect's standard deviation below this, on the scale of the linear predictor, lies at its boundary, 0."""

LARGEST_ESTIMATE = 20.0
"""A larger coefficient, standard error or standard deviation counts as infinite: on the probit's scale, 8 is certainty in double precision."""

LARGEST_STEP = 0.05
"""The largest Newton step that may be left at convergence, in standard errors."""

_TOLERANCE = 1e-10
_STEP = 0.05
_FLAT = 1e-3
_FIRST_DEVIATION = 0.5
_POLISHING_STEPS = 5
_NOTHING_LEFT = 0.02
"""Newton's steps end where what is left is less than this many standard errors."""


@dataclass(frozen=True)
class RandomEffect:
    """A normal deviation shared by the answers of one group, an intercept or a slope.

    groups: shape (n,), the group of every answer. along: shape (n,), what multiplies the deviation: a predictor for a slope, 0 for answers that it
    does not apply to, 1 for others; 1 for all where None.
    """

    name: str
    groups: npt.NDArray[Any]
    along: FloatArray | None = None

    @property
    def by_answer(self) -> FloatArray:
        """What multiplies the deviation, shape (n,)."""
        return np.ones(len(self.groups)) if self.along is None else self.along


@dataclass(frozen=True)
class MixedModel:
    """P(outcome = 1) = F(design @ coefficients + random effects), with F the inverse of the link.

    outcome: shape (n,), 0 or 1. design: n rows, one column per fixed effect, `intercept` among them. random: at least one.
    """

    outcome: FloatArray
    design: pd.DataFrame
    random: tuple[RandomEffect, ...]
    link: Link = "probit"

    @property
    def exact(self) -> bool:
        """Whether all random effects are of the same groups, so that the likelihood can be had by quadrature."""
        return all(np.array_equal(effect.groups, self.random[0].groups) for effect in self.random)

    def without_random(self, names: Collection[str]) -> "MixedModel":
        """The same model without some random effects."""
        return replace(self, random=tuple(effect for effect in self.random if effect.name not in names))

    def intercept_only(self) -> "MixedModel":
        """The same random effects, and of the fixed effects only the intercept."""
        return replace(self, design=self.design[[INTERCEPT]])


@dataclass(frozen=True)
class Fit:
    """The maximum of the marginal likelihood.

    coefficients: by fixed effect. deviations: standard deviation by random effect. log_likelihood: of the rows as
    Bernoulli trials, in nats. converged: the optimiser's own verdict. method: "quadrature" or "laplace".
    """

    coefficients: pd.Series
    deviations: pd.Series
    log_likelihood: float
    converged: bool
    method: str

    @property
    def singular(self) -> bool:
        """Whether a random effect's standard deviation lies at its boundary."""
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

    shifts: per class of groups, how far the coefficients move without each of its groups, so that their jackknife is `errors`; shape
    (n_groups, n_effects).
    """

    errors: pd.Series
    df: pd.Series
    shifts: tuple[FloatArray, ...]

    def at_least(self, own: pd.Series) -> "RobustPrecision":
        """The same with errors not below the model's own, by fixed effect.

        The jackknife in one step holds the standard deviations of the groups, and so has nothing of how little they are known; the curvature in
        coefficients and deviations together has it, where the model is right. With few groups either can be the larger.
        """
        larger = np.fmax(1.0, (own[self.errors.index] / self.errors).to_numpy(dtype=float))
        return RobustPrecision(self.errors * larger, self.df, tuple(of_class * larger for of_class in self.shifts))


def can_be_fitted(model: MixedModel) -> bool:
    """Whether a model can be fitted here: Laplace's approximation needs gpboost, which has no wheel for some processors."""
    return model.exact or _has_gpboost()


def _has_gpboost() -> bool:
    return importlib.util.find_spec("gpboost") is not None


def fit(model: MixedModel, start: Fit | None = None) -> Fit:
    """Maximise the marginal likelihood, from `start` where given: by quadrature where that can be, else Laplace's. See `can_be_fitted`."""
    return _quadrature_fit(model, start) if model.exact else laplace_fit(model, start)


def laplace_fit(model: MixedModel, start: Fit | None = None) -> Fit:
    """Maximise the Laplace approximation of the marginal likelihood with exact Cholesky factors, from `start` where given."""
    parameters: dict[str, Any] = {"delta_rel_conv": _TOLERANCE, "maxit": 2000, "max_num_restarts_lbfgs": 2}
    if start is not None:
        parameters["init_coef"] = start.coefficients[model.design.columns].to_numpy(dtype=float)
        parameters["init_cov_pars"] = np.maximum(_in_engine_order(model, start.deviations) ** 2, SINGULAR_DEVIATION)
    engine = _engine(model)
    engine.fit(y=model.outcome, X=model.design.to_numpy(dtype=float), params=parameters)
    names = [effect.name for effect in _engine_order(model)]
    deviations = pd.Series(np.sqrt(engine.get_cov_pars(format_pandas=False)), index=names)
    return Fit(
        pd.Series(engine.get_coef(format_pandas=False), index=model.design.columns),
        deviations[_names(model)],
        -engine.get_current_neg_log_likelihood(),
        engine._get_convergence_status() == 0,
        "laplace",
    )


def _quadrature_fit(model: MixedModel, start: Fit | None) -> Fit:
    """The maximum of the likelihood: L-BFGS, and Newton's steps where it ends early, because the gradient is not quite that of the value."""
    n_terms, names = model.design.shape[1], _names(model)
    begin = np.concatenate([np.zeros(n_terms), np.full(len(names), _FIRST_DEVIATION)])
    if start is not None:
        given = np.maximum(start.deviations[names].to_numpy(dtype=float), _FIRST_DEVIATION / 5)
        begin = np.concatenate([start.coefficients[model.design.columns].to_numpy(dtype=float), given])
    whole, by_group = _quadrature(model)
    limits = [(None, None)] * n_terms + [(-2 * LARGEST_ESTIMATE, 2 * LARGEST_ESTIMATE)] * len(names)
    best = optimize.minimize(whole, begin, jac=True, method="L-BFGS-B", bounds=limits, options={"maxiter": 1000, "ftol": 1e-9, "gtol": 1e-3})
    at = np.concatenate([best.x[:n_terms], np.abs(best.x[n_terms:])])
    for _ in range(_POLISHING_STEPS):
        free = np.flatnonzero(np.concatenate([np.ones(n_terms, bool), at[n_terms:] >= SINGULAR_DEVIATION]))
        score = by_group(at)[1][:, free]
        # By the outer product of scores, which costs nothing, and tells well enough whether there is anything left to go.
        if float(score.sum(axis=0) @ np.linalg.pinv(score.T @ score) @ score.sum(axis=0)) < _NOTHING_LEFT**2:
            break
        gradient, information = _derivatives_from_gradient(whole, at, _steps(model), free)
        if np.linalg.eigvalsh(information).min() <= 0:
            break
        at[free] -= np.clip(np.linalg.solve(information, gradient), -0.5, 0.5)
        at[n_terms:] = np.abs(at[n_terms:])
    value, gradient = whole(at)
    return Fit(
        pd.Series(at[:n_terms], index=model.design.columns),
        pd.Series(at[n_terms:], index=names),
        -value,
        bool(best.success) or float(np.abs(gradient).max()) < _FLAT,
        "quadrature",
    )


def _names(model: MixedModel) -> list[str]:
    return [effect.name for effect in model.random]


def _quadrature(model: MixedModel) -> tuple[Callable[[FloatArray], tuple[float, FloatArray]], Callable[[FloatArray], tuple[FloatArray, FloatArray]]]:
    """The negative log-likelihood with its gradient by coefficients and standard deviations, as a whole and by group."""
    groups, _ = pd.factorize(model.random[0].groups)
    effects = np.column_stack([effect.by_answer for effect in model.random])
    by_group = marginal_likelihood(model.outcome, model.design.to_numpy(dtype=float), effects, groups, model.link)

    def whole(parameters: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = by_group(parameters)
        return float(value.sum()), gradient.sum(axis=0)

    return whole, by_group


def _classes(model: MixedModel) -> npt.NDArray[np.int64]:
    """The class of every group, in the order of their first answers: groups with the same random effects are of one."""
    groups, names = pd.factorize(model.random[0].groups)
    used = np.zeros((len(names), len(model.random)), bool)
    np.logical_or.at(used, groups, np.column_stack([effect.by_answer != 0 for effect in model.random]))
    return np.unique(used, axis=0, return_inverse=True)[1].ravel()


def precision(model: MixedModel, fitted: Fit) -> Precision:
    """Standard errors from the observed information of coefficients and standard deviations together.

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
    """Standard errors that hold where groups differ in more than their random effects say.

    The jackknife over groups in one Newton step: without group g the coefficients move by -(H - H_g)^-1 s_g, where s_g is the score
    of the group, H_g its information and H that of all (Bell and McCaffrey 2002, Pustejovsky and Tipton 2018, their CR3), with the
    standard deviations held. Groups with the same random effects are a class of their own, as in `Jackknife`. None where the likelihood
    is not a product over groups.
    """
    if not model.exact:
        return None
    at, steps, _ = _place(model, fitted)
    free = np.arange(len(fitted.coefficients))
    _, by_group = _quadrature(model)
    score = by_group(at)[1][:, free]
    moves = np.diag(steps)[free]
    slopes = np.array([(by_group(at + move)[1] - by_group(at - move)[1])[:, free] for move in moves]) / (2 * steps[free])[:, None, None]
    information = (slopes.transpose(1, 0, 2) + slopes.transpose(1, 2, 0)) / 2
    left = information.sum(axis=0) - information
    if np.linalg.eigvalsh(left).min() <= 0:
        return None
    shifts = np.linalg.solve(left, score[..., None])[..., 0]
    classes = _classes(model)
    by_class = tuple(shifts[classes == number] for number in range(classes.max() + 1))
    variance, df = jackknife_variance(by_class)
    terms = fitted.coefficients.index
    return RobustPrecision(pd.Series(np.sqrt(variance), index=terms), pd.Series(df, index=terms), by_class)


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
    # From shifts of one seed's coefficients without one source, to shifts of the mean without one of its K n cells (seed and source).
    cells = tuple(of_kind * (of_kind.shape[1] - 1) / (n_seeds * of_kind.shape[1] - 1) for of_kind in shifts)
    df = tuple(of_kind.shape[1] - 1.0 for of_kind in shifts)
    variance, freedom = Jackknife(tuple(of_kind.mean(axis=0) for of_kind in shifts), without_seed, cells, df).variance()
    left_out = tuple(of_kind.mean(axis=0) for of_kind in shifts)
    return mean, RobustPrecision(pd.Series(np.sqrt(variance), index=mean.index), pd.Series(freedom, index=mean.index), left_out)


def _place(model: MixedModel, fitted: Fit) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]:
    """Coefficients and standard deviations, steps of differences, and which parameters are not at a boundary."""
    at = np.concatenate([fitted.coefficients.to_numpy(dtype=float), fitted.deviations.to_numpy(dtype=float)])
    inside = (fitted.deviations >= SINGULAR_DEVIATION).to_numpy()
    return at, _steps(model), np.flatnonzero(np.concatenate([np.ones(len(fitted.coefficients), bool), inside]))


def constant_log_likelihood(outcome: FloatArray) -> float:
    """Log-likelihood of the intercept-only model without random intercepts, Bernoulli rows."""
    share = float(outcome.mean())
    return len(outcome) * float(-(special.entr(share) + special.entr(1 - share)))


def mcfadden(fitted: Fit, null_log_likelihood: float) -> float:
    """McFadden's R2 against a null model that the caller names; Bernoulli rows, so not to be compared with counts."""
    return 1 - fitted.log_likelihood / null_log_likelihood


def latent_r2(model: MixedModel, fitted: Fit) -> tuple[float, float]:
    """Marginal and conditional R2 on the latent scale (Nakagawa and Schielzeth 2013, Nakagawa et al. 2017).

    A random effect counts with its variance averaged over all answers (Johnson 2014).
    """
    fixed = float(np.var(model.design.to_numpy(dtype=float) @ fitted.coefficients.to_numpy(dtype=float)))
    shares = [float(np.mean(effect.by_answer**2)) for effect in model.random]
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


def _engine_order(model: MixedModel) -> list[RandomEffect]:
    """GPBoost lists intercepts of all answers first."""
    return sorted(model.random, key=lambda effect: effect.along is not None)


def _in_engine_order(model: MixedModel, deviations: pd.Series) -> FloatArray:
    return deviations[[effect.name for effect in _engine_order(model)]].to_numpy(dtype=float)


def _engine(model: MixedModel) -> "GPModel":
    from gpboost import GPModel

    ordered = _engine_order(model)
    partial = {place: effect.along for place, effect in enumerate(ordered, start=1) if effect.along is not None}
    coefficients: dict[str, Any] = {}
    if partial:
        coefficients = {
            "group_rand_coef_data": np.column_stack(list(partial.values())),
            "ind_effect_group_rand_coef": list(partial),
            "drop_intercept_group_rand_effect": [place in partial for place in range(1, len(ordered) + 1)],
        }
    return GPModel(
        group_data=np.column_stack([effect.groups.astype(str) for effect in ordered]),
        likelihood=f"bernoulli_{model.link}",
        # The default is stochastic and gives other standard errors.
        matrix_inversion_method="cholesky",
        num_parallel_threads=1,
        **coefficients,
    )


def _laplace(model: MixedModel) -> Callable[[FloatArray], float]:
    """The negative of the approximate log-likelihood as a function of coefficients and standard deviations."""
    engine, design = _engine(model), model.design.to_numpy(dtype=float)
    n_terms, names = design.shape[1], _names(model)

    def function(parameters: FloatArray) -> float:
        variances = _in_engine_order(model, pd.Series(np.maximum(parameters[n_terms:] ** 2, _TOLERANCE), index=names))
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
