"""Mixed models of counts with intercepts and slopes of groups, against values of lme4 and a simulated truth."""

import numpy as np
import pytest
from scipy import special

from earwitness.core.errors import InputError
from earwitness.statistics.random_slopes import GroupedCounts, fit_random_slopes

YES = [
    [9, 13, 20, 26, 31, 36, 39],
    [2, 5, 9, 16, 26, 33, 37],
    [14, 17, 21, 24, 28, 29, 33],
    [4, 8, 18, 28, 35, 39, 40],
    [11, 16, 22, 28, 30, 34, 36],
    [1, 4, 12, 20, 29, 38, 40],
]
"""Yes out of 40 of six made-up subjects at -1.5, -1, ... 1.5."""

LME4 = {
    "coefficients": [0.2549595399, 0.9340246154],
    "errors": [0.0958849030, 0.1413893979],
    "sd": (0.2162992580, 0.3289957451, -0.2294067589),
    "log_likelihood": -94.01604215,
    "errors_of_intercepts_alone": [0.0911051822, 0.0394874577],
}
"""lme4 1.1-31 on YES, with x <- rep(seq(-1.5, 1.5, .5), 6) and s the subject:
m <- glmer(cbind(yes, 40 - yes) ~ x + (1 + x | s), family = binomial("probit"),
           control = glmerControl(optimizer = "bobyqa", optCtrl = list(maxfun = 1e5), tolPwrss = 1e-12))
coef(summary(m)); as.data.frame(VarCorr(m)); logLik(m); the last row with (1 | s) in place of (1 + x | s)."""


def grouped(yes, x, total=40.0, **rates):
    yes = np.asarray(yes, dtype=float)
    places = np.tile(x, len(yes))
    names = np.repeat([f"s{number}" for number in range(len(yes))], len(x))
    return GroupedCounts(yes.ravel(), np.full(yes.size, total), np.column_stack([np.ones(yes.size), places]), places, names, **rates)


X = np.arange(-1.5, 1.6, 0.5)


def test_laplaces_approximation_is_lme4s():
    fit = fit_random_slopes(grouped(YES, X), nodes=1)
    assert fit.converged
    assert fit.coefficients == pytest.approx(LME4["coefficients"], abs=2e-4)
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx(LME4["errors"], rel=2e-3)
    assert (fit.sd_intercept, fit.sd_slope, fit.correlation) == pytest.approx(LME4["sd"], abs=2e-3)
    assert fit.log_likelihood == pytest.approx(LME4["log_likelihood"], abs=1e-4)
    assert np.sqrt(fit.covariance[1, 1]) > 3 * LME4["errors_of_intercepts_alone"][1], "slopes of their own make the slope less certain"


def test_errors_over_groups_are_those_of_refits_without_each_group():
    """One Newton step stands for a refit: within a tenth of the jackknife of six refits."""
    fit = fit_random_slopes(grouped(YES, X))
    refits = np.array([fit_random_slopes(grouped(YES[:k] + YES[k + 1 :], X)).coefficients for k in range(6)])
    away = refits - refits.mean(axis=0)
    assert np.sqrt(np.diag(fit.robust)) == pytest.approx(np.sqrt(5 / 6 * (away**2).sum(axis=0)), rel=0.1)


def test_known_guess_and_lapse_rates_leave_the_curve_where_it_is():
    """A subject who guesses in half of the trials: the same midpoint and slope, of answers that rise from 0.5 to 0.95."""
    x = np.linspace(-2, 2, 9)
    eta = np.array([[0.3 * own + (1 + 0.1 * own) * at for at in x] for own in (-1, -0.5, 0.5, 1)])
    plain = fit_random_slopes(grouped(1000 * special.ndtr(eta), x, 1000.0))
    scaled = fit_random_slopes(grouped(1000 * (0.5 + 0.45 * special.ndtr(eta)), x, 1000.0, guess=0.5, lapse=0.05))
    assert plain.coefficients == pytest.approx([0, 1], abs=0.01)
    assert scaled.coefficients == pytest.approx(plain.coefficients, abs=0.01)


@pytest.mark.slow
def test_errors_over_groups_carry_a_fitted_lapse_rate():
    """Six groups of one lapse rate: it is found, and errors are those of refits, lapse rate included."""
    x, own = np.linspace(-2, 3, 9), (-1, 1, -0.5, 0.5, 0.2, -0.2)
    yes = np.random.default_rng(4).binomial(60, [(1 - 0.08) * special.ndtr(0.3 * place + x) for place in own])
    fit = fit_random_slopes(grouped(yes, x, 60.0, lapse=None), nodes=1)
    assert fit.converged and fit.lapse == pytest.approx(0.08, abs=0.02)
    refits = np.array([fit_random_slopes(grouped(np.delete(yes, k, axis=0), x, 60.0, lapse=None), nodes=1).coefficients for k in range(6)])
    away = refits - refits.mean(axis=0)
    assert np.sqrt(np.diag(fit.robust)) == pytest.approx(np.sqrt(5 / 6 * (away**2).sum(axis=0)), rel=0.25)
    held = fit_random_slopes(grouped(yes, x, 60.0, lapse=fit.lapse), nodes=1)
    assert held.coefficients == pytest.approx(fit.coefficients, abs=0.01)
    assert held.covariance[1, 1] < fit.covariance[1, 1], "what is fitted is not known"


def test_one_group_is_refused():
    with pytest.raises(InputError, match="at least 2 sources"):
        fit_random_slopes(grouped(YES[:1], X))
