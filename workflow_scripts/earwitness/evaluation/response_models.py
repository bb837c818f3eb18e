"""What moves a system's answers: its sensitivity and its bias, by duration and signal-to-noise ratio.

The model is of the response, P(says SPEECH) on the probit scale, with the label coded as +0.5 and -0.5. Terms with the label are then d' and
its changes; the other terms are minus the criterion and its changes (DeCarlo 1998). Duration enters as
log10(duration / 100 ms), SNR as SNR / 10 dB. Sources are random, in their intercepts and in their slopes over duration, SNR and both, and of two
kinds: speech sources and other sources have variances of their own. Every seed of a system is fitted on its own, because seeds answer the same
stimuli and so are not independent; a random effect of the stimulus would allow for that, but would change the scale of d'. The verdict over
seeds is of the mean of their effects, with sources and seeds crossed.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from earwitness.core.errors import InputError
from earwitness.core.progress import Progress
from earwitness.evaluation.scored_answers import ALL_SEEDS, NOT_TRAINED
from earwitness.statistics.clustered import MIN_SOURCES_FOR_TESTS, reliability
from earwitness.statistics.distributions import t_quantile, t_tail
from earwitness.statistics.mixed_models import (
    INTERCEPT,
    LARGEST_STEP,
    SINGULAR_DEVIATION,
    Fit,
    MixedModel,
    Precision,
    RandomEffect,
    RobustPrecision,
    can_be_fitted,
    constant_log_likelihood,
    fit,
    is_separated,
    latent_r2,
    mcfadden,
    mean_over_seeds,
    precision,
    robust_precision,
    runs_off,
)
from earwitness.statistics.multiple_tests import holm
from earwitness.tables.columns import LABELS
from earwitness.tables.mixed_models import MIXED_MODEL_EFFECTS, MIXED_MODEL_FITS
from earwitness.tables.predictions import by_seed

LABEL, LOG_DURATION, SNR = "label", "logdur", "snr"

AXES = {"noisy": "duration_x_snr", "clean": "duration"}
"""Set of stimuli: the design axis it is taken from. Stimuli without noise have no SNR, so the sets have models of their own."""

SPEECH_SOURCES, NONSPEECH_SOURCES, CLIPS = "speech_sources", "nonspeech_sources", "clips"

CONDITIONS_PER_EFFECT = 2
"""A source has at most one effect of its own for so many conditions that it was heard in."""

ROUGH_DEVIATION = 2.0
"""With a larger standard deviation of a random effect, the Laplace approximation can be wrong by several standard errors."""

NEEDS_GPBOOST = "needs the package gpboost, not installed here"

_REFERENCE = {LOG_DURATION: "100 ms", SNR: "0 dB"}
_UNIT = {LOG_DURATION: "per tenfold duration", SNR: "per 10 dB"}


@dataclass(frozen=True)
class Analysis:
    """A fitted model of one system's answers to one set of stimuli.

    status: "ok"; "separated", where some combination of the effects predicts answers perfectly and estimates are infinite;
    "not_converged"; "not_available", where gpboost is needed and not installed; "single_source", where a class has one, so that sources have no
    variance. known, robust and null are None unless "ok";
    robust is None too where a source has several clips. model: with as many random slopes as the data carry (`analyse`).
    left_out: random effects without which the likelihood had a maximum.
    """

    model: MixedModel
    status: str
    fitted: Fit | None
    known: Precision | None
    null: Fit | None
    robust: RobustPrecision | None = None
    left_out: tuple[str, ...] = ()


def mixed_model_tables(predictions: pd.DataFrame, index: pd.DataFrame, split: pd.DataFrame, confidence: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """earwitness.tables.mixed_models.MIXED_MODEL_EFFECTS and MIXED_MODEL_FITS: every system and seed on the noisy and on the clean stimuli.

    predictions: PREDICTIONS of all systems. index: STIMULI; the axes "duration_x_snr" (with an SNR) and "duration" (without)
    are used. split: SPLIT; left out are the sources of its parts train and dev. confidence: of the intervals.
    Raises InputError where there is no such stimulus, or where a set cannot carry a model (see `response_model`).
    """
    stimuli = index[~index.source_id.isin(split.source_id[split.part != "test"])]
    systems = by_seed(predictions)
    effects, fits = [], []
    for name, axis in AXES.items():
        chosen = stimuli[(stimuli.axis == axis) & (stimuli.snr_db.notna() if name == "noisy" else stimuli.snr_db.isna())]
        by_seeds: dict[str, list[tuple[Analysis, pd.DataFrame]]] = {}
        for system, answers in Progress(systems if len(chosen) else (), desc=f"fitting models of {name} stimuli", unit="systems"):
            where = f"system {system}, {name} stimuli"
            together = str(system.of_all_seeds())
            identity = {"system_id": together, "seed": NOT_TRAINED if system.seed is None else str(system.seed), "stimuli": name}
            rows = answered(answers, chosen, where)
            analysis = analyse(response_model(rows, where))
            effects.append(effect_rows(analysis, confidence, fewest_sources(rows) >= MIN_SOURCES_FOR_TESTS).assign(**identity))
            fits.append(identity | fit_row(analysis, rows))
            by_seeds.setdefault(together, []).append((analysis, rows))
        for together, seeds in by_seeds.items():
            if len(seeds) > 1:
                identity = {"system_id": together, "seed": ALL_SEEDS, "stimuli": name}
                pooled_effects, pooled_fit = pooled(seeds, confidence)
                effects.append(pooled_effects.assign(**identity))
                fits.append(identity | pooled_fit)
    if not fits:
        raise InputError("no stimulus of the axes duration_x_snr or duration of a source outside train and dev; check the index and the split")
    return pd.concat(effects, ignore_index=True)[list(MIXED_MODEL_EFFECTS.columns)], pd.DataFrame(fits)[list(MIXED_MODEL_FITS.columns)]


def answered(answers: pd.DataFrame, stimuli: pd.DataFrame, where: str) -> pd.DataFrame:
    """One row per stimulus: its clip, source, label, duration and SNR, and `said_speech`, 0 or 1.

    answers: PREDICTIONS of one system and seed; answers to other stimuli are ignored. where: what they are, for messages.
    Raises InputError where an answer is missing or repeated.
    """
    columns = ["stimulus_id", "clip_id", "source_id", "label", "duration_ms", "snr_db"]
    rows = stimuli[columns].merge(answers[["stimulus_id", "answer"]], on="stimulus_id")
    repeated = int(rows.stimulus_id.duplicated().sum())
    missing = len(stimuli) - len(rows) + repeated
    if repeated or missing:
        problem = f"{repeated} answers are repeated" if repeated else f"{missing} answers are missing"
        raise InputError(f"{where}: {problem}; remake the predictions from the present stimuli")
    return rows.assign(said_speech=(rows.answer == LABELS[0]).astype(float))


def response_model(rows: pd.DataFrame, where: str) -> MixedModel:
    """label x log duration x SNR with random sources, and random clips where a source has several.

    rows: columns source_id, clip_id, label, duration_ms, snr_db, said_speech. A predictor that takes one value only,
    or is empty, is left out with its interactions. Every source has an intercept and slopes of its own over the predictors and their
    interaction, without correlation; the slope over the interaction is left out, and then all slopes, where sources were heard in too few
    conditions (median over sources; `CONDITIONS_PER_EFFECT`). where: what the rows are, for messages.
    Raises InputError where a class is missing, where a source is in both classes, or where
    duration and SNR do not vary independently.
    """
    sources = rows.groupby("label").source_id.unique()
    for name in LABELS:
        if not len(sources.get(name, ())):
            raise InputError(f"{where}: class {name} has no stimulus; a mixed model needs sources in each class: add recordings")
    if shared := sorted(set(sources[LABELS[0]]) & set(sources[LABELS[1]])):
        raise InputError(f"{where}: source {shared[0]} is in both classes; give every source one label")

    label = np.where(rows.label == LABELS[0], 0.5, -0.5)
    predictors = {LOG_DURATION: np.log10(rows.duration_ms.to_numpy(dtype=float) / 100), SNR: rows.snr_db.to_numpy(dtype=float) / 10}
    varying = {name: values for name, values in predictors.items() if np.ptp(values) > 0}
    condition = {INTERCEPT: np.ones(len(rows))}
    for size in range(1, len(varying) + 1):
        for names in itertools.combinations(varying, size):
            condition[":".join(names)] = np.prod([varying[name] for name in names], axis=0)
    columns = condition | {_with_label(name): values * label for name, values in condition.items()}
    design = pd.DataFrame(columns)
    if np.linalg.matrix_rank(design.to_numpy()) < design.shape[1]:
        raise InputError(f"{where}: duration and SNR do not vary independently in each class; cross the durations with the SNRs")

    groups = rows.source_id.to_numpy()
    heard = rows.groupby("source_id")[["duration_ms", "snr_db"]].apply(lambda of_source: len(of_source.drop_duplicates())).median()
    own = max((terms for terms in _own_terms(list(condition)) if CONDITIONS_PER_EFFECT * len(terms) <= heard), key=len, default=[INTERCEPT])
    random = [
        RandomEffect(_of_sources(name, term), groups, np.asarray(condition[term] * member, dtype=float))
        for name, member in ((SPEECH_SOURCES, label > 0), (NONSPEECH_SOURCES, label < 0))
        for term in own
    ]
    if rows.clip_id.nunique() > rows.source_id.nunique():
        random.append(RandomEffect(CLIPS, rows.clip_id.to_numpy()))
    return MixedModel(rows.said_speech.to_numpy(dtype=float), design, tuple(random))


def _own_terms(condition: list[str]) -> Iterator[list[str]]:
    """What sources may differ in, from all terms of the condition to the intercept alone."""
    for interactions in (2, 1, 0):
        yield [term for term in condition if term == INTERCEPT or len(term.split(":")) <= interactions]


def _of_sources(name: str, term: str) -> str:
    return name if term == INTERCEPT else f"{name}_{term.replace(':', '_')}"


def _with_fewer_slopes(model: MixedModel) -> Iterator[MixedModel]:
    """The model, and those without the sources' slopes over the interaction, and without any slopes."""
    yield model
    names = [effect.name for effect in model.random]
    kinds = (SPEECH_SOURCES, NONSPEECH_SOURCES)
    both = [_of_sources(kind, f"{LOG_DURATION}:{SNR}") for kind in kinds]
    slopes = [name for name in names if name not in (*kinds, CLIPS)]
    for left_out in (both, slopes):
        if set(left_out) & set(names):
            yield model.without_random(left_out)


