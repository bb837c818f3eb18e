"""The table of the ledger: what the published study claimed, and what this run says of it."""

from earwitness.tables.columns import choice, number, schema, share, text

HOLDS, REFUTED, NOT_SETTLED, NOT_MEASURABLE = "holds", "refuted", "not settled", "not measurable with this base"
VERDICTS = (HOLDS, REFUTED, NOT_SETTLED, NOT_MEASURABLE)

CLAIMS = schema(
    "claims",
    {
        "claim": text(means="key of the claim in config/claims.yaml"),
        "group": text(means="title of its page in docs/claims"),
        "statement": text(means="what the study claims, in one sentence"),
        "where": text(means="where in the study"),
        "stated": text(means="the number or words that it states"),
        "about": choice(
            ["model", "method", "arithmetic"],
            means="`model`: a number of the published model, of which another model says nothing; `method`: a relation that any base can be"
            " asked about; `arithmetic`: no measurement needed",
        ),
        "quantity": text(means="what measures it here"),
        "true_where": text(means="for which values of the quantity the claim holds"),
        "unit": text(means="unit of value, low and high", may_be_empty=True),
        "value": number(means="what this run measured; empty where it measured nothing", unit="see unit", nullable=True),
        "low": number(means="lower end of its interval", unit="see unit", nullable=True),
        "high": number(means="upper end of its interval", unit="see unit", nullable=True),
        "p": share(means="p of the test that belongs to the interval", nullable=True),
        "source": text(means="table of results that the value comes from", may_be_empty=True),
        "verdict": choice(VERDICTS, means="what the interval says of the claim"),
        "would_settle": text(means="what is missing where the verdict is no decision", may_be_empty=True),
    },
    unique=["claim"],
)
"""One row per claim of config/claims.yaml, in its order."""
