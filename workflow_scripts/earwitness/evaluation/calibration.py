"""Probabilities of speech from log-odds: temperature and Platt's map, fitted on development sources, judged on unseen ones.

Both classes have the same weight in fits and in measures, whatever their numbers of stimuli. A probability of one half so means: speech is as
likely as not where both classes are equally frequent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, special

from earwitness.core.errors import InputError
from earwitness.core.randomness import stream
from earwitness.evaluation.accuracy import metric_parts
from earwitness.evaluation.probability import LARGEST_TEMPERATURE, METHODS, Calibration
from earwitness.evaluation.scored_answers import NOT_TRAINED, Outcomes
from earwitness.statistics.clustered import Estimate, estimate, jackknife_variance, sample_by_source
from earwitness.statistics.distributions import normal_quantile, t_quantile
from earwitness.systems import System
from earwitness.tables.calibration import CALIBRATION, CALIBRATION_FITS, RELIABILITY
from earwitness.tables.columns import LABELS
from earwitness.tables.files import validate

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

ECE_BINS, DIAGRAM_BINS = 15, 10
FOLDS = 10
FLOOR_DRAWS = 1000
CALIBRATED_KINDS = ("temperature", "calibration", "threshold")
"""What a calibration's record says was fitted (earwitness.leakage.tuning_records)."""
HALVES = [0.5, 0.5]


def calibration_name(system: System) -> str:
    """The name of a calibration's record; system: with its seed, where it was trained."""
    return f"calibration-of-{system}"


def class_weights(speech: BoolArray) -> FloatArray:
    """Weights that sum to one half over each class. Raises InputError where one is absent."""
    if speech.all() or not speech.any():
        raise InputError(f"calibration: there is no {'NONSPEECH' if speech.all() else 'SPEECH'} stimulus; use more sources or a larger part")
    return np.where(speech, 0.5 / speech.sum(), 0.5 / (~speech).sum())


def fit_calibration(method: str, log_odds: FloatArray, speech: BoolArray) -> Calibration:
    """Fit by least cross-entropy, with Platt's targets.

    method: "temperature" (slope alone; Guo et al. 2017) or "platt" (slope and intercept; Platt 1999). log_odds, speech: shape (n_items,).
    The targets are (n + 1) / (n + 2) and 1 / (n + 2) of each class's n items instead of 1 and 0, which keeps a perfect separation
    from an infinite slope. The problem is convex; a temperature lies in [0.001, 1000].
    Raises InputError where a class is absent.
    """
    weights = class_weights(speech)
    counts = np.where(speech, speech.sum(), (~speech).sum())
    targets = np.where(speech, (counts + 1) / (counts + 2), 1 / (counts + 2))
    scale = float(np.std(log_odds)) or 1.0

    def loss(slope: float, intercept: float) -> tuple[float, FloatArray]:
        calibrated = slope * log_odds / scale + intercept
        residual = weights * (special.expit(calibrated) - targets)
        value = weights @ (np.logaddexp(0, calibrated) - targets * calibrated)
        return float(value), np.array([residual @ log_odds / scale, residual.sum()])

    if method == "temperature":
        limit = np.log(LARGEST_TEMPERATURE)
        found = optimize.minimize_scalar(lambda log_slope: loss(scale * np.exp(log_slope), 0.0)[0], bounds=(-limit, limit), method="bounded")
        return Calibration(float(np.exp(found.x)))
    found = optimize.minimize(lambda x: loss(*x), [1.0, 0.0], jac=True, method="BFGS")
    return Calibration(float(found.x[0]) / scale, float(found.x[1]))


def equal_weight_bins(probabilities: FloatArray, weights: FloatArray, bins: int) -> npt.NDArray[np.int64]:
    """The bin in 0..bins-1 of every probability, so that bins weigh about the same; equal probabilities share a bin."""
    _, places = np.unique(probabilities, return_inverse=True)
    mass = np.bincount(places, weights=weights)
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    return np.minimum((bins * middle).astype(np.int64), bins - 1)[places]


