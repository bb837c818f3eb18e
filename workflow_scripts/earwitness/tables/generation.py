"""The table of scores against generated answers."""

from earwitness.tables import meanings
from earwitness.tables.columns import count, number, schema, share, text

GENERATION = schema(
    "generation",
    {
        "prompt_id": text(means=meanings.PROMPT),
        "speech_answer": text(means="the answer that stands for speech in this option order"),
        "n_stimuli": count(means="stimuli that were asked about both ways"),
        "n_agreeing": count(means="stimuli whose generated answer is the one with the higher score"),
        "agreement": share(means="their share"),
        "largest_disagreeing_log_odds": number(
            means="largest absolute log-odds among the others: it tells ties from errors; empty where all agree", unit="nats", nullable=True
        ),
        "median_coverage": share(means="median share of the probability that the two answers have together"),
        "mean_letter_bias": number(
            means="by how much the letter A is favoured, whatever it means; empty where the answer is no letter", unit="nats", nullable=True
        ),
    },
)
"""Scores against constrained generate(), one row per option order."""
