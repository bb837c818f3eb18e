import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.optimize import minimize
from scipy.stats import norm, t
from simulated_observers import TRUTH, simulated_answers, simulated_index

import fit_mixed_model
from earwitness.core.errors import InputError
from earwitness.evaluation.response_models import Analysis, analyse, answered, fit_row, mixed_model_tables, response_model
from earwitness.statistics import mixed_models
from earwitness.statistics.clustered import jackknife_variance
from earwitness.statistics.mixed_models import INTERCEPT, MixedModel, RandomEffect, fit, is_separated, laplace_fit, precision, robust_precision
from earwitness.statistics.quadrature import marginal_likelihood
from earwitness.tables.files import read_table, validate, write_table
from earwitness.tables.mixed_models import MIXED_MODEL_EFFECTS, MIXED_MODEL_FITS
from earwitness.tables.predictions import PREDICTIONS
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


def rows_of(index, answers):
    return answered(answers, index, "simulated")


def model_of(n_sources=20, seed=1, deviations=(0.5, 0.8, 0.0), **design):
    index = simulated_index(n_sources, **design)
    return response_model(rows_of(index, simulated_answers(index, deviations=deviations, seed=seed)), "simulated")


def intercepts_alone(model):
    return model.without_random([effect.name for effect in model.random if "_sources_" in effect.name])


def effects_of(model):
    return np.column_stack([effect.by_answer for effect in model.random])


def no_split():
    return pd.DataFrame({name: [] for name in SPLIT.columns})


@pytest.mark.slow
def test_known_sensitivity_criterion_and_slopes_are_recovered():
    """Over several observers: no bias beyond chance, and errors as large as the standard errors say."""
    deviations, errors = [], []
    for seed in range(8):
        model = model_of(30, seed, durations=(80, 200, 1000), snrs=(-10.0, 0.0, 10.0))
        fitted = fit(model)
        deviations.append((fitted.coefficients - pd.Series(TRUTH)).to_numpy() / precision(model, fitted).errors.to_numpy())
        errors.append(fitted.deviations)
    scores = np.array(deviations)
    assert np.abs(scores.mean(axis=0) * np.sqrt(len(scores))).max() < 3.5
    assert 0.7 < scores.std() < 1.3
    assert pd.DataFrame(errors).mean()[["speech_sources", "nonspeech_sources"]].to_list() == pytest.approx([0.5, 0.8], abs=0.12)


def test_swapping_the_labels_swaps_d_prime_and_leaves_the_criterion():
    index = simulated_index(12, durations=(80, 1000), snrs=(-5.0, 10.0))
    rows = rows_of(index, simulated_answers(index))
    swapped = rows.assign(label=rows.label.map({"SPEECH": "NONSPEECH", "NONSPEECH": "SPEECH"}))
    one, other = (fit(response_model(table, "simulated")).coefficients for table in (rows, swapped))
    sign = pd.Series([-1.0 if "label" in term else 1.0 for term in one.index], index=one.index)
    assert (one * sign).to_numpy() == pytest.approx(other.to_numpy(), abs=1e-3)


def test_errors_between_sources_allow_for_unknown_variances():
    """GPBoost's own standard errors take the variances as known; where they are large and few answers tell, that is far off."""
    model = intercepts_alone(model_of(10, seed=5, deviations=(1.5, 1.5, 0.0)))
    fitted = fit(model)
    known = precision(model, fitted).errors
    at, terms = fitted.coefficients, list(model.design.columns)
    groups, _ = pd.factorize(model.random[0].groups)
    likelihood = marginal_likelihood(model.outcome, model.design.to_numpy(), effects_of(model), groups, "probit")

    def profile(label):
        """Twice the drop of the likelihood when d' is held, everything else free."""
        place = terms.index("label")
        free = [k for k in range(len(terms) + len(model.random)) if k != place]
        start = np.concatenate([at.to_numpy(), fitted.deviations])

        def held(values):
            parameters = start.copy()
            parameters[free], parameters[place] = values, label
            value, gradient = likelihood(parameters)
            return value.sum(), gradient.sum(axis=0)[free]

        return 2 * (minimize(held, start[free], jac=True, method="BFGS").fun + fitted.log_likelihood)

    drop = (profile(at.label + known.label) + profile(at.label - known.label)) / 2
    assert drop == pytest.approx(1, abs=0.15)