def _with_label(term: str) -> str:
    return LABEL if term == INTERCEPT else f"{LABEL}:{term}"


def label_terms(model: MixedModel) -> list[str]:
    """The declared family of tests: d' and everything that changes it."""
    return [term for term in model.design.columns if term.split(":")[0] == LABEL]


def analyse(model: MixedModel) -> Analysis:
    """Fit, standard errors, and the intercept-only mixed model.

    "not_converged": a Newton step of more than 0.05 standard errors is left. The optimiser's own verdict does not count: near the maximum its line
    search can fail for rounding alone. Where no proper maximum is found, the sources' slopes over the interaction are left out, and then all slopes.
    """
    if min(len(np.unique(effect.groups[effect.by_answer != 0])) for effect in model.random) < 2:
        return Analysis(model, "single_source", None, None, None)
    if is_separated(model):
        return Analysis(model, "separated", None, None, None)
    if not can_be_fitted(model):
        return Analysis(model, "not_available", None, None, None)
    for smaller in _with_fewer_slopes(model):
        fitted = fit(smaller)
        known = precision(smaller, fitted)
        if not runs_off(fitted, known) and known.largest_step < LARGEST_STEP:
            break
    if runs_off(fitted, known):
        return Analysis(model, "separated", fitted, known, None)
    left_out = tuple(effect.name for effect in model.random if effect.name not in fitted.deviations)
    model = smaller
    converged = known.largest_step < LARGEST_STEP
    robust = robust_precision(model, fitted) if converged else None
    enough = robust.at_least(known.errors) if robust is not None else None
    return Analysis(model, "ok" if converged else "not_converged", fitted, known, fit(model.intercept_only(), fitted), enough, left_out)