def calibration_error(probabilities: FloatArray, speech: BoolArray, weights: FloatArray, bins: int = ECE_BINS) -> float:
    """Expected calibration error (Naeini et al. 2015), with bins of equal weight: sum over bins b of |sum over i in b of w_i (p_i - y_i)|.

    p: probability of speech. y: 1 where the item is speech. w: weights that sum to 1. 0 is perfect, 1 the worst.
    """
    gap = weights * (probabilities - speech)
    return float(np.abs(np.bincount(equal_weight_bins(probabilities, weights, bins), weights=gap)).sum())


@dataclass(frozen=True)
class _Binned:
    """Sums over the items of each source and bin, shape (n_sources, n_bins), by class: values, and numbers of items."""

    sums: tuple[FloatArray, ...]
    counts: tuple[FloatArray, ...]


def _binned(values: FloatArray, place: npt.NDArray[np.int64], sources: npt.NDArray[np.object_], speech: BoolArray, bins: int) -> _Binned:
    sums, counts = [], []
    for chosen in (speech, ~speech):
        _, codes = np.unique(sources[chosen].astype(str), return_inverse=True)
        flat = codes * bins + place[chosen]
        shape = (codes.max() + 1, bins)
        sums.append(np.bincount(flat, weights=values[chosen], minlength=shape[0] * bins).reshape(shape))
        counts.append(np.bincount(flat, minlength=shape[0] * bins).astype(np.float64).reshape(shape))
    return _Binned(tuple(sums), tuple(counts))


def _left_out(table: FloatArray) -> FloatArray:
    return table.sum(axis=0) - table


def _share_interval(value: FloatArray, left_out: Sequence[FloatArray], confidence: float) -> tuple[FloatArray, FloatArray]:
    """Jackknife t interval of a share from its values without each source, per class; nan where a class has one source."""
    if any(len(values) < 2 for values in left_out):
        return np.full_like(value, np.nan), np.full_like(value, np.nan)
    variance, df = jackknife_variance(left_out)
    half = t_quantile((1 + confidence) / 2, df) * np.sqrt(variance)
    return np.clip(value - half, 0, 1), np.clip(value + half, 0, 1)


@dataclass(frozen=True)
class CalibrationError:
    """The calibration error as measured, the part that a calibrated system would show too (floor), the rest, and the interval of the rest."""

    measured: float
    floor: float
    corrected: float
    low: float
    high: float


