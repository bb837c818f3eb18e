"""The table of what must stay together in a split."""

from earwitness.tables.columns import schema, text

TIES = schema(
    "ties",
    {"source_a": text(means="a source"), "source_b": text(means="one that must be in the same part"), "why": text(means="what ties them, in words")},
)
"""Two sources that must be in one part, and why."""
