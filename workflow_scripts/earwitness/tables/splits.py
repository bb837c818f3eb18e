"""The table of a split."""

import pandera.pandas as pa

from earwitness.tables.columns import label, schema, text

SPLIT = schema(
    "split",
    {
        "stimulus_id": text(unique=True),
        "clip_id": text(),
        "source_id": text(),
        "label": label(),
        "part": pa.Column(str, pa.Check.isin(["train", "dev", "test"])),
    },
)
"""Which part each stimulus of a split belongs to; stimuli that the split does not use have no row."""