@settings(max_examples=25)
@given(st.floats(-1.5, 1.5), st.floats(0.05, 5), st.lists(st.booleans(), min_size=1, max_size=12), st.sampled_from(["probit", "logit"]))
def test_quadrature_is_the_integral(mean, deviation, answers, link):
    outcome = np.array(answers, dtype=float)
    ones = np.ones((len(outcome), 1))
    value, _ = marginal_likelihood(outcome, ones, ones, np.zeros(len(outcome), dtype=np.int64), link)(np.array([mean, deviation]))
    share = norm.cdf if link == "probit" else lambda x: 1 / (1 + np.exp(-x))

    def integrand(z):
        p = share(mean + deviation * z)
        return norm.pdf(z) * np.prod(np.where(outcome > 0.5, p, 1 - p))

    exact, _ = integrate.quad(integrand, -12, 12, limit=500, epsabs=0, epsrel=1e-10, points=[-3, -1, 0, 1, 3])
    assert value == pytest.approx(-np.log(exact), abs=2e-3)


def test_the_gradient_is_that_of_the_likelihood():
    model = model_of(5)
    groups, _ = pd.factorize(model.random[0].groups)
    function = marginal_likelihood(model.outcome, model.design.to_numpy(), effects_of(model), groups, "probit")
    at = np.concatenate([np.full(8, 0.3), [0.4, 0.3, 0.2, 0.5, 1.2, 0.5, 0.7, 0.1]])
    numeric = [(function(at + move)[0] - function(at - move)[0]) / 2e-5 for move in 1e-5 * np.eye(16)]
    assert function(at)[1] == pytest.approx(np.array(numeric).T, abs=0.05)


def test_rare_answers_need_quadrature():
    """Sources that differ much and seldom trigger a false alarm: Laplace's approximation invents a larger spread."""
    model = model_of(16, seed=4, deviations=(0.6, 0.9, 0.7), durations=(80, 300, 1000), snrs=(-5.0, 5.0, 15.0))
    exact, approximate = fit(model), laplace_fit(model)
    assert exact.method == "quadrature"
    assert approximate.deviations.nonspeech_sources > 1.5 * exact.deviations.nonspeech_sources
    shift = (approximate.coefficients - exact.coefficients).abs() / precision(model, exact).errors
    assert shift.label > 1


def test_several_clips_of_a_source_get_an_effect_and_lone_clips_do_not():
    lone, several = model_of(8), model_of(8, clips_per_source=2, deviations=(0.3, 0.3, 0.8), durations=(80, 1000), snrs=(-5.0, 10.0))
    slopes = ["", "_logdur", "_snr", "_logdur_snr"]
    assert [effect.name for effect in lone.random] == [kind + slope for kind in ("speech_sources", "nonspeech_sources") for slope in slopes]
    assert [effect.name for effect in several.random] == ["speech_sources", "nonspeech_sources", "clips"], "4 conditions carry no slopes"
    fitted = fit(several)
    assert fitted.method == "laplace"
    assert 0.3 < fitted.deviations.clips < 1.4


