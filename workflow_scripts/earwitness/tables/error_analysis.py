"""What systems get wrong."""

import pandera.pandas as pa

from earwitness.tables.columns import count, label, number, schema, share, text

ERRORS = schema(
    "errors",
    {
        "system_id": text(),
        "stimulus_id": text(),
        "source_id": text(),
        "label": label(),
        "category": text(),
        "duration_ms": pa.Column(int, pa.Check.gt(0)),
        "snr_db": number(nullable=True),
        "n_wrong": pa.Column(int, pa.Check.ge(1)),
        "n_seeds": pa.Column(int, pa.Check.ge(1)),
        "log_odds": number(),
    },
)
"""Stimuli of unseen sources that at least one seed gets wrong; log_odds: mean over seeds."""

ERROR_RATES = schema(
    "error_rates",
    {
        "system_id": text(),
        "label": label(),
        "factor": pa.Column(str, pa.Check.isin(["all", "category", "duration_ms", "snr_db"])),
        "value": text(),
        "error_rate": share(),
        "low": share(nullable=True),
        "high": share(nullable=True),
        "n_items": count(),
        "n_sources": count(),
    },
)
"""Share of a class's unseen stimuli that is wrong (misses, false alarms), mean over seeds, intervals clustered by source (and seed)."""
