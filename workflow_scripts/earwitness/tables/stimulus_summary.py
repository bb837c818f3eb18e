"""The table of what was achieved under each condition."""

import pandera.pandas as pa

from earwitness.tables.columns import count, label, number, schema, text

STIMULUS_SUMMARY = schema(
    "stimulus_summary",
    {
        "label": label(),
        "design": text(),
        "axis": text(),
        "duration_ms": pa.Column(int, pa.Check.gt(0)),
        "snr_db": number(nullable=True),
        "band": text(),
        "room": text(),
        "n": count(),
        "n_sources": count(),
        "max_abs_snr_error_db": number(nullable=True),
        "max_abs_level_error_db": number(),
    },
)
"""One row per class and condition, as in STIMULI; the errors are achieved minus requested, no SNR error without noise."""
