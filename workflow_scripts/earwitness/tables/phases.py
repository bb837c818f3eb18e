"""The table of accuracy from phase to phase."""

import pandera.pandas as pa

from earwitness.tables.columns import count, number, schema, share, text

PHASES = schema(
    "phases",
    {
        "phase": pa.Column(str, pa.Check.isin(["reference", "zero-shot", "prompt", "fine-tuned", "ensemble"])),
        "system_id": text(),
        "name": text(),
        "estimate": share(),
        "low": share(nullable=True),
        "high": share(nullable=True),
        "change": number(),
        "change_low": number(nullable=True),
        "change_high": number(nullable=True),
        "n_sources": count(),
    },
)
"""Balanced accuracy on unseen sources, phase by phase of the study; change: against zero-shot on the same stimuli. Intervals clustered
by source and, where a system has several, by seed."""
