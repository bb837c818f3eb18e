"""Tables about recordings."""

import pandera.pandas as pa

from earwitness.tables import meanings
from earwitness.tables.columns import choice, column, label, number, schema, second, share, text, whole

RECORDINGS = schema(
    "recordings",
    {
        "recording_id": text(means=meanings.RECORDING),
        "dataset": text(means="the data set, a key of `sources`"),
        "path": text(means="the file"),
        "sha256": column(str, pa.Check.str_matches("^[0-9a-f]{64}$"), means="SHA-256 of the file"),
        "sample_rate": column(int, pa.Check.gt(0), means="sample rate of the file", unit="Hz"),
        "duration_s": number(means="length of what can be decoded", unit="s", check=pa.Check.gt(0)),
        "source_id": text(means=meanings.SOURCE),
        "category": text(means=meanings.CATEGORY),
        "label": label(),
        "licence": text(means="licence of the recording, as the data set states it"),
        "original": text(means="what the file was cut from; empty where that is not known", may_be_empty=True),
        "session": text(means="what was recorded together with it; empty where that is not known", may_be_empty=True),
    },
    unique=["recording_id", "source_id", "label"],
)
"""One row per usable recording and source in it, of each class."""

SEGMENTS = schema(
    "segments",
    {
        "recording_id": text(means=meanings.RECORDING),
        "source_id": text(means=meanings.SOURCE),
        "label": label(),
        "start_s": second(means="where the stretch starts"),
        "end_s": second(means="where it ends", above=True),
    },
)
"""Stretches that clips may be cut from: one speaker alone, or the whole of a sound."""

AUDIO_CHECK = schema(
    "audio_check",
    {
        "path": text(means="the file", unique=True),
        "verdict": choice(["ok", "broken", "excluded"], means="`broken`: it cannot be used; `excluded`: its label says that it must not"),
        "reason": text(means="why it is broken or excluded; of a file that is ok, what is odd and how it is read", may_be_empty=True),
        "sample_rate": whole(means="sample rate", unit="Hz"),
        "channels": whole(means="number of channels"),
        "duration_s": number(means="length of what can be decoded", unit="s", nullable=True),
        "rms_dbfs": number(means="level, root mean square", unit="dBFS", nullable=True),
        "peak": number(means="largest absolute sample, 1 at full scale", nullable=True),
        "clipped_fraction": share(means="share of samples at full scale", nullable=True),
        "dc_offset": number(means="mean of the samples", nullable=True),
        "non_finite_samples": whole(means="samples that are no number, or infinite"),
    },
)
"""One row per audio file found, usable or not."""
