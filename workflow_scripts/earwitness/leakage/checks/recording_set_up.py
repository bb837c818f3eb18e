"""Can the part, or the class, be told from how things were recorded, without listening to what was?"""

import numpy as np
import pandas as pd

from earwitness.audio.io import SAMPLE_RATE, Waveform, dbfs
from earwitness.core.progress import Progress
from earwitness.leakage.audit_input import AuditInput, Batch
from earwitness.leakage.checks.shortcuts import LOWEST_DBFS, Features, sample_items, told_of_unseen, univariate
from earwitness.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge, not_run
from earwitness.leakage.shared_items import shared_between_parts
from earwitness.splits.study import with_origins
from earwitness.tables.columns import LABELS

FRAME, HOP = SAMPLE_RATE // 40, SAMPLE_RATE // 100
FFT = 512

QUIET_SHARE, FEWEST_QUIET = 0.1, 3
"""The share of frames that are taken for the background, and how many are at least."""

BAND_HZ = 500
"""Width of the bands of the background's spectrum."""

LOWEST_POWER = 1e-14


def set_up_features(samples: Waveform) -> dict[str, float]:
    """What the recording set-up leaves in a 16 kHz mono waveform: constant offset, digital silence, word length, and the background.

    The background is the quietest tenth of the frames of 25 ms that are not digital silence: its level (dBFS, not below -120), and its power in
    bands of 500 Hz in dB below all bands' mean, in which filters, sampling rates, codecs and hum show. The word length in bits is 1 - log2 of
    the smallest step between two samples.
    """
    steps = np.abs(np.diff(samples))
    steps = steps[steps > 0]
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP] if len(samples) >= FRAME else samples[None]
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    sounding = frames[power > 0]
    quiet = sounding[np.argsort(power[power > 0], kind="stable")[: max(FEWEST_QUIET, round(QUIET_SHARE * len(sounding)))]]
    features = {
        "offset": float(np.mean(samples, dtype=np.float64)),
        "digital_silence_share": float(np.mean(samples == 0)) if len(samples) else 0.0,
        "word_length_bits": float(1 - np.log2(steps.min())) if len(steps) else 0.0,
        "background_dbfs": max(dbfs(quiet.ravel()), LOWEST_DBFS),
    }
    windowed = (quiet - quiet.mean(axis=1, keepdims=True)) * np.hanning(quiet.shape[1]) if len(quiet) else np.zeros((1, FRAME))
    spectrum = np.mean(np.square(np.abs(np.fft.rfft(windowed, FFT))), axis=0)
    band = (np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE) // BAND_HZ).astype(int).clip(max=SAMPLE_RATE // 2 // BAND_HZ - 1)
    levels = 10 * np.log10(np.maximum(np.bincount(band, weights=spectrum) / np.bincount(band), LOWEST_POWER))
    return features | {f"background_{k * BAND_HZ}_hz_db": float(level - levels.mean()) for k, level in enumerate(levels)}


def _features_of(batch: Batch) -> list[tuple[str, dict[str, float]]]:
    return [(name, set_up_features(waveform)) for name, waveform in batch if len(waveform)]


@check(
    id="L17",
    name="recording_set_up",
    severity="warn",
    units="clips",
    question="Can the part or the class be told from channel and background alone?",
    remedy="Find what differs (device, room, codec, data set) and mix it over the parts and classes, or say that the test asks about another set-up.",
)
def recording_set_up(data: AuditInput) -> Finding:
    """Three questions about clips before noise is added: training or another part, within either class, and which class.

    Where sessions are named (what was recorded together), a session in several parts is noted as well, and no session is on both sides of the
    cross-validation; else no source is.
    The classifiers, their cross-validation by source, the clustered interval and the permutations between sources are those of L10
    (earwitness.leakage.checks.shortcuts), and so is the policy's limit. L10 hears stimuli as the model gets them; here it is the background of
    what they were cut from. A part that can be told was recorded otherwise: the test then measures the set-up too. What an untrained encoder makes of
    the whole sound, L19 asks once there is a base: this audit comes before any model.
    """
    stimuli = with_origins(data.stimuli, [data.recordings])
    together = shared_between_parts(stimuli[stimuli.session != ""], "session", "session")
    stimuli = stimuli.assign(source_id=stimuli.session.where(stimuli.session != "", stimuli.source_id))
    clips = sample_items(stimuli.drop_duplicates("clip_id")[["clip_id", "source_id", "label", "part"]], "clip_id")
    measured: dict[str, dict[str, float]] = {}
    with Progress(desc="measuring the background of clips", total=len(clips), unit="clips") as progress:
        for batch in data.over_clips(_features_of, set(clips.clip_id)):
            measured |= dict(batch)
            progress.update(len(batch))
    clips = clips[clips.clip_id.isin(measured)].reset_index(drop=True)
    table = pd.DataFrame([measured[clip_id] for clip_id in clips.clip_id])
    limit, asked, highest, remarks, reasons, rows = data.policy.shortcut_auc_warn, 0, 0.0, [], [], []
    if len(together):
        held = stimuli[stimuli.session != ""].drop_duplicates(["session", "part"]).session
        reasons.append(f"{held[held.duplicated()].nunique()} sessions are in several parts")
    for what, of, sides, chosen in (
        *((f"the part of {label} clips", clips.part.eq("train"), ("train", "the other parts"), clips.label.eq(label)) for label in LABELS),
        ("the class", clips.label.eq(LABELS[0]), LABELS, clips.label.notna()),
    ):
        family = Features(what, table[chosen], of[chosen].to_numpy(), clips.source_id[chosen].to_numpy(object))
        told = told_of_unseen(family, limit, f"set_up {what}")
        asked, highest = asked + told.asked, max(highest, told.auc)
        remarks += [told.remark] * bool(told.remark)
        if told.reason:
            reasons.append(told.reason)
            rows += [
                ("", "", name, "", "", "", f"{what}: AUC {alone:.3f} alone, higher in {higher}") for name, alone, higher in univariate(family, sides)
            ]
    if not asked and together.empty:
        return not_run("no question has enough sources on both sides", threshold=limit, remarks=remarks)
    properties = pd.DataFrame(rows, columns=list(EVIDENCE_COLUMNS), dtype=str)
    return judge(pd.concat([together, properties], ignore_index=True), max(asked, len(clips)), highest, limit, "; ".join(reasons), remarks)
