"""The table of clips."""

from earwitness.tables import meanings
from earwitness.tables.columns import label, schema, second, share, text

CLIPS = schema(
    "clips",
    {
        "clip_id": text(means=meanings.CLIP, unique=True),
        "recording_id": text(means=meanings.RECORDING),
        "source_id": text(means=meanings.SOURCE),
        "label": label(),
        "category": text(means=meanings.CATEGORY),
        "start_s": second(means="where the clip starts in its recording"),
        "end_s": second(means="where it ends", above=True),
        "active_fraction": share(means="share of the clip in which something sounds"),
    },
)
"""One row per clip; the Parquet files carry an `audio` column besides."""
