"""The table of clips."""

import pandera.pandas as pa

from earwitness.tables.columns import label, schema, share, text

CLIPS = schema(
    "clips",
    {
        "clip_id": text(unique=True),
        "recording_id": text(),
        "source_id": text(),
        "label": label(),
        "category": text(),
        "start_s": pa.Column(float, pa.Check.ge(0)),
        "end_s": pa.Column(float, pa.Check.gt(0)),
        "active_fraction": share(),
    },
)
"""One row per clip; the Parquet files carry an `audio` column besides."""