def clustered_calibration_error(probabilities: FloatArray, outcomes: Outcomes, confidence: float, random: np.random.Generator) -> CalibrationError:
    """The calibration error, mean over seeds. probabilities: shape (n_seeds, n_items).

    Of a class c, let m_cb be the sum of (p_i - y_i) over its items in bin b, divided by the number of its items. The error is
    E = sum_b |m_speech,b + m_other,b| / 2; absolute values do not cancel, so chance alone makes it positive. The floor is the mean of E where
    every source's part of m_cb, less its mean share, gets a random sign (the wild bootstrap; Wu 1986): the error of a perfectly
    calibrated system whose sources scatter like these. Corrected: sqrt(E^2 - floor^2), or 0 below the floor.

    The interval is the wider of two. From the random signs, with q their quantile: sqrt(E^2 - q^2), which is 0 where E is nothing unusual for a
    calibrated system. And corrected +- t sqrt(V), where V is the jackknife's over sources (without a source m of its class is computed
    anew, the bins stay those of all items) plus the variance of the mean over seeds. nan where a class has one source.
    """
    speech, sources = _speech(outcomes), outcomes.items.source_id.to_numpy()
    weights = class_weights(speech)
    whole, parts, noise = [], [], np.zeros(FLOOR_DRAWS)
    n_sources = [len(np.unique(sources[chosen].astype(str))) for chosen in (speech, ~speech)]
    signs = [random.choice([-1.0, 1.0], (FLOOR_DRAWS, n)) * np.sqrt(n / max(1, n - 1)) for n in n_sources]
    for row in probabilities:
        binned = _binned(row - speech, equal_weight_bins(row, weights, ECE_BINS), sources, speech, ECE_BINS)
        sizes = [counts.sum(axis=1, keepdims=True) / counts.sum() for counts in binned.counts]
        shares = [sums / counts.sum() for sums, counts in zip(binned.sums, binned.counts, strict=True)]
        means = [share.sum(axis=0) for share in shares]
        drawn = [sign @ (share - size * mean) for sign, share, size, mean in zip(signs, shares, sizes, means, strict=True)]
        noise += 0.5 * np.abs(drawn[0] + drawn[1]).sum(axis=1) / len(probabilities)
        with np.errstate(invalid="ignore"):
            without = [_left_out(s) / _left_out(n.sum(axis=1))[:, None] for s, n in zip(binned.sums, binned.counts, strict=True)]
        whole.append(0.5 * np.abs(means[0] + means[1]).sum())
        parts.append([0.5 * np.abs(without[k] + means[1 - k]).sum(axis=1) for k in range(2)])
    measured, floor = float(np.mean(whole)), float(noise.mean())

    def less(chance: float) -> float:
        return float(np.sqrt(max(measured**2 - chance**2, 0.0)))

    corrected = less(floor)
    if min(n_sources) < 2:
        return CalibrationError(measured, floor, corrected, np.nan, np.nan)
    variance, df = jackknife_variance([np.mean([part[k] for part in parts], axis=0) for k in range(2)])
    if len(whole) > 1:
        variance = variance + np.var(whole, ddof=1) / len(whole)
        df = np.minimum(df, len(whole) - 1.0) if np.var(whole) > 0 else df
    half = float(t_quantile((1 + confidence) / 2, df) * np.sqrt(variance))
    few, many = (less(float(np.quantile(noise, level))) for level in ((1 + confidence) / 2, (1 - confidence) / 2))
    return CalibrationError(measured, floor, corrected, max(0.0, min(few, corrected - half)), min(1.0, max(many, corrected + half)))


def _speech(outcomes: Outcomes) -> BoolArray:
    return (outcomes.items.label == "SPEECH").to_numpy()


def fits_of(development: Sequence[Outcomes]) -> pd.DataFrame:
    """earwitness.tables.calibration.CALIBRATION_FITS: every system and seed, by both methods, on its outcomes on the development part."""
    rows = []
    for system in development:
        for outcomes in system.by_seed()[: len(system.seeds)]:
            n_sources = outcomes.items.groupby("label").source_id.nunique()
            losses = {method: _unseen_losses(method, outcomes) for method in METHODS}
            chosen = _chosen_method(losses, outcomes)
            for method in METHODS:
                fit = fit_calibration(method, outcomes.log_odds[0], _speech(outcomes))
                rows.append(
                    {
                        "system_id": outcomes.system_id,
                        "seed": outcomes.seed,
                        "method": method,
                        "slope": fit.slope,
                        "intercept": fit.intercept,
                        "threshold": fit.threshold,
                        "cross_validated_nll": _mean_by_source(losses[method][None], outcomes).value,
                        "chosen": method == chosen,
                        "n_items": len(outcomes.items),
                        "n_speech_sources": n_sources[LABELS[0]],
                        "n_nonspeech_sources": n_sources[LABELS[1]],
                    }
                )
    return validate(pd.DataFrame(rows), CALIBRATION_FITS)


def _unseen_losses(method: str, outcomes: Outcomes) -> FloatArray:
    """Cross-entropy of every item in nats, by a fit without the item's source; nan where a class has one source.

    Each class's sources, in the order of their names, are dealt out to at most FOLDS folds.
    """
    speech, sources = _speech(outcomes), outcomes.items.source_id.to_numpy().astype(str)
    numbers = [np.unique(sources[chosen], return_inverse=True)[1] for chosen in (speech, ~speech)]
    n_folds = min(FOLDS, *(int(codes.max()) + 1 for codes in numbers))
    losses = np.full(len(speech), np.nan)
    fold = np.zeros(len(speech), dtype=np.int64)
    fold[speech], fold[~speech] = (codes % n_folds for codes in numbers)
    for k in range(n_folds if n_folds > 1 else 0):
        out = fold == k
        p = fit_calibration(method, outcomes.log_odds[0, ~out], speech[~out]).probability(outcomes.log_odds[0, out])
        losses[out] = -np.log(np.clip(np.where(speech[out], p, 1 - p), 1e-300, 1))
    return losses


