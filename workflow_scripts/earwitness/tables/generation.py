"""The table of scores against generated answers."""

from earwitness.tables.columns import count, number, schema, share, text

GENERATION = schema(
    "generation",
    {
        "prompt_id": text(),
        "speech_answer": text(),
        "n_stimuli": count(),
        "n_agreeing": count(),
        "agreement": share(),
        "largest_disagreeing_log_odds": number(nullable=True),
        "median_coverage": share(),
        "mean_letter_bias": number(nullable=True),
    },
)
"""Scores against constrained generate(), one row per option order: speech_answer is what stands for speech in it. The largest
absolute log-odds among disagreeing stimuli tells ties from errors; empty where all agree. mean_letter_bias: nats by which A is
favoured whatever it means; empty where the answer is no letter."""
