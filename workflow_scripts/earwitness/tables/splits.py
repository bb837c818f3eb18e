"""The table of a split."""

from earwitness.tables import meanings
from earwitness.tables.columns import choice, label, schema, text

SPLIT = schema(
    "split",
    {
        "stimulus_id": text(means=meanings.STIMULUS, unique=True),
        "clip_id": text(means=meanings.CLIP),
        "source_id": text(means=meanings.SOURCE),
        "label": label(),
        "part": choice(["train", "dev", "test"], means="`train`: adapters learn from it; `dev`: what is tuned is tuned on it; `test`: reported once"),
    },
)
"""Which part each stimulus of a split belongs to; stimuli that the split does not use have no row."""
