"""The table of the published design, drawn again."""

import pandera.pandas as pa

from earwitness.tables.columns import count, number, schema, text

LEAKY_FIRST, LEAKY_EXTENDED, LEAKY_UNSEEN = "leaky_first", "leaky_extended", "leaky_unseen"
HONEST_OWN, HONEST_UNSEEN = "honest_own", "honest_unseen"
LEAKAGE_BUYS, DROP = "leakage_buys", "drop"

QUANTITIES = (LEAKY_FIRST, LEAKY_EXTENDED, LEAKY_UNSEEN, HONEST_OWN, HONEST_UNSEEN, LEAKAGE_BUYS, DROP)

DRAWS = schema(
    "draws",
    {
        "recipe": text(),
        "quantity": pa.Column(str, pa.Check.isin(QUANTITIES)),
        "metric": pa.Column(str, pa.Check.isin(["accuracy", "balanced_accuracy"])),
        "draw": text(),
        "value": number(),
        "low": number(nullable=True),
        "high": number(nullable=True),
        "sd": number(nullable=True),
        "lowest": number(),
        "highest": number(),
        "next_low": number(nullable=True),
        "next_high": number(nullable=True),
        "n_draws": count(),
        "n_items": count(),
    },
)
"""draw: a number, or "all" for the mean over draws, with its interval, the standard deviation of one draw, the range that was seen, and
where one more draw falls in as many cases as the confidence says (next_low, next_high). Quantities: of the adapter trained by row, on the
rows set apart first (leaky_first), on the extended ones (leaky_extended), on the grouped split's test part (leaky_unseen); of the one
trained by source, on its own few test stimuli (honest_own) and on the grouped test part (honest_unseen). leakage_buys: leaky_extended minus
leaky_unseen, of one adapter. drop: leaky_extended minus honest_own, what the published study saw."""