def test_sources_with_several_clips_have_slopes_too():
    """Both clips of a source share its slope over SNR, which differs by 1 (standard deviation) between sources, and not over duration."""
    model = model_of(24, clips_per_source=2, deviations=(0.4, 0.4, 0.3), durations=(80, 1000), snrs=(-10.0, -3.0, 3.0, 10.0))
    codes, names = pd.factorize(model.random[0].groups)
    rng, latent = np.random.default_rng(6), model.design.to_numpy() @ pd.Series(TRUTH)[model.design.columns].to_numpy()
    latent += (0.4 * rng.normal(size=len(names)))[codes] + rng.normal(size=len(names))[codes] * model.design["snr"]
    fitted = fit(dataclasses.replace(model, outcome=(rng.normal(size=len(latent)) < latent).astype(float)))
    assert fitted.method == "laplace" and "clips" in fitted.deviations
    assert fitted.deviations[["speech_sources_snr", "nonspeech_sources_snr"]].mean() == pytest.approx(1, abs=0.35)
    assert fitted.deviations[["speech_sources_logdur", "nonspeech_sources_logdur"]].mean() < 0.5


@pytest.mark.slow
def test_sources_that_do_not_differ_make_a_singular_fit_with_usable_errors():
    model = model_of(20, seed=7, deviations=(0.0, 0.8, 0.0))
    fitted = fit(model)
    assert fitted.deviations.speech_sources < 0.01 < fitted.deviations.nonspeech_sources
    assert fitted.singular
    assert analyse(model).status == "ok"
    assert precision(model, fitted).errors.between(0.01, 1).all()


@pytest.mark.slow
def test_a_real_interaction_is_found_and_an_absent_one_is_not_invented():
    index = simulated_index(30)
    strong = simulated_answers(index, TRUTH | {"label:logdur:snr": -1.5}, system="strong")
    absent = simulated_answers(index, TRUTH | {"label:logdur:snr": 0.0}, system="absent")
    effects, _ = mixed_model_tables(pd.concat([strong, absent]), index, no_split(), 0.95)
    tests = effects[effects.term == "label:logdur:snr"].set_index("system_id")
    assert tests.p_holm["strong"] < 1e-4
    assert tests.p_wald["absent"] > 0.05


def test_the_family_of_holms_method_is_the_label_terms_of_one_fit():
    index = simulated_index(12)
    effects, _ = mixed_model_tables(simulated_answers(index), index, no_split(), 0.95)
    family = effects[effects.term.str.startswith("label")]
    assert len(family) == 4
    assert family.p_holm.min() == pytest.approx(4 * family.p_wald.min())
    assert effects[~effects.term.str.startswith("label")].p_holm.isna().all()
    assert (effects.p_holm.dropna() >= family.p_wald).all()


def test_what_the_optimiser_says_of_itself_does_not_lose_a_fit(monkeypatch):
    """A maximum is a maximum, whether or not the line search gave up in rounding."""
    index = simulated_index(12, durations=(80, 1000), snrs=(-5.0, 10.0))
    model = response_model(rows_of(index, simulated_answers(index)), "simulated")
    monkeypatch.setattr("earwitness.evaluation.response_models.fit", lambda *given: dataclasses.replace(fit(*given), converged=False))
    assert analyse(model).status == "ok"


def with_slopes(n_sources, slopes, seed):
    """One observer's model, whose sources have slopes of their own over duration and SNR."""
    model = model_of(n_sources, seed)
    rng = np.random.default_rng(seed)
    codes, names = pd.factorize(model.random[0].groups)
    own = rng.normal(0, slopes, (2, len(names)))[:, codes]
    label = model.design["label"]
    latent = (
        model.design.to_numpy() @ pd.Series(TRUTH)[model.design.columns].to_numpy()
        + np.where(label > 0, 0.5, 0.8) * rng.normal(size=len(names))[codes]
    )
    latent += own[0] * model.design["logdur"] + own[1] * model.design["snr"]
    return dataclasses.replace(model, outcome=(rng.normal(size=len(latent)) < latent).astype(float))


def without_source(model, source):
    keep = model.random[0].groups != source
    random = tuple(dataclasses.replace(r, groups=r.groups[keep], along=r.along[keep]) for r in model.random)
    return dataclasses.replace(model, outcome=model.outcome[keep], design=model.design[keep], random=random)