def effect_rows(analysis: Analysis, confidence: float, testable: bool) -> pd.DataFrame:
    """One row per fixed effect: MIXED_MODEL_EFFECTS without what names the fit; empty estimates unless the status is "ok".

    Standard errors come from leaving out sources (`robust_precision`) or are the model's own where these are larger, with t. Where a source has
    several clips, they are the model's own, with the normal distribution. testable: whether there are enough sources for p-values.
    Holm's method runs over the label terms' p_wald.
    """
    terms = list(analysis.model.design.columns)
    predictors = [name for name in _REFERENCE if name in terms]
    table = pd.DataFrame({"term": terms, "meaning": [meaning(term, predictors) for term in terms]})
    table[["estimate", "standard_error", "low", "high", "df", "z", "p_wald", "p_holm"]] = math.nan
    if analysis.status != "ok" or analysis.fitted is None or analysis.known is None:
        return table
    robust = analysis.robust
    errors, df = (analysis.known.errors, math.inf) if robust is None else (robust.errors, robust.df)
    table = _with_estimates(table.set_index("term"), analysis.fitted.coefficients, errors, df, confidence)
    if testable:
        _test(table, label_terms(analysis.model))
    return table.reset_index()


def pooled(seeds: Sequence[tuple[Analysis, pd.DataFrame]], confidence: float) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The one verdict over a system's training seeds: the mean of their effects, whose errors hold for new sources and new seeds
    (`mean_over_seeds`), as `effect_rows` and `fit_row` have them; no estimates where a seed has none.

    seeds: the analysis of each seed and its rows, all of the same stimuli.
    """
    analyses = [analysis for analysis, _ in seeds]
    first, rows = seeds[0]
    failed = next((analysis.status for analysis in analyses if analysis.status != "ok"), None)
    robust = [analysis.robust for analysis in analyses if analysis.robust is not None]
    blank = replace(first, status=failed or "not_pooled", fitted=None, known=None, null=None, robust=None)
    table, row = effect_rows(blank, confidence, False), fit_row(blank, rows)
    row |= {"n_answers": sum(len(of_seed) for _, of_seed in seeds), "note": f"mean over {len(seeds)} seeds"}
    if failed or len(robust) < len(seeds):
        return table, row
    mean, known = mean_over_seeds([analysis.fitted for analysis in analyses if analysis.fitted is not None], robust)
    table = _with_estimates(table.set_index("term"), mean, known.errors, known.df, confidence)
    if fewest_sources(rows) >= MIN_SOURCES_FOR_TESTS:
        _test(table, label_terms(first.model))
    return table.reset_index(), row | {"status": "ok", "method": first.fitted.method if first.fitted else "-"}


def _with_estimates(table: pd.DataFrame, estimate: pd.Series, errors: pd.Series, df: pd.Series | float, confidence: float) -> pd.DataFrame:
    """The table, by term, with estimates, their errors, intervals and z."""
    table["estimate"], table["standard_error"], table["df"] = estimate, errors, df
    half = t_quantile((1 + confidence) / 2, table.df) * table.standard_error
    table["low"], table["high"] = table.estimate - half, table.estimate + half
    table["z"] = table.estimate / table.standard_error
    return table


def _test(table: pd.DataFrame, family: list[str]) -> None:
    """Fill in p_wald of all terms, and p_holm over the family."""
    table["p_wald"] = 2 * t_tail(table.z.abs(), table.df)
    table.loc[family, "p_holm"] = holm(table.p_wald[family])


def meaning(term: str, predictors: list[str]) -> str:
    """What a coefficient means, in words. predictors: those in the model; each is at its reference value unless it is in the term."""
    parts = [part for part in term.split(":") if part not in (LABEL, INTERCEPT)]
    quantity = "d'" if term.split(":")[0] == LABEL else "minus the criterion (positive leans towards SPEECH)"
    places = " and ".join(_REFERENCE[name] for name in predictors if name not in parts)
    if len(parts) == 2:
        return f"change {_UNIT[parts[1]]} of the change {_UNIT[parts[0]]} of {quantity}"
    text = f"change {_UNIT[parts[0]]} of {quantity}" if parts else quantity
    return f"{text}, at {places}" if places else text


def fit_row(analysis: Analysis, rows: pd.DataFrame) -> dict[str, Any]:
    """The row of MIXED_MODEL_FITS without what names the fit; empty numbers unless the status is "ok"."""
    model = analysis.model
    counts = rows.groupby("label").source_id.nunique()
    row: dict[str, Any] = {name: math.nan for name, column in MIXED_MODEL_FITS.columns.items() if column.nullable}
    row |= {
        "formula": formula(model),
        "status": analysis.status,
        "method": analysis.fitted.method if analysis.fitted else "-",
        "note": "; ".join(notes(rows, analysis) + [NEEDS_GPBOOST] * (analysis.status == "not_available")) or "-",
        "n_answers": len(rows),
        "n_clips": rows.clip_id.nunique(),
        "n_speech_sources": counts[LABELS[0]],
        "n_nonspeech_sources": counts[LABELS[1]],
        "reliability": reliability(fewest_sources(rows)),
        "singular": None,
    }
    if analysis.known is not None:
        row["largest_step"] = analysis.known.largest_step if math.isfinite(analysis.known.largest_step) else math.nan
    if analysis.status != "ok" or analysis.fitted is None or analysis.null is None:
        return row
    fitted, constant = analysis.fitted, constant_log_likelihood(model.outcome)
    row |= {f"sd_{name}": deviation for name, deviation in fitted.deviations.items()}
    row["singular"] = fitted.singular
    row["log_likelihood"] = fitted.log_likelihood
    row["log_likelihood_constant"] = constant
    row["log_likelihood_constant_mixed"] = analysis.null.log_likelihood
    row["mcfadden_against_constant"] = mcfadden(fitted, constant)
    if analysis.null.converged:
        row["mcfadden_against_constant_mixed"] = mcfadden(fitted, analysis.null.log_likelihood)
    row["r2_marginal"], row["r2_conditional"] = latent_r2(model, fitted)
    return row


def formula(model: MixedModel) -> str:
    """The model in lme4's notation."""
    crossed = " * ".join(name for name in (LABEL, LOG_DURATION, SNR) if name in model.design)
    names = [effect.name for effect in model.random]
    random = []
    for kind, member in ((SPEECH_SOURCES, "is_speech"), (NONSPEECH_SOURCES, "is_nonspeech")):
        own = [term for term in (LOG_DURATION, SNR, f"{LOG_DURATION}:{SNR}") if _of_sources(kind, term) in names]
        random.append(f"(0 + {' + '.join([member, *(f'{member}:{term}' for term in own)])} {'||' if own else '|'} source)")
    return f"said_speech ~ {crossed} + " + " + ".join(random + ["(1 | clip)"] * (CLIPS in names))


