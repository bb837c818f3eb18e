"""The table of the ledger: what the published study claimed, and what this run says of it."""

import pandera.pandas as pa

from earwitness.tables.columns import number, schema, share, text

HOLDS, REFUTED, NOT_SETTLED, NOT_MEASURABLE = "holds", "refuted", "not settled", "not measurable with this base"
VERDICTS = (HOLDS, REFUTED, NOT_SETTLED, NOT_MEASURABLE)

CLAIMS = schema(
    "claims",
    {
        "claim": text(),
        "group": text(),
        "statement": text(),
        "where": text(),
        "stated": text(),
        "about": pa.Column(str, pa.Check.isin(["model", "method", "arithmetic"])),
        "quantity": text(),
        "true_where": text(),
        "unit": pa.Column(str),
        "value": number(nullable=True),
        "low": number(nullable=True),
        "high": number(nullable=True),
        "p": share(nullable=True),
        "source": pa.Column(str),
        "verdict": pa.Column(str, pa.Check.isin(VERDICTS)),
        "would_settle": pa.Column(str),
    },
    unique=["claim"],
)
"""One row per claim of config/claims.yaml, in its order. group: the title of its page in docs/claims. about: whether it is of the
published model (a number that another model says
nothing of), of the method (a relation that any base can be asked about) or of arithmetic (no measurement needed). value, low, high, p:
what this run measured, in `unit`, and the table that it comes from (source); empty where it measured nothing. would_settle: what is
missing where the verdict is "not settled" or "not measurable with this base"."""
