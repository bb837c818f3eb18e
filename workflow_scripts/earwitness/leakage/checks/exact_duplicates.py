"""Checks of what stimuli sound like, whatever their provenance says."""

import hashlib

import numpy as np

from earwitness.audio.io import Waveform
from earwitness.core.progress import Progress
from earwitness.leakage.audit_input import AuditInput, Batch
from earwitness.leakage.registry import Finding, check, judge, not_run, some
from earwitness.leakage.shared_items import shared_between_parts

SILENT_STEPS = 2
"""Steps of 16-bit audio; a waveform that varies by no more is silent, and any two such waveforms may be the same."""


def pcm_digest(samples: Waveform) -> str | None:
    """SHA-256 of 16-bit PCM without leading and trailing zeros, so that file headers and zero padding do not matter; None of silence."""
    pcm = np.clip(np.rint(samples.astype(np.float64) * 32768), -32768, 32767).astype("<i2")
    if len(pcm) == 0 or int(pcm.max()) - int(pcm.min()) <= SILENT_STEPS:
        return None
    return hashlib.sha256(np.trim_zeros(pcm).tobytes()).hexdigest()


def _digests(batch: Batch) -> dict[str, str | None]:
    return {name: pcm_digest(waveform) for name, waveform in batch}


@check(
    id="L03",
    name="exact_duplicate_audio",
    severity="error",
    units="clips",
    question="Is the same audio (decoded, zero padding stripped) in more than one part, under whatever name?",
    remedy="Remove the copies from the sources, or give them one source_id, and run again.",
    asks=lambda policy: [_digests],
)
def exact_duplicate_audio(data: AuditInput) -> Finding:
    """Digests of decoded audio without zero padding, compared between parts.

    Compares the clips that the stimuli were cut from. Gain is not normalised: louder copies are near duplicates. Silent
    clips are all alike, which tells nothing: they are left out and named. Items without audio that can be read may be copies of
    anything, so beside them the check cannot pass.
    """
    n_clips = data.stimuli.clip_id.nunique()
    digests: dict[str, str | None] = {}
    with Progress(desc="hashing clips", total=n_clips, unit="clips") as progress:
        for batch in data.over_clips(_digests):
            digests |= batch
            progress.update(len(batch))
    if len(digests) < n_clips:
        return not_run(f"{n_clips - len(digests)} of {n_clips} clips have no audio", len(digests), 0)
    silent = [name for name, digest in digests.items() if digest is None]
    remarks = [f"{len(silent)} of {n_clips} clips are silent and were not compared: {some(silent)}."] if silent else []
    stimuli = data.stimuli[~data.stimuli.clip_id.isin(silent)]
    stimuli = stimuli.assign(digest=stimuli.clip_id.map(digests).astype(str))
    n_shared = int(stimuli.groupby("digest").part.nunique().gt(1).sum())
    reason = f"{n_shared} piece{'s' if n_shared > 1 else ''} of audio {'are' if n_shared > 1 else 'is'} in more than one part"
    shared = shared_between_parts(stimuli, "digest", "audio", item="clip_id")
    if data.unread and shared.empty:
        n_items = n_clips + len(data.unread)
        why = f"{len(data.unread)} of {n_items} items cannot be read, and so were not compared: {some(data.unread)}"
        return not_run(why, n_clips - len(silent), 0, remarks)
    return judge(shared, n_clips - len(silent), n_shared, 0, reason, remarks)