def test_errors_over_sources_are_those_of_refits_without_each_source():
    model = intercepts_alone(with_slopes(9, 0.5, seed=2))
    fitted = fit(model)
    robust = robust_precision(model, fitted)
    groups = model.random[0].groups
    variance = 0.0
    for member in (r.along != 0 for r in model.random):
        refits = np.array([fit(without_source(model, source), fitted).coefficients for source in np.unique(groups[member])])
        variance += 8 / 9 * ((refits - refits.mean(axis=0)) ** 2).sum(axis=0)
    assert robust.errors.to_numpy() == pytest.approx(np.sqrt(variance), rel=0.13)
    assert robust.df.between(8, 16).all()


def test_errors_in_use_are_never_below_the_models_own():
    model = with_slopes(10, 0.3, seed=5)
    fitted = fit(model)
    jackknife, own = robust_precision(model, fitted), precision(model, fitted).errors
    assert (own > jackknife.errors).any()
    in_use = analyse(model).robust
    assert in_use.errors.to_numpy() == pytest.approx(np.maximum(own, jackknife.errors))
    assert np.sqrt(jackknife_variance(in_use.shifts)[0]) == pytest.approx(in_use.errors.to_numpy())
    assert jackknife.at_least(jackknife.errors / 2).errors.to_numpy() == pytest.approx(jackknife.errors.to_numpy())


@pytest.mark.slow
def test_slopes_of_the_sources_own_are_found_and_move_estimates_away_from_0():
    """Without them, what differs between sources looks like noise that is larger where predictors are, and effects shrink."""
    model = with_slopes(40, 1.0, seed=3)
    plain = intercepts_alone(model)
    fitted, without = fit(model), fit(plain)
    found = fitted.deviations[["speech_sources_logdur", "speech_sources_snr", "nonspeech_sources_logdur", "nonspeech_sources_snr"]]
    assert found.mean() == pytest.approx(1.0, abs=0.25)
    assert fitted.coefficients["label:snr"] > without.coefficients["label:snr"] + 0.1
    robust, own = robust_precision(model, fitted).errors, precision(model, fitted).errors
    assert (robust / own).between(0.7, 1.4).all(), "where the model is right, both errors tell the same"
    too_small = robust_precision(plain, without).errors / precision(plain, without).errors
    assert too_small["label:snr"] > 1.6, "errors over sources hold where the model lacks the slopes"


def test_slopes_without_a_maximum_are_left_out_and_named(monkeypatch):
    index = simulated_index(10, durations=(80, 300, 1000), snrs=(-10.0, 0.0, 10.0))
    rows = rows_of(index, simulated_answers(index))
    model = response_model(rows, "simulated")
    known = mixed_models.precision

    def without_maximum(model, fitted):
        found = known(model, fitted)
        return dataclasses.replace(found, largest_step=np.inf) if "speech_sources_logdur_snr" in fitted.deviations else found

    monkeypatch.setattr("earwitness.evaluation.response_models.precision", without_maximum)
    analysis = analyse(model)
    assert analysis.status == "ok" and analysis.left_out == ("speech_sources_logdur_snr", "nonspeech_sources_logdur_snr")
    assert (
        "with differences between speech sources by duration and SNR, other sources by duration and SNR the likelihood has no proper maximum"
        in fit_row(analysis, rows)["note"]
    )


@pytest.mark.slow
def test_a_fit_at_its_maximum_counts_as_converged_whatever_the_observer():
    """Among such observers, L-BFGS gives up in its line search now and then."""
    index = simulated_index(36, durations=(20, 40, 80, 160, 320, 640, 1000), snrs=(np.nan,))
    spreads = [(0.3, 0.6, 0.0), (1.0, 2.0, 0.0), (1.5, 2.3, 0.0)]
    answers = [simulated_answers(index, system=f"s{k + 3}", seed=k + 3, deviations=spread) for k, spread in enumerate(spreads)]
    _, fits = mixed_model_tables(pd.concat(answers), index, no_split(), 0.95)
    assert fits.status.to_list() == ["ok"] * 3
    assert fits.largest_step.max() < 0.05


