"""Tables of accuracy."""

import pandera.pandas as pa

from earwitness.tables.columns import count, label, number, schema, share, text

ACCURACY = schema(
    "accuracy",
    {
        "system_id": text(),
        "trained_on": text(),
        "test_set": text(),
        "seed": text(),
        "metric": pa.Column(str, pa.Check.isin(["balanced_accuracy", "accuracy", "speech_accuracy", "nonspeech_accuracy"])),
        "estimate": share(),
        "low": share(nullable=True),
        "high": share(nullable=True),
        "naive_low": share(nullable=True),
        "naive_high": share(nullable=True),
        "interval": text(),
        "n_items": count(),
        "n_speech_sources": count(),
        "n_nonspeech_sources": count(),
        "reliability": pa.Column(str, pa.Check.isin(["ok", "few_sources", "descriptive_only"])),
    },
)
"""seed: a number, "all" (mean over several seeds), or "-" (no training). trained_on names a split; "-" where not trained.
test_set: "unseen" (test part of the grouped split) or "row_random" (test part of that split). interval: "jackknife_t",
"two_way_t" (over sources and seeds), or "none". Counts are of what enters the metric. The naive interval assumes independent items."""

SOURCE_ACCURACY = schema(
    "source_accuracy",
    {
        "system_id": text(),
        "trained_on": text(),
        "test_set": text(),
        "seed": text(),
        "source_id": text(),
        "label": label(),
        "n_items": count(),
        "accuracy": share(),
    },
)

CONDITION_ACCURACY = schema(
    "condition_accuracy",
    {
        "system_id": text(),
        "trained_on": text(),
        "test_set": text(),
        "duration_ms": pa.Column(int, pa.Check.gt(0)),
        "snr_db": number(),
        "balanced_accuracy": share(),
        "n_items": count(),
    },
)
"""Mean over seeds."""
