"""The table that every system's answers are in."""

import pandera.pandas as pa

from earwitness.tables.columns import label, number, schema, share, text

PREDICTIONS = schema(
    "predictions",
    {
        "stimulus_id": text(),
        "system_id": text(),
        "prompt_id": text(),
        "seed": pa.Column("Int64", nullable=True),
        "log_odds": number(),
        "answer": label(),
        "coverage": share(nullable=True),
        "letter_bias": number(nullable=True),
        "n_audio_tokens": pa.Column("Int64", nullable=True),
    },
)
"""log_odds: SPEECH minus NONSPEECH, nats. letter_bias: how much the model favours the letter A, nats; empty where the answer
is no letter. seed, coverage, letter_bias and n_audio_tokens are empty for detectors; seed for the base."""
