"""The table of what must stay together in a split."""

from earwitness.tables.columns import schema, text

TIES = schema("ties", {"source_a": text(), "source_b": text(), "why": text()})
"""Two sources that must be in one part, and why."""