def test_r2_grows_with_what_the_model_knows_and_names_both_null_models():
    index = simulated_index(15)
    _, fits = mixed_model_tables(simulated_answers(index), index, no_split(), 0.95)
    row = fits.iloc[0]
    assert 0 < row.r2_marginal < row.r2_conditional < 1
    assert row.log_likelihood_constant < row.log_likelihood_constant_mixed < row.log_likelihood
    assert row.mcfadden_against_constant == pytest.approx(1 - row.log_likelihood / row.log_likelihood_constant)
    assert row.mcfadden_against_constant_mixed == pytest.approx(1 - row.log_likelihood / row.log_likelihood_constant_mixed)
    assert row.status == "ok"
    assert row.largest_step < 0.05


@pytest.mark.parametrize("answer", ["right", "always SPEECH", "right on speech"])
def test_perfect_prediction_gives_a_status_and_no_numbers(answer):
    index = simulated_index(8)
    answers = simulated_answers(index)
    perfect = {
        "right": index.label,
        "always SPEECH": pd.Series("SPEECH", index=index.index),
        "right on speech": answers.answer.where(index.label == "NONSPEECH", "SPEECH"),
    }
    effects, fits = mixed_model_tables(answers.assign(answer=perfect[answer]), index, no_split(), 0.95)
    assert fits.status.to_list() == ["separated"]
    assert validate(fits, MIXED_MODEL_FITS).log_likelihood.isna().all()
    assert effects[["estimate", "standard_error", "low", "high", "z", "p_wald", "p_holm"]].isna().all(axis=None)


@pytest.mark.slow
def test_sources_that_are_answered_all_alike_do_not_count_as_estimates():
    """Every source gets one answer whatever the condition: its variance has no finite maximum."""
    index = simulated_index(8)
    half = index.source_id.str[-1].astype(int) % 2 == 0
    effects, fits = mixed_model_tables(simulated_answers(index).assign(answer=np.where(half, "SPEECH", "NONSPEECH")), index, no_split(), 0.95)
    assert fits.status[0] in ("separated", "not_converged")
    assert effects.estimate.isna().all()


@given(st.lists(st.tuples(st.floats(-2, 2), st.booleans()), min_size=4, max_size=30))
def test_separation_is_when_a_threshold_divides_the_answers(points):
    values, answers = np.array([value for value, _ in points]), np.array([said for _, said in points], dtype=float)
    values = np.round(values, 1)
    assume(len(set(values)) > 1)
    model = MixedModel(answers, pd.DataFrame({INTERCEPT: 1.0, "x": values}), (RandomEffect("g", np.arange(len(points))),))
    yes, no = values[answers > 0.5], values[answers < 0.5]
    divided = not len(yes) or not len(no) or yes.min() >= no.max() or no.min() >= yes.max()
    assert is_separated(model) == divided


def test_clean_stimuli_have_a_model_of_their_own_without_snr():
    noisy = simulated_index(8)
    clean = simulated_index(8, durations=(20, 80, 300, 1000), snrs=(np.nan,))
    index = pd.concat([noisy, clean], ignore_index=True)
    effects, fits = mixed_model_tables(simulated_answers(index), index, no_split(), 0.95)
    assert fits.stimuli.to_list() == ["noisy", "clean"]
    terms = effects.groupby("stimuli").term.apply(list)
    assert terms["clean"] == ["intercept", "logdur", "label", "label:logdur"]
    assert len(terms["noisy"]) == 8
    assert "snr" not in fits.formula[1]
    assert effects.set_index(["stimuli", "term"]).meaning["clean", "label"] == "d', at 100 ms"
    assert fits.n_answers.to_list() == [len(noisy), len(clean)]


