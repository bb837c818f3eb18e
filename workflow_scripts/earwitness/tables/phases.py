"""The table of accuracy from phase to phase."""

from earwitness.tables import meanings
from earwitness.tables.columns import choice, count, number, schema, share, text

PHASES = schema(
    "phases",
    {
        "phase": choice(["reference", "zero-shot", "prompt", "fine-tuned", "ensemble"], means="part of the study"),
        "system_id": text(means=meanings.SYSTEM),
        "name": text(means="the system as a figure calls it"),
        "estimate": share(means="balanced accuracy on unseen sources"),
        "low": share(means=meanings.LOW, nullable=True),
        "high": share(means=meanings.HIGH, nullable=True),
        "change": number(means="balanced accuracy minus that of zero-shot on the same stimuli"),
        "change_low": number(means=meanings.LOW, nullable=True),
        "change_high": number(means=meanings.HIGH, nullable=True),
        "n_sources": count(means=meanings.N_SOURCES),
    },
)
"""Accuracy from phase to phase of the study."""
