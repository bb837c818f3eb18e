"""The table of one prompt search."""

from earwitness.tables import meanings
from earwitness.tables.columns import choice, column, count, number, schema, share, text

ORIGINS = ["initial", "direct", "searched"]
"""Where a question of a search comes from: the one it begins with, written by hand, or written by the proposer."""

PROMPT_SCORES = schema(
    "prompt_scores",
    {
        "iteration": count(means="round of the search that proposed the question; 0 before the first"),
        "origin": choice(ORIGINS, means="where the question comes from: the one that the search begins with, written by hand, or by the proposer"),
        "prompt_id": text(means=meanings.PROMPT),
        "question": text(means=meanings.QUESTION),
        "n_characters": count(means="length of the question"),
        "n_tokens": count(means="the same in the base's tokens"),
        "n_stimuli": count(means="stimuli of the search that were asked about before the question was dropped"),
        "balanced_accuracy": share(means="balanced accuracy on them"),
        "margin": number(means="mean log-odds of the right answer on them, classes weighing the same", unit="nats"),
        "gain": number(means="balanced accuracy minus the initial question's on the same stimuli"),
        "n_development": count(means="development stimuli that were asked about; 0 for what was no finalist"),
        "development_balanced_accuracy": share(means="balanced accuracy on them; empty for what was no finalist", nullable=True),
        "development_margin": number(means="margin on them; empty for what was no finalist", unit="nats", nullable=True),
        "chosen": column(bool, means="is it the question that the search ends with"),
    },
)
"""One row per question of one search, the initial question first."""
