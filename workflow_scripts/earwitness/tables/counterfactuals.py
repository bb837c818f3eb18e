"""The table of answers to changed stimuli."""

from earwitness.tables.columns import label, number, schema, text

COUNTERFACTUALS = schema(
    "counterfactuals",
    {"stimulus_id": text(), "source_id": text(), "label": label(), "variant": text(), "log_odds": number()},
)
"""What the base model answers to variants of a stimulus (earwitness.stimuli.counterfactuals); log_odds as in PREDICTIONS."""
