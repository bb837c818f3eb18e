"""The table of what failed checks found."""

import pandera.pandas as pa

from earwitness.tables.columns import schema, text

EVIDENCE = schema(
    "evidence",
    {
        "check": text(),
        "part_a": pa.Column(str),
        "part_b": pa.Column(str),
        "item_a": pa.Column(str),
        "item_b": pa.Column(str),
        "source_a": pa.Column(str),
        "source_b": pa.Column(str),
        "detail": text(),
    },
)
"""What the leakage audit's failed checks found: one row per offending pair or item; "" where a column does not apply."""
