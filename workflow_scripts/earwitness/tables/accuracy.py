"""Tables of accuracy."""

from earwitness.tables import meanings
from earwitness.tables.columns import choice, count, duration_ms, label, number, reliability, schema, share, text

ACCURACY = schema(
    "accuracy",
    {
        "system_id": text(means=meanings.SYSTEM),
        "trained_on": text(means=meanings.TRAINED_ON),
        "test_set": text(means=meanings.TEST_SET),
        "seed": text(means=meanings.SEED_OR_ALL),
        "metric": choice(
            ["balanced_accuracy", "accuracy", "speech_accuracy", "nonspeech_accuracy"],
            means="which share of right answers: over both classes alike, over all stimuli, over one class",
        ),
        "estimate": share(means=meanings.ESTIMATE),
        "low": share(means=meanings.LOW, nullable=True),
        "high": share(means=meanings.HIGH, nullable=True),
        "naive_low": share(means="lower end of the interval that takes stimuli for independent; too narrow, for comparison only", nullable=True),
        "naive_high": share(means="upper end of the same interval", nullable=True),
        "interval": text(means=meanings.INTERVAL),
        "n_items": count(means="stimuli that enter the metric"),
        "n_speech_sources": count(means="sources of speech that enter the metric"),
        "n_nonspeech_sources": count(means="other sources that enter the metric"),
        "reliability": reliability(),
    },
)
"""How often each system is right: one row per system, test set, seed and metric."""

SOURCE_ACCURACY = schema(
    "source_accuracy",
    {
        "system_id": text(means=meanings.SYSTEM),
        "trained_on": text(means=meanings.TRAINED_ON),
        "test_set": text(means=meanings.TEST_SET),
        "seed": text(means=meanings.SEED_OR_ALL),
        "source_id": text(means=meanings.SOURCE),
        "label": label(),
        "n_items": count(means="stimuli of this source"),
        "accuracy": share(means="share of them that is answered right"),
    },
)
"""Accuracy on each source: what every interval is made of."""

CONDITION_ACCURACY = schema(
    "condition_accuracy",
    {
        "system_id": text(means=meanings.SYSTEM),
        "trained_on": text(means=meanings.TRAINED_ON),
        "test_set": text(means=meanings.TEST_SET),
        "duration_ms": duration_ms(),
        "snr_db": number(means=meanings.SNR, unit="dB"),
        "balanced_accuracy": share(means=meanings.BALANCED_ACCURACY + "; mean over seeds"),
        "n_items": count(means=meanings.N_ITEMS),
    },
)
"""Balanced accuracy for each duration and signal-to-noise ratio."""