def _chosen_method(losses: Mapping[str, FloatArray], outcomes: Outcomes) -> str:
    """The temperature, unless Platt's map is better by more than one clustered standard error, on sources that neither was fitted on.

    The rule of one standard error (Breiman et al. 1984): with few sources, the intercept is the first thing that is fitted to chance.
    """
    gain = _mean_by_source((losses["temperature"] - losses["platt"])[None], outcomes)
    return "platt" if gain.known and gain.value > np.sqrt(gain.variance) else "temperature"


def fitted_systems(fits: pd.DataFrame) -> dict[System, pd.DataFrame]:
    """Every system of CALIBRATION_FITS, each seed apart, with its rows."""
    found = {}
    for (text, seed), rows in fits.groupby(["system_id", "seed"], sort=False):
        system = System.parse(str(text))
        found[system if seed == NOT_TRAINED else replace(system, seed=int(str(seed)))] = rows
    return found


def chosen_calibration(fits: pd.DataFrame, system: System) -> tuple[str, Calibration]:
    """The method that was chosen on development sources, and its fit; the probability never falls with the score.

    fits: CALIBRATION_FITS. system: with its seed, where it was trained. Where the scores do not rise with speech there, that is
    the largest temperature: a probability of one half, whatever is heard.
    """
    rows = _fits_of_system(fits, system)
    method = str(rows.method[rows.chosen].iloc[0]) if rows.chosen.any() else METHODS[0]
    found = calibration_of(fits, system, method)
    return (method, found) if found.informative else ("temperature", calibration_of(fits, system, "temperature"))


def calibration_of(fits: pd.DataFrame, system: System, method: str) -> Calibration:
    """One calibration out of CALIBRATION_FITS; "none" is the identity.

    system: with its seed, where it was trained. Raises InputError where it is not there.
    """
    if method == "none":
        return Calibration()
    rows = _fits_of_system(fits, system)
    row = rows[rows.method == method]
    if len(row) != 1:
        raise InputError(f"no {method} calibration of {system} among the fits; calibrate the systems again")
    return Calibration(float(row.slope.iloc[0]), float(row.intercept.iloc[0]))


def _fits_of_system(fits: pd.DataFrame, system: System) -> pd.DataFrame:
    seed = NOT_TRAINED if system.seed is None else str(system.seed)
    return fits[(fits.system_id == str(system.of_all_seeds())) & (fits.seed == seed)]


def _probabilities(outcomes: Outcomes, fits: pd.DataFrame, method: str) -> FloatArray:
    """Shape (n_seeds, n_items); every seed by its own calibration."""
    rows = zip(outcomes.systems, outcomes.log_odds, strict=True)
    return np.stack([calibration_of(fits, system, method).probability(log_odds) for system, log_odds in rows])


def calibration_table(systems: Sequence[Outcomes], fits: pd.DataFrame, confidence: float, seed: int) -> pd.DataFrame:
    """earwitness.tables.calibration.CALIBRATION: every system, seed (and all seeds) and method on its outcomes on unseen sources.

    fits: of the same systems, CALIBRATION_FITS. seed: of the floor's draws.
    """
    rows = []
    for system in systems:
        for outcomes in system.by_seed():
            speech = _speech(outcomes)
            weights = class_weights(speech)
            parts, _ = metric_parts(outcomes, "balanced_accuracy")
            for method in ("none", *METHODS):
                p = _probabilities(outcomes, fits, method)
                right = np.clip(np.where(speech, p, 1 - p), 1e-300, 1)
                error = clustered_calibration_error(
                    p, outcomes, confidence, stream(seed, "calibrate_systems", outcomes.system_id, outcomes.seed, method)
                )
                rows.append(
                    {
                        "system_id": outcomes.system_id,
                        "trained_on": outcomes.trained_on,
                        "seed": outcomes.seed,
                        "method": method,
                        **_measured("nll", _mean_by_source(-np.log(right), outcomes), confidence, np.inf),
                        **_measured("brier", _mean_by_source((1 - right) ** 2, outcomes), confidence, 1.0),
                        "ece": error.measured,
                        "ece_floor": error.floor,
                        "ece_corrected": error.corrected,
                        "ece_low": error.low,
                        "ece_high": error.high,
                        "balanced_accuracy": float(np.mean(((p > 0.5) == speech) @ weights)),
                        "n_items": len(outcomes.items),
                        "n_speech_sources": parts[0].n_sources,
                        "n_nonspeech_sources": parts[1].n_sources,
                    }
                )
    return validate(pd.DataFrame(rows), CALIBRATION)


