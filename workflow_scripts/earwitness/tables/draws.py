"""The table of the published design, drawn again."""

from earwitness.tables import meanings
from earwitness.tables.columns import choice, count, number, schema, text

LEAKY_FIRST, LEAKY_EXTENDED, LEAKY_UNSEEN = "leaky_first", "leaky_extended", "leaky_unseen"
HONEST_OWN, HONEST_UNSEEN = "honest_own", "honest_unseen"
LEAKAGE_BUYS, DROP = "leakage_buys", "drop"

QUANTITIES = (LEAKY_FIRST, LEAKY_EXTENDED, LEAKY_UNSEEN, HONEST_OWN, HONEST_UNSEEN, LEAKAGE_BUYS, DROP)

DRAWS = schema(
    "draws",
    {
        "recipe": text(means=meanings.RECIPE),
        "quantity": choice(
            QUANTITIES,
            means="of the adapter trained by row: on the rows set apart first (leaky_first), on the extended ones (leaky_extended), on the"
            " grouped split's test part (leaky_unseen); of the one trained by source: on its own few test stimuli (honest_own), on the"
            " grouped test part (honest_unseen); leakage_buys: leaky_extended minus leaky_unseen, of one adapter; drop: leaky_extended"
            " minus honest_own, what the published study saw",
        ),
        "metric": choice(["accuracy", "balanced_accuracy"], means="which share of right answers"),
        "draw": text(means="number of the draw, or `all` for the mean over draws"),
        "value": number(means="share of right answers, or a difference of two"),
        "low": number(means="lower end of the interval of the mean over draws; empty for one draw", nullable=True),
        "high": number(means="upper end of the same interval", nullable=True),
        "sd": number(means="standard deviation of one draw; empty for one draw", nullable=True),
        "lowest": number(means="lowest value of any draw"),
        "highest": number(means="highest value of any draw"),
        "next_low": number(means="lower end of the prediction interval for one more draw", nullable=True),
        "next_high": number(means="upper end of the same interval", nullable=True),
        "n_draws": count(means="draws behind the row"),
        "n_items": count(means="stimuli that were asked about in one draw"),
    },
)
"""The published design on sources and rows drawn anew, per draw and over all."""
