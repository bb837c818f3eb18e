"""The table of what was achieved under each condition."""

from earwitness.tables import meanings
from earwitness.tables.columns import count, duration_ms, label, number, schema, text

STIMULUS_SUMMARY = schema(
    "stimulus_summary",
    {
        "label": label(),
        "design": text(means=meanings.DESIGN),
        "axis": text(means="what the condition changes, as in the stimuli"),
        "duration_ms": duration_ms(),
        "snr_db": number(means=meanings.SNR, unit="dB", nullable=True),
        "band": text(means=meanings.BAND),
        "room": text(means=meanings.ROOM),
        "n": count(means="stimuli"),
        "n_sources": count(means=meanings.N_SOURCES),
        "max_abs_snr_error_db": number(means="largest distance between achieved and requested SNR; empty without noise", unit="dB", nullable=True),
        "max_abs_level_error_db": number(means="largest distance between achieved and requested level", unit="dB"),
    },
)
"""One row per class and condition."""