def _mean_by_source(losses: FloatArray, outcomes: Outcomes) -> Estimate:
    labels, sources = outcomes.items.label.to_numpy(), outcomes.items.source_id.to_numpy()
    return estimate([sample_by_source(losses[:, labels == label], sources[labels == label], "free") for label in LABELS], HALVES)


def _measured(name: str, result: Estimate, confidence: float, largest: float) -> dict[str, float]:
    low, high = result.interval(confidence, 0, largest)
    return {name: result.value, f"{name}_low": low, f"{name}_high": high}


def reliability_table(systems: Sequence[Outcomes], fits: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """earwitness.tables.calibration.RELIABILITY: the bins of every system and method, all seeds' answers together.

    A bin's interval is the jackknife over all sources of both classes, with t. A bin of one class alone shows no variation; there the limit
    on the other side is Wilson's, for 0 of as many cases as the bin has sources.
    """
    tables = []
    for outcomes in systems:
        speech = np.tile(_speech(outcomes), len(outcomes.seeds))
        sources = np.tile(outcomes.items.source_id.to_numpy(), len(outcomes.seeds))
        weights = class_weights(speech)
        for method in ("none", *METHODS):
            p = _probabilities(outcomes, fits, method).ravel()
            place = equal_weight_bins(p, weights, DIAGRAM_BINS)
            binned = _binned(p, place, sources, speech, DIAGRAM_BINS)
            per_bin = pd.DataFrame({"p": weights * p, "weight": weights, "n_items": 1, "source": sources, "bin": place}).groupby("bin")
            table = per_bin.agg(p=("p", "sum"), weight=("weight", "sum"), n_items=("n_items", "sum"), n_sources=("source", "nunique"))
            shares, low, high = _shares_of_speech(binned.counts, confidence)
            used = table.index.to_numpy()
            shares, low, high = shares[used], low[used], high[used]
            z2 = normal_quantile((1 + confidence) / 2) ** 2
            wilson = z2 / (z2 + table.n_sources.to_numpy())
            table = table.assign(
                system_id=outcomes.system_id,
                method=method,
                probability=(table.p / table.weight).clip(0, 1),
                speech_share=shares,
                low=np.select([shares == 0, shares == 1], [0.0, 1 - wilson], low),
                high=np.select([shares == 0, shares == 1], [wilson, 1.0], high),
            )
            tables.append(table.reset_index())
    return validate(pd.concat(tables, ignore_index=True), RELIABILITY)


def _shares_of_speech(counts: Sequence[FloatArray], confidence: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Per bin the weighted share of speech and its interval, from the numbers of items of each class's sources and bins."""
    masses = [table.sum(axis=0) / table.sum() for table in counts]
    with np.errstate(invalid="ignore", divide="ignore"):
        without = [_left_out(table) / _left_out(table.sum(axis=1))[:, None] for table in counts]
        whole = masses[0] / (masses[0] + masses[1])
        parts = [without[0] / (without[0] + masses[1]), masses[0] / (masses[0] + without[1])]
        low, high = _share_interval(whole, [np.where(np.isfinite(part), part, whole) for part in parts], confidence)
    return whole, low, high
