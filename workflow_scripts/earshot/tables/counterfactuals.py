"""The table of answers to changed stimuli."""

from earshot.tables.columns import label, number, schema, text

COUNTERFACTUALS = schema(
    "counterfactuals",
    {"stimulus_id": text(), "source_id": text(), "label": label(), "variant": text(), "log_odds": number()},
)
"""What the base model answers to variants of a stimulus (earshot.counterfactuals); log_odds as in PREDICTIONS."""
