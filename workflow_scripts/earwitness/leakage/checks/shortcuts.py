"""Can the class be told without listening: from file headers and names, or from trivial properties of the sound?

Functions import scikit-learn and scipy.stats themselves: both load slowly, and programs that only name the checks need neither.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from earwitness.audio.acoustics import peak_dbfs
from earwitness.audio.io import SAMPLE_RATE, Waveform, dbfs
from earwitness.core.progress import Progress
from earwitness.core.randomness import stream
from earwitness.leakage.audit_input import AuditInput
from earwitness.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge, not_run
from earwitness.statistics.clustered import MIN_SOURCES_FOR_TESTS, Estimate, estimate, sample_by_source
from earwitness.statistics.distributions import normal_quantile
from earwitness.tables.columns import LABELS

FloatArray = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Names = npt.NDArray[np.object_]

MOST_ITEMS = 4000
"""Recordings, and stimuli, that the classifiers see at most."""

MOST_PER_SOURCE = 8

FOLDS = 5

PERMUTATIONS = 30

CHANCE_DEVIATIONS = 3.0
"""Standard deviations of the probit above the mean of the permutations from which an AUC is no chance."""

CONDITIONS = ["duration_ms", "snr_db", "band", "room", "normalisation"]

FRAME = SAMPLE_RATE // 100
LOW_LEVEL_DB = 30.0
"""A 10 ms frame is at low level where it is further than this below the stimulus's loudest."""

ROLL_OFF_SHARE = 0.99
CLIPPED_FROM = 0.999
LOWEST_DBFS = -120.0
NO_NOISE_SNR_DB = 100.0
"""Stands for the SNR of a stimulus to which no noise was added."""


@dataclass(frozen=True, eq=False)
class Features:
    """Trivial properties of some items: table of shape (n_items, n_features), and the class and source of every item."""

    kind: str
    table: pd.DataFrame
    speech: Mask
    sources: Names


def metadata_features(recordings: pd.DataFrame) -> Features:
    """What a file's header and name say; recordings: earwitness.tables.recordings.RECORDINGS. Folders and the dataset are left out."""
    names = [PurePath(path).name for path in recordings.path]
    table = pd.DataFrame(
        {
            "sample_rate_hz": recordings.sample_rate.to_numpy(float),
            "file_duration_s": recordings.duration_s.to_numpy(float),
            "name_length": [float(len(name)) for name in names],
            "name_digits": [float(sum(char.isdigit() for char in name)) for name in names],
            "name_separators": [float(sum(char in "-_ ." for char in name)) for name in names],
        }
    )
    return Features("metadata", table, recordings.label.eq(LABELS[0]).to_numpy(), recordings.source_id.to_numpy(object))


def acoustic_features(samples: Waveform) -> dict[str, float]:
    """Trivial properties of a 16 kHz mono waveform as presented; levels in dBFS not below -120, times in seconds.

    The roll-off is the frequency below which 99 % of the power lies. Leading and trailing low-level time last until the
    first, and from the last, 10 ms frame within 30 dB of the loudest: it is the silence of a padded file, the window
    around a stimulus, and a slow onset.
    """
    rms, peak = max(dbfs(samples), LOWEST_DBFS), max(peak_dbfs(samples), LOWEST_DBFS)
    frames = np.pad(samples, (0, -len(samples) % FRAME)).reshape(-1, FRAME)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    audible = np.flatnonzero(power >= power.max() * 10 ** (-LOW_LEVEL_DB / 10))
    cumulative = np.cumsum(np.square(np.abs(np.fft.rfft(samples))))
    roll_off = int(np.searchsorted(cumulative, ROLL_OFF_SHARE * cumulative[-1]))
    return {
        "rms_dbfs": rms,
        "peak_dbfs": peak,
        "crest_factor_db": peak - rms,
        "dc_offset": float(np.mean(samples, dtype=np.float64)),
        "clipped_share": float(np.mean(np.abs(samples) >= CLIPPED_FROM)),
        "roll_off_hz": roll_off * SAMPLE_RATE / len(samples),
        "leading_low_level_s": audible[0] * FRAME / SAMPLE_RATE,
        "trailing_low_level_s": (len(frames) - 1 - audible[-1]) * FRAME / SAMPLE_RATE,
    }