def test_every_seed_is_a_fit_and_only_sources_that_nothing_learned_from_count():
    index = simulated_index(9, durations=(80, 1000), snrs=(-5.0, 10.0))
    answers = pd.concat([simulated_answers(index, seed=k, system="x-grouped").assign(seed=k) for k in (3, 5)])
    last = index.source_id.str[-1]
    split = index.assign(part=np.select([last == "0", last == "1"], ["dev", "train"], "test"))
    unheard = answers[answers.stimulus_id.isin(split.stimulus_id[split.part != "train"])]
    _, fits = mixed_model_tables(unheard, index, split, 0.95)
    assert fits.seed.to_list() == ["3", "5", "all"]
    assert (fits.n_speech_sources == 7).all()
    assert (fits.reliability == "few_sources").all()


@pytest.mark.slow
def test_one_verdict_over_seeds_holds_for_new_sources_and_new_seeds():
    """The same answers twice tell no more than once; seeds that differ add their own uncertainty."""
    index = simulated_index(9, durations=(80, 300), snrs=(-10.0, -5.0, 0.0, 5.0))

    def effects(*answers):
        seeds = [rows.assign(seed=pd.array([k] * len(rows), dtype="Int64")) for k, rows in enumerate(answers)]
        return mixed_model_tables(pd.concat(seeds), index, no_split(), 0.95)[0].set_index(["seed", "term"])

    once = simulated_answers(index, seed=1, system="x-grouped")
    same = effects(once, once)
    for column in ("estimate", "standard_error", "df", "p_wald"):
        assert same[column]["all"].to_numpy() == pytest.approx(same[column]["0"].to_numpy()), column
    reversed_ = simulated_answers(index, TRUTH | {"label": -0.6}, seed=1, system="x-grouped")
    apart = effects(once, reversed_)
    both = np.array([apart.estimate[seed, "label"] for seed in "01"])
    assert apart.estimate["all", "label"] == pytest.approx(both.mean())
    assert apart.standard_error["all", "label"] >= np.std(both, ddof=1) / np.sqrt(2)
    assert apart.df["all", "label"] < 3, "two seeds tell little of how seeds differ"


def test_few_sources_are_described_without_p_values():
    index = simulated_index(4)
    effects, fits = mixed_model_tables(simulated_answers(index), index, no_split(), 0.95)
    assert fits.reliability[0] == "descriptive_only"
    assert "fewer than 6 sources" in fits.note[0]
    assert effects.estimate.notna().all()
    assert effects[["p_wald", "p_holm"]].isna().all(axis=None)


def test_one_snr_leaves_snr_out_and_says_so():
    index = simulated_index(8, snrs=(5.0,))
    effects, fits = mixed_model_tables(simulated_answers(index), index, no_split(), 0.95)
    assert effects.term.to_list() == ["intercept", "logdur", "label", "label:logdur"]
    assert "one SNR only" in fits.note[0]


def test_without_gpboost_quadrature_fits_what_it_can_and_the_rest_is_said(monkeypatch):
    index = simulated_index(8)
    answers = simulated_answers(index)
    effects, _ = mixed_model_tables(answers, index, no_split(), 0.95)
    monkeypatch.setattr(mixed_models, "_has_gpboost", lambda: False)
    alone, fits = mixed_model_tables(answers, index, no_split(), 0.95)
    assert (fits.status[0], fits.method[0]) == ("ok", "quadrature")
    np.testing.assert_allclose(alone.estimate, effects.estimate, atol=1e-3)
    np.testing.assert_allclose(alone.standard_error, effects.standard_error, rtol=0.01)

    several = index.assign(clip_id=[f"{source}-{number % 2}" for number, source in enumerate(index.source_id)])
    effects, fits = mixed_model_tables(answers, several, no_split(), 0.95)
    assert fits.status.to_list() == ["not_available"] and "needs the package gpboost" in validate(fits, MIXED_MODEL_FITS).note[0]
    assert effects.estimate.isna().all()