def notes(rows: pd.DataFrame, analysis: Analysis) -> list[str]:
    """What the model leaves out, and what its numbers do not support."""
    found, fitted = [], analysis.fitted
    if rows.clip_id.nunique() <= rows.source_id.nunique():
        found.append("one clip per source, so no clip effect")
    else:
        found.append("several clips per source, so standard errors take sources to differ as the model says")
    if np.ptp(rows.duration_ms) == 0:
        found.append("one duration only")
    if np.ptp(rows.snr_db) == 0:
        found.append("one SNR only")
    if fewest_sources(rows) < MIN_SOURCES_FOR_TESTS:
        found.append(f"fewer than {MIN_SOURCES_FOR_TESTS} sources in a class, so no p-values")
    if analysis.left_out:
        found.append(f"with differences between {_in_words(analysis.left_out)} the likelihood has no proper maximum, so without")
    if fitted is not None and analysis.status == "ok":
        if fitted.singular:
            found.append(f"no differences found between {_in_words(fitted.deviations.index[fitted.deviations < SINGULAR_DEVIATION])}")
        if fitted.method == "laplace" and fitted.deviations.max() > ROUGH_DEVIATION:
            found.append(f"a standard deviation above {ROUGH_DEVIATION:g}, where the Laplace approximation is rough")
    return found


def _in_words(random: Iterable[str]) -> str:
    """Names of random effects, as in "speech sources by SNR"."""
    words = {LOG_DURATION: "duration", SNR: "SNR", f"{LOG_DURATION}:{SNR}": "duration and SNR"}
    kinds = {SPEECH_SOURCES: "speech sources", NONSPEECH_SOURCES: "other sources"}
    named = {CLIPS: "clips"} | kinds
    named |= {_of_sources(kind, term): f"{text} by {what}" for kind, text in kinds.items() for term, what in words.items()}
    return ", ".join(named[name] for name in random)


def fewest_sources(rows: pd.DataFrame) -> int:
    """Sources of the class that has fewer."""
    return int(rows.groupby("label").source_id.nunique().min())
