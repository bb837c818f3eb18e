"""Is the class of a clip what an independent detector hears?"""

import importlib.util
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.core.progress import Progress
from earwitness.detectors.silero import SILERO_CHUNK, silero_probabilities
from earwitness.leakage.audit_input import AuditInput, Batch, Policy
from earwitness.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge, not_run

DETECTOR_PACKAGES = ("onnxruntime", "silero_vad")
"""What the detector is made of; an installation for the audit alone may be without."""

MIN_SPEECH_S = 0.25
"""The shortest stretch that the detector's own package takes for speech, by its defaults."""


def longest_run(flags: npt.NDArray[np.bool_]) -> int:
    """Length of the longest stretch of true values."""
    return max((len(list(run)) for flag, run in groupby(flags) if flag), default=0)


class ClipDetection(NamedTuple):
    """What Silero VAD heard in a clip: its longest stretch of speech, and the highest probability of any chunk."""

    clip_id: str
    duration_s: float
    speech_s: float
    highest: float


def speech_in_clips(batch: Batch, probability: float) -> list[ClipDetection]:
    """Look for speech in named 16 kHz mono waveforms; probability: from which a 32 ms chunk is speech, in (0, 1]."""
    heard = []
    for (name, waveform), chunks in zip(batch, _detector()([waveform for _, waveform in batch]), strict=True):
        duration = len(waveform) / SAMPLE_RATE
        speech = min(longest_run(chunks >= probability) * SILERO_CHUNK / SAMPLE_RATE, duration)
        heard.append(ClipDetection(name, duration, speech, float(chunks.max(initial=0.0))))
    return heard


@cache
def _detector() -> Callable[[Sequence[Waveform]], list[npt.NDArray[np.float32]]]:
    """Silero VAD, loaded once in every process."""
    return silero_probabilities()


def _missing() -> list[str]:
    return [name for name in DETECTOR_PACKAGES if importlib.util.find_spec(name) is None]


def _listening(policy: Policy) -> Callable[[Batch], list[ClipDetection]]:
    return partial(speech_in_clips, probability=policy.speech_in_nonspeech_probability)


@check(
    id="L14",
    name="speech_in_nonspeech",
    severity="warn",
    units="clips",
    question="Does an independent detector hear speech in NONSPEECH clips, or none in SPEECH clips?",
    remedy="Listen to the clips; leave out those of the wrong class, or state that the class NONSPEECH means something else here.",
    asks=lambda policy: [] if _missing() else [_listening(policy)],
)
def speech_in_nonspeech(data: AuditInput) -> Finding:
    """What an independent detector hears in every clip, beside its class.

    Silero VAD, on the clips before noise is added. A NONSPEECH clip is noted where the chunks with at least the policy's
    speech probability form a stretch of 0.25 s, or fill a shorter clip; a SPEECH clip where no chunk has it, unless the
    clip is shorter than 0.25 s, since missing speech in so little says nothing. The detector errs too, on singing and
    animal voices above all, so this is a list to listen to; the statistic is its length.
    """
    if absent := _missing():
        return not_run(f"needs {' and '.join(absent)}, not installed here (pip install with the extra speech)", 0, 0)
    stimuli = data.stimuli
    clips = stimuli.drop_duplicates("clip_id").sort_values("clip_id")[["clip_id", "source_id", "label", "part"]]
    heard: list[ClipDetection] = []
    with Progress(desc="looking for speech", total=len(clips), unit="clips") as progress:
        for batch in data.over_clips(_listening(data.policy)):
            heard += batch
            progress.update(len(batch))
    if len(heard) < len(clips):
        return not_run(f"{len(clips) - len(heard)} of {len(clips)} clips have no audio", len(heard), 0)
    clips = clips.merge(pd.DataFrame(heard, columns=list(ClipDetection._fields)), on="clip_id", validate="one_to_one")
    enough = np.minimum(MIN_SPEECH_S, clips.duration_s)
    unexpected = clips[(clips.label == "NONSPEECH") & (clips.speech_s >= enough) & (clips.speech_s > 0)].sort_values(
        ["speech_s", "highest"], ascending=False
    )
    silent = clips[(clips.label == "SPEECH") & (clips.speech_s == 0) & (clips.duration_s >= MIN_SPEECH_S)].sort_values("highest")
    rows = [
        (
            row.part,
            "",
            row.clip_id,
            "",
            row.source_id,
            "",
            f"NONSPEECH, but {row.speech_s:.2f} s of speech heard, probability up to {row.highest:.3f}",
        )
        for row in unexpected.itertuples()
    ]
    rows += [
        (row.part, "", row.clip_id, "", row.source_id, "", f"SPEECH, but none heard, probability up to {row.highest:.3f}")
        for row in silent.itertuples()
    ]
    offenders = pd.DataFrame(rows, columns=list(EVIDENCE_COLUMNS), dtype=str)
    reason = f"{len(unexpected)} of {(clips.label == 'NONSPEECH').sum()} NONSPEECH clips seem to hold speech"
    reason += f"; in {len(silent)} of {(clips.label == 'SPEECH').sum()} SPEECH clips none was heard"
    return judge(offenders, len(clips), len(rows), 0, reason)