def test_a_model_that_fails_its_checks_prints_no_estimate():
    index = simulated_index(8, durations=(80, 1000), snrs=(-5.0, 10.0))
    rows = rows_of(index, simulated_answers(index))
    good = analyse(response_model(rows, "simulated"))
    row = fit_row(Analysis(good.model, "not_converged", good.fitted, good.known, good.null), rows)
    assert np.isnan(row["log_likelihood"])
    assert np.isnan(row["r2_marginal"])


def test_a_single_source_is_told_as_such_and_ends_nothing():
    index = simulated_index(8, durations=(80, 1000), snrs=(-5.0, 10.0))
    index = index[(index.label == "SPEECH") | (index.source_id == "NONSPEECH0")]
    effects, fits = mixed_model_tables(simulated_answers(index), index, no_split(), 0.95)
    assert validate(fits, MIXED_MODEL_FITS).status.to_list() == ["single_source"] and fits.reliability[0] == "descriptive_only"
    assert effects.estimate.isna().all()


def confounded(index):
    return index[(index.duration_ms == 80) == (index.snr_db < 0)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: index[index.label == "SPEECH"], "system simulated.*class NONSPEECH has no stimulus"),
        (lambda index: index.assign(source_id=index.source_id.str[-1]), "source 0 is in both classes"),
        (confounded, "duration and SNR do not vary independently"),
        (lambda index: index.assign(axis="band"), "no stimulus of the axes duration_x_snr or duration"),
    ],
)
def test_what_cannot_carry_a_model_is_said_in_one_line(change, message):
    index = change(simulated_index(8, durations=(80, 1000), snrs=(-5.0, 10.0)))
    with pytest.raises(InputError, match=message) as caught:
        mixed_model_tables(simulated_answers(index), index, no_split(), 0.95)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [(lambda answers: answers[:-3], "3 answers are missing"), (lambda answers: pd.concat([answers, answers[:2]]), "2 answers are repeated")],
)
def test_answers_that_do_not_fit_the_stimuli_are_refused(change, message):
    index = simulated_index(8)
    with pytest.raises(InputError, match=message):
        mixed_model_tables(change(simulated_answers(index)), index, no_split(), 0.95)


def test_the_program_writes_both_tables(tmp_path, monkeypatch):
    index = simulated_index(10, durations=(80, 300, 1000), snrs=(-10.0, 0.0, 10.0))
    answers = simulated_answers(index)
    filled = index.assign(
        recording_id="r", category="c", noise_id="n", design="factorial", band="clean", room="none", normalisation="rms",
        achieved_snr_db=index.snr_db, achieved_level_dbfs=-25.0, segment_start_s=0.0, segment_end_s=1.0,
    )  # fmt: skip
    write_table(tmp_path / "index.parquet", filled, STIMULI)
    write_table(tmp_path / "predictions.parquet", answers, PREDICTIONS)
    write_table(tmp_path / "split.csv", index.assign(part="test"), SPLIT)
    arguments = ["predictions.parquet", "--index", "index.parquet", "--split", "split.csv", "--effects", "effects.csv", "--fits", "fits.csv"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["fit_mixed_model.py", *arguments, "--confidence", "0.9"])
    fit_mixed_model.main()
    effects, fits = read_table(tmp_path / "effects.csv", MIXED_MODEL_EFFECTS), read_table(tmp_path / "fits.csv", MIXED_MODEL_FITS)
    assert len(effects) == 8
    assert (effects.high - effects.low).to_numpy() == pytest.approx(2 * t.ppf(0.95, effects.df) * effects.standard_error.to_numpy())
    assert fits.seed.to_list() == ["-"]
    assert fits.formula[0].endswith("(0 + is_nonspeech + is_nonspeech:logdur + is_nonspeech:snr + is_nonspeech:logdur:snr || source)")
