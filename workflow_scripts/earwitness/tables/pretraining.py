"""The table of what base models may have heard."""

import pandera.pandas as pa

from earwitness.tables.columns import schema, text

PRETRAINING_CORPORA = schema(
    "pretraining_corpora",
    {
        "model": text(),
        "dataset": text(),
        "certainty": pa.Column(str, pa.Check.isin(["stated", "likely", "unknown", "excluded"])),
        "known": text(),
        "stated": text(),
    },
)
"""What is publicly known about whether a base model heard a dataset in training, and where that is stated."""
