"""Tables about recordings."""

import pandera.pandas as pa

from earwitness.tables.columns import label, number, schema, share, text

RECORDINGS = schema(
    "recordings",
    {
        "recording_id": text(),
        "dataset": text(),
        "path": text(),
        "sha256": pa.Column(str, pa.Check.str_matches("^[0-9a-f]{64}$")),
        "sample_rate": pa.Column(int, pa.Check.gt(0)),
        "duration_s": pa.Column(float, pa.Check.gt(0)),
        "source_id": text(),
        "category": text(),
        "label": label(),
        "licence": text(),
        "original": pa.Column(str),
        "session": pa.Column(str),
    },
    unique=["recording_id", "source_id", "label"],
)
"""One row per usable recording and source in it, of each class.

original: what the file was cut from; session: what was recorded together; "" where that is not known.
"""

SEGMENTS = schema(
    "segments",
    {
        "recording_id": text(),
        "source_id": text(),
        "label": label(),
        "start_s": pa.Column(float, pa.Check.ge(0)),
        "end_s": pa.Column(float, pa.Check.gt(0)),
    },
)
"""Stretches that clips may be cut from: one speaker alone, or the whole of a sound."""

AUDIO_CHECK = schema(
    "audio_check",
    {
        "path": text(unique=True),
        "verdict": pa.Column(str, pa.Check.isin(["ok", "broken", "excluded"])),
        "reason": pa.Column(str),
        "sample_rate": pa.Column("Int64", nullable=True),
        "channels": pa.Column("Int64", nullable=True),
        "duration_s": number(nullable=True),
        "rms_dbfs": number(nullable=True),
        "peak": number(nullable=True),
        "clipped_fraction": share(nullable=True),
        "dc_offset": number(nullable=True),
        "non_finite_samples": pa.Column("Int64", nullable=True),
    },
)
"""One row per audio file found, usable or not. reason: why it is broken or excluded; of a file that is ok, what is odd and how it is read, or ""."""
