"""The mixed models against lme4, in R; skipped where R or lme4 is missing."""

import dataclasses
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from simulated_observers import simulated_answers, simulated_index

from earwitness.evaluation.response_models import answered, response_model
from earwitness.statistics.mixed_models import (
    INTERCEPT,
    MixedModel,
    RandomEffect,
    constant_log_likelihood,
    fit,
    laplace_fit,
    mcfadden,
    precision,
    robust_precision,
)


def run_r(folder, code):
    script = folder / "script.R"
    script.write_text("suppressMessages(library(lme4))\n" + code, encoding="utf-8")
    return subprocess.run(["Rscript", "--vanilla", script.name], cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def lme4(tmp_path_factory):
    """Run R code with lme4 in a folder that it shares with the test."""
    if shutil.which("Rscript") is None:
        pytest.skip("no Rscript; on Debian: apt-get install r-base-core r-cran-lme4")
    folder = tmp_path_factory.mktemp("lme4")
    if run_r(folder, "").returncode:
        pytest.skip("R has no package lme4; on Debian: apt-get install r-cran-lme4")

    def run(code):
        result = run_r(folder, code)
        assert result.returncode == 0, result.stderr
        return folder

    return run


# lme4's Hessian is of finite differences; its default tolerance leaves their second digit to chance.
PRECISE = 'glmerControl(optimizer = "bobyqa", optCtrl = list(maxfun = 1e5), tolPwrss = 1e-12)'

WRITE = """
write_fit <- function(m, name) {
  effects <- coef(summary(m))
  write.csv(data.frame(estimate = effects[, 1], error = effects[, 2]), paste0(name, "_effects.csv"), row.names = FALSE)
  write.csv(data.frame(sd = as.data.frame(VarCorr(m))$sdcor, ll = as.numeric(logLik(m))), paste0(name, "_fit.csv"), row.names = FALSE)
}
"""

MANUAL = {
    "laplace": ([-1.3983, -0.9919, -1.1282, -1.5797], 0.6421),
    "quadrature": ([-1.39922, -0.99141, -1.12782, -1.57947], 0.6475),
}
"""What lme4's manual and its tests state for cbpp: coefficients, standard deviation of herds."""


def read(folder, name):
    return pd.read_csv(folder / f"{name}_effects.csv"), pd.read_csv(folder / f"{name}_fit.csv")


@pytest.fixture(scope="module")
def cbpp(lme4):
    """lme4's example, one row per animal, and the folder of what lme4 makes of it."""
    folder = lme4(
        f"""{WRITE}
        rows <- with(cbpp, data.frame(
          herd = rep(herd, size), period = rep(period, size),
          y = unlist(mapply(function(k, n) rep(c(1, 0), c(k, n - k)), incidence, size))))
        write.csv(rows, "cbpp.csv", row.names = FALSE)
        write_fit(glmer(y ~ period + (1 | herd), rows, family = binomial, control = {PRECISE}), "laplace")
        write_fit(glmer(y ~ period + (1 | herd), rows, family = binomial, nAGQ = 25, control = {PRECISE}), "quadrature")
        """
    )
    rows = pd.read_csv(folder / "cbpp.csv")
    design = pd.DataFrame({INTERCEPT: 1.0, **{f"period{k}": (rows.period == k).astype(float) for k in (2, 3, 4)}})
    return MixedModel(rows.y.to_numpy(dtype=float), design, (RandomEffect("herd", rows.herd.to_numpy()),), "logit"), folder


def assert_agree(what, estimates, errors, theirs):
    """Estimates within 0.05 of lme4's standard errors, standard errors within 2 %."""
    shift = np.abs(np.asarray(estimates) - theirs.estimate.to_numpy()) / theirs.error.to_numpy()
    ratio = np.asarray(errors) / theirs.error.to_numpy()
    print(f"{what}: at most {shift.max():.4f} standard errors apart; errors {ratio.min():.4f} to {ratio.max():.4f} of lme4's")
    assert shift.max() < 0.05
    assert ratio == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("method", ["laplace", "quadrature"])
def test_cbpp_is_what_lme4_makes_of_it_and_what_it_states(cbpp, method):
    model, folder = cbpp
    fitted = (laplace_fit if method == "laplace" else fit)(model)
    effects, whole = read(folder, method)
    assert fitted.method == method
    assert_agree(f"cbpp, {method}", fitted.coefficients, precision(model, fitted).errors, effects)
    coefficients, deviation = MANUAL[method]
    assert (np.abs(fitted.coefficients - coefficients) / effects.error.to_numpy()).max() < 0.005
    assert fitted.deviations.herd == pytest.approx(deviation, abs=5e-4)
    assert fitted.deviations.herd == pytest.approx(whole.sd[0], abs=5e-4)


def test_cbpp_has_the_known_likelihood_and_mcfadden_r2_against_either_null_model(cbpp):
    model, _ = cbpp
    fitted = laplace_fit(model)
    assert fitted.log_likelihood == pytest.approx(-277.5022, abs=5e-4)
    assert mcfadden(fitted, constant_log_likelihood(model.outcome)) == pytest.approx(0.089747, abs=2e-6)
    assert mcfadden(fitted, laplace_fit(model.intercept_only()).log_likelihood) == pytest.approx(0.044108, abs=2e-6)


def simulated(clips_per_source):
    index = simulated_index(16, clips_per_source, durations=(80, 300, 1000), snrs=(-5.0, 5.0, 15.0))
    return response_model(answered(simulated_answers(index, deviations=(0.6, 0.9, 0.7), seed=4), index, "simulated"), "simulated")


def write_rows(model, path):
    """The model's rows with R's names; speech and other are 0 or 1."""
    speech, other, *clips = (effect for effect in model.random if "_sources_" not in effect.name)
    table = model.design.rename(columns=lambda name: name.replace(":", "_"))
    table = table.assign(y=model.outcome, source=speech.groups, speech=speech.by_answer.astype(int), other=other.by_answer.astype(int))
    table.assign(**{effect.name: effect.groups for effect in clips}).to_csv(path, index=False)


def test_an_observer_with_one_clip_per_source_is_what_lme4_makes_of_either_class_by_quadrature(lme4, tmp_path):
    """With no effect common to the classes, the model is one of each class with one intercept, which lme4 integrates too."""
    model = simulated(clips_per_source=1)
    write_rows(model, tmp_path / "rows.csv")
    folder = lme4(
        f"""{WRITE}
        d <- read.csv("{(tmp_path / "rows.csv").as_posix()}")
        for (class in c("speech", "other"))
          write_fit(glmer(y ~ logdur + snr + logdur_snr + (1 | source), d[d[[class]] == 1, ], family = binomial("probit"), nAGQ = 25,
                          control = {PRECISE}), class)
        """
    )
    fitted = fit(model)
    condition = ["intercept", "logdur", "snr", "logdur:snr"]
    labels = ["label", "label:logdur", "label:snr", "label:logdur:snr"]
    by_class = {name: read(folder, name) for name in ("speech", "other")}
    speech, other = (effects for effects, _ in by_class.values())
    errors = np.hypot(speech.error, other.error)
    known = precision(model, fitted).errors
    differences = pd.DataFrame({"estimate": speech.estimate - other.estimate, "error": errors})
    assert_agree("d' and its changes", fitted.coefficients[labels], known[labels], differences)
    means = pd.DataFrame({"estimate": (speech.estimate + other.estimate) / 2, "error": errors / 2})
    assert_agree("minus the criterion and its changes", fitted.coefficients[condition], known[condition], means)
    assert fitted.log_likelihood == pytest.approx(sum(whole.ll[0] for _, whole in by_class.values()), abs=0.01)
    assert fitted.deviations.to_list() == pytest.approx([whole.sd[0] for _, whole in by_class.values()], abs=0.01)


def test_an_observer_with_several_clips_per_source_is_what_lme4_makes_of_it(lme4, tmp_path):
    """With the logit, where lme4's Laplace approximation is the same; with the probit, it takes the expected curvature."""
    model = dataclasses.replace(simulated(clips_per_source=2), link="logit")
    write_rows(model, tmp_path / "rows.csv")
    folder = lme4(
        f"""{WRITE}
        d <- read.csv("{(tmp_path / "rows.csv").as_posix()}")
        write_fit(glmer(y ~ logdur + snr + logdur_snr + label + label_logdur + label_snr + label_logdur_snr
                        + (0 + speech | source) + (0 + other | source) + (1 | clips), d, family = binomial, control = {PRECISE}), "clips")
        """
    )
    fitted = fit(model)
    effects, whole = read(folder, "clips")
    assert fitted.method == "laplace"
    assert_agree("several clips", fitted.coefficients, precision(model, fitted).errors, effects)
    assert fitted.log_likelihood == pytest.approx(whole.ll[0], abs=0.01)
    assert sorted(fitted.deviations) == pytest.approx(sorted(whole.sd), abs=0.01)


def test_errors_over_sources_are_those_of_random_slopes(lme4, tmp_path):
    """Sources with slopes of their own over SNR: the standard error of the mean slope is what lme4's (1 + snr | source) says, and more
    than half again that of (1 | source)."""
    rng = np.random.default_rng(5)
    source = np.repeat(np.arange(40), 30)
    snr = np.tile(np.repeat([-1.0, -0.5, 0.0, 0.5, 1.0], 6), 40)
    own = rng.normal(0, 0.6, (2, 40))[:, source]
    outcome = (rng.normal(size=len(snr)) < 0.3 + own[0] + (0.8 + own[1]) * snr).astype(float)
    design = pd.DataFrame({INTERCEPT: 1.0, "snr": snr})
    pd.DataFrame({"y": outcome, "snr": snr, "source": source}).to_csv(tmp_path / "rows.csv", index=False)
    folder = lme4(
        f"""{WRITE}
        d <- read.csv("{(tmp_path / "rows.csv").as_posix()}")
        write_fit(glmer(y ~ snr + (1 + snr | source), d, family = binomial("probit"), control = {PRECISE}), "slopes")
        """
    )
    model = MixedModel(outcome, design, (RandomEffect("source", source),))
    fitted = fit(model)
    robust, plain = robust_precision(model, fitted), precision(model, fitted)
    slopes, _ = read(folder, "slopes")
    relative = robust.errors["snr"] / fitted.coefficients["snr"]
    assert relative == pytest.approx(slopes.error[1] / slopes.estimate[1], rel=0.15)
    assert robust.errors["snr"] > 1.5 * plain.errors["snr"]
