"""The table of one prompt search."""

import pandera.pandas as pa

from earwitness.tables.columns import count, number, schema, share, text

ORIGINS = ["initial", "direct", "searched"]
"""Where a question of a search comes from: the one it begins with, written by hand, or written by the proposer."""

PROMPT_SCORES = schema(
    "prompt_scores",
    {
        "iteration": count(),
        "origin": pa.Column(str, pa.Check.isin(ORIGINS)),
        "prompt_id": text(),
        "question": text(),
        "n_characters": count(),
        "n_tokens": count(),
        "n_stimuli": count(),
        "balanced_accuracy": share(),
        "margin": number(),
        "gain": number(),
        "n_development": count(),
        "development_balanced_accuracy": share(nullable=True),
        "development_margin": number(nullable=True),
        "chosen": pa.Column(bool),
    },
)
"""One row per question of one search, the initial question first; origin "direct" is written by hand. n_stimuli of the search's
stimuli were asked about before it was dropped, and n_development of the development part: together its cost in answers.
n_tokens: of the question alone. margin: mean log-odds of the right answer, nats, classes weighing the same. gain: balanced
accuracy minus the initial question's on the same stimuli. The development columns are empty for what was no finalist."""
