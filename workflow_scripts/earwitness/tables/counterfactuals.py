"""The table of answers to changed stimuli."""

from earwitness.tables import meanings
from earwitness.tables.columns import label, number, schema, text

COUNTERFACTUALS = schema(
    "counterfactuals",
    {
        "stimulus_id": text(means=meanings.STIMULUS),
        "source_id": text(means=meanings.SOURCE),
        "label": label(),
        "variant": text(means="how the stimulus was changed: moved, padded, levelled otherwise, or replaced by noise; `original` as it is"),
        "log_odds": number(means=meanings.LOG_ODDS, unit="nats"),
    },
)
"""What the base model answers to variants of a stimulus (earwitness.stimuli.counterfactuals)."""
