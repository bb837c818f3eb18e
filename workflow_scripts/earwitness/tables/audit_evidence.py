"""The table of what failed checks found."""

from earwitness.tables.columns import schema, text

EVIDENCE = schema(
    "evidence",
    {
        "check": text(means="number of the check that failed, such as L03; the certificate says what it looks for"),
        "part_a": text(means="part of the split that the first item is in", may_be_empty=True),
        "part_b": text(means="part that the second item is in", may_be_empty=True),
        "item_a": text(means="the first item: a stimulus, or a row of a manifest", may_be_empty=True),
        "item_b": text(means="the second item", may_be_empty=True),
        "source_a": text(means="source of the first item", may_be_empty=True),
        "source_b": text(means="source of the second item", may_be_empty=True),
        "detail": text(means="what was found, in words"),
    },
)
"""What the leakage audit's failed checks found: one row per offending pair or item; "" where a column does not apply."""