def stimulus_features(data: AuditInput) -> Features:
    """Trivial acoustics of a sample of the split's stimuli, without those that have no audio."""
    sampled = replace(data, stimuli=sample_items(data.stimuli, "stimulus_id", CONDITIONS))
    audio = Progress(sampled.stimulus_audio(), desc="measuring plain acoustics", total=len(sampled.stimuli), unit="stimuli")
    measured = {stimulus_id: acoustic_features(waveform) for stimulus_id, waveform in audio if len(waveform)}
    stimuli = sampled.stimuli[sampled.stimuli.stimulus_id.isin(measured)]
    table = pd.DataFrame([measured[stimulus_id] for stimulus_id in stimuli.stimulus_id])
    table = table.assign(duration_ms=stimuli.duration_ms.to_numpy(float), achieved_snr_db=stimuli.achieved_snr_db.fillna(NO_NOISE_SNR_DB).to_numpy())
    return Features("acoustics", table, stimuli.label.eq(LABELS[0]).to_numpy(), stimuli.source_id.to_numpy(object))


def sample_items(items: pd.DataFrame, key: str, conditions: Sequence[str] = ()) -> pd.DataFrame:
    """At most MOST_ITEMS rows, equally many of every source (at most MOST_PER_SOURCE).

    key: column of unique names. conditions: columns of the design; as far as it is balanced, every source is sampled in
    the same conditions, so that sampling makes no difference between sources. The sample is the same every time: all
    order comes from hashes. Where there are more sources than MOST_ITEMS, as many of each class remain as fit.
    """
    source = ["source_id", "label"]
    condition = pd.Series(list(zip(*(items[name] for name in conditions or [key]), strict=True)), index=items.index, dtype=object)
    shuffled = items.assign(order=items[key].map(_hashed), condition=condition.map(_hashed)).sort_values(["order", key])
    shuffled["repeat"] = shuffled.groupby([*source, "condition"]).cumcount()
    shuffled = shuffled.sort_values(["repeat", "condition", "order", key])
    nth = shuffled.groupby(source).cumcount()
    n_sources = max(int((nth == 0).sum()), 1)
    kept = shuffled[nth < min(MOST_PER_SOURCE, max(MOST_ITEMS // n_sources, 1))].sort_values(["order", key])
    kept = kept.groupby("label").head(MOST_ITEMS // len(LABELS)) if len(kept) > MOST_ITEMS else kept
    return kept[list(items.columns)].sort_values(key).reset_index(drop=True)


def _hashed(name: object) -> str:
    return hashlib.blake2b(str(name).encode(), digest_size=8).hexdigest()


def out_of_fold_scores(features: FloatArray, speech: Mask, sources: Names) -> dict[str, FloatArray] | None:
    """Scores of every item by models that saw no item of its source, per model; None where no fold structure allows it.

    Sources, not items, are dealt to the folds, stratified by class, and every fold is made sure to hold both classes on
    both sides. Scores are ranks within the fold, since models of different folds need not agree on an offset.
    """
    from scipy.stats import rankdata
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names, codes = np.unique(sources.astype(str), return_inverse=True)
    mostly_speech = np.bincount(codes, weights=speech) / np.bincount(codes) > 0.5
    folds = min(FOLDS, int(mostly_speech.sum()), int((~mostly_speech).sum()))
    if folds < 2:
        return None
    models = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
        "boosted trees": HistGradientBoostingClassifier(
            max_iter=15, max_depth=2, learning_rate=0.4, min_samples_leaf=5, max_bins=64, early_stopping=False
        ),
    }
    scores = {name: np.zeros(len(speech)) for name in models}
    for training, testing in StratifiedKFold(folds, shuffle=True, random_state=0).split(names, mostly_speech):
        train, test = np.isin(codes, training), np.isin(codes, testing)
        if any(len(np.unique(speech[side])) < 2 for side in (train, test)):
            return None
        for name, model in models.items():
            score = model.fit(features[train], speech[train]).decision_function(features[test])
            scores[name][test] = rankdata(score.round(9)) / len(score)
    return scores


def best_auc(features: FloatArray, speech: Mask, sources: Names) -> tuple[str, float, FloatArray] | None:
    """The model with the higher out-of-fold AUC, that AUC, and its scores."""
    from sklearn.metrics import roc_auc_score

    scores = out_of_fold_scores(features, speech, sources)
    if scores is None:
        return None
    aucs = {name: float(roc_auc_score(speech, values)) for name, values in scores.items()}
    name = max(aucs, key=lambda model: aucs[model])
    return name, aucs[name], scores[name]


def clustered_auc(scores: FloatArray, speech: Mask, sources: Names) -> Estimate:
    """AUC of scores with its variance over sources.

    The placement of an item is the share of the other class that it beats (ties count half); the AUC is the mean
    placement, and its variance the sum of both classes' variances of mean placements (DeLong et al. 1988), each here
    from leaving out one source at a time (as Obuchowski 1997 does for clusters). Classes share no source.
    """
    from scipy.stats import rankdata

    overall, positive, negative = rankdata(scores), scores[speech], scores[~speech]
    above = (overall[speech] - rankdata(positive)) / len(negative)
    below = 1 - (overall[~speech] - rankdata(negative)) / len(positive)
    samples = [sample_by_source(above, sources[speech].astype(str)), sample_by_source(below - below.mean(), sources[~speech].astype(str), "free")]
    return estimate(samples, [1.0, 1.0])


def exceeds_chance(observed: float, features: FloatArray, speech: Mask, sources: Names, kind: str) -> bool:
    """Is the AUC far above those of permutations of the classes between sources (whole, so that clusters stay)?

    The better model is chosen anew in every permutation, as it was for the observed AUC. Far is CHANCE_DEVIATIONS
    standard deviations above the permutations' mean, which needs fewer of them than a tail probability does; on the
    probit scale, where AUCs up to 1 have room.
    """
    codes = np.unique(sources.astype(str), return_inverse=True)[1]
    of_source = np.bincount(codes, weights=speech) / np.bincount(codes) > 0.5
    drawn = []
    for permutation in Progress(range(PERMUTATIONS), desc="asking what chance does", unit="permutations"):
        found = best_auc(features, stream(0, "shortcut", kind, permutation).permutation(of_source)[codes], sources)
        if found is not None:
            drawn.append(found[1])
    chance = normal_quantile(np.clip(drawn, 1e-6, 1 - 1e-6))
    return len(drawn) == PERMUTATIONS and bool(normal_quantile(observed) > chance.mean() + CHANCE_DEVIATIONS * chance.std(ddof=1))


@dataclass(frozen=True)
class Told:
    """Whether something can be told by a classifier of some features.

    asked: items that were judged, 0 where it cannot be judged, and `remark` says why; auc: highest of the models; reason: says that it can be
    told, "" where not.
    """

    asked: int
    auc: float
    reason: str
    remark: str


def told_of_unseen(family: Features, limit: float, kind: str) -> Told:
    """Can a classifier of `family` tell which side unseen sources are on?

    family: its kind is what is told, as "the class", and `speech` is true of one side. It is told where the
    AUC exceeds `limit`, its clustered 95 % interval lies above 0.5, and it exceeds chance (see exceeds_chance, which `kind` names).
    """
    what, side, sources, values = family.kind, family.speech, family.sources, family.table.to_numpy(float)
    fewest = min(len(set(sources[side])), len(set(sources[~side])))
    if fewest < MIN_SOURCES_FOR_TESTS:
        return Told(0, 0.0, "", f"Whether {what} can be told is not judged: one side has {fewest} sources, {MIN_SOURCES_FOR_TESTS} are needed.")
    found = best_auc(values, side, sources)
    if found is None:
        return Told(0, 0.0, "", f"Whether {what} can be told is not judged: its {len(side)} items do not allow folds with both sides.")
    model, auc, scores = found
    low, high = clustered_auc(scores, side, sources).interval(0.95, 0.0, 1.0)
    beyond = auc > limit and low > 0.5 and exceeds_chance(auc, values, side, sources, kind)
    reason = f"{what} can be told of unseen sources with AUC {auc:.2f} (95 % {low:.2f} to {high:.2f}, {model})"
    return Told(len(side), auc, reason if beyond else "", "")


def univariate(features: Features, sides: Sequence[str] = LABELS) -> list[tuple[str, float, str]]:
    """Per feature: its name, AUC alone (at least 0.5, over items), and which side has the higher values; best first.

    sides: names of the items whose `speech` is true, and of the others.
    """
    from sklearn.metrics import roc_auc_score

    rows = []
    for name in features.table:
        auc = float(roc_auc_score(features.speech, features.table[name].to_numpy()))
        rows.append((str(name), max(auc, 1 - auc), sides[0] if auc >= 0.5 else sides[1]))
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _reason(kind: str, model: str, auc: Estimate) -> str:
    low, high = auc.interval(0.95, 0.0, 1.0)
    best = f"{kind} tell the class of unseen sources with AUC {auc.value:.2f} (95 % {low:.2f} to {high:.2f}, {model})"
    if kind == "metadata":
        return best + "; stimuli are resampled, so the model sees no header or name, but the bandwidth of the recordings may remain audible"
    return best


@check(
    id="L10",
    name="shortcut_features",
    severity="warn",
    units="recordings and stimuli",
    question="Can the class be told from file headers and names, or from level, silence and bandwidth alone?",
    remedy="Read which property tells the class, make it the same for both (record, trim, filter or level both classes alike), "
    "or compare the system with a classifier that has only this property.",
)
def shortcut_features(data: AuditInput) -> Finding:
    """Classifiers of the class by trivial properties, on sources that they never saw.

    Two families are judged apart: metadata of recordings (sample rate, duration, pattern of the file name) and trivial
    acoustics of stimuli as presented. Logistic regression and boosted trees of depth 2 predict sources that they never
    saw; the better one by AUC counts, which is the cautious choice. A family is noted where that AUC exceeds the policy's
    limit, its clustered 95 % interval lies above 0.5, and its probit lies 3 standard deviations above the mean of
    permutations of the classes between sources. With few sources chance alone goes far, so passing means
    that no shortcut was shown, not that there is none; below 6 sources in a class nothing is judged.

    What is found need not be a fault. Stimuli have a fixed level, but crest factor, onset and bandwidth differ between
    speech and other sounds by nature, and datasets that differ in sample rate always fail on metadata. The evidence lists
    every property of the family with the AUC that it reaches alone, best first.
    """
    stimuli = data.stimuli
    fewest = min(stimuli[stimuli.label == label].source_id.nunique() for label in LABELS)
    if fewest < MIN_SOURCES_FOR_TESTS:
        reason = f"the class with fewer sources has {fewest}; {MIN_SOURCES_FOR_TESTS} are needed to tell a shortcut from chance"
        return not_run(reason)
    families = [metadata_features(sample_items(data.recordings, "recording_id")), stimulus_features(data)]
    limit, compared, highest, reasons, rows = data.policy.shortcut_auc_warn, 0, 0.0, [], []
    for family in families:
        values, speech, sources = family.table.to_numpy(float), family.speech, family.sources
        found = best_auc(values, speech, sources) if len(speech) else None
        if found is None:
            reason = f"{family.kind}: {len(speech)} items do not allow folds with both classes"
            return not_run(reason, compared, limit)
        model, auc, scores = found
        compared, highest = compared + len(speech), max(highest, auc)
        known = clustered_auc(scores, speech, sources)
        above_chance = known.interval(0.95, 0.0, 1.0)[0] > 0.5
        if auc > limit and above_chance and exceeds_chance(auc, values, speech, sources, family.kind):
            reasons.append(_reason(family.kind, model, known))
            rows += [_offender(family.kind, *row) for row in univariate(family)]
    offenders = pd.DataFrame(rows, columns=list(EVIDENCE_COLUMNS), dtype=str)
    return judge(offenders, compared, highest, limit, "; ".join(reasons))


def _offender(kind: str, feature: str, auc: float, higher: str) -> Sequence[Any]:
    same = auc == 0.5
    detail = f"{kind}: AUC {auc:.3f} alone, " + ("the same in both classes" if same else f"higher in {higher}")
    return "", "", feature, "", "", "", detail
