"""The table of what base models may have heard."""

from earwitness.tables.columns import choice, schema, text

PRETRAINING_CORPORA = schema(
    "pretraining_corpora",
    {
        "model": text(means="the model, as the hub or its folder calls it; `*` for any"),
        "dataset": text(means="the data set, in any case"),
        "certainty": choice(["stated", "likely", "unknown", "excluded"], means="how sure it is that the model heard it in training"),
        "known": text(means="what is known, in a sentence"),
        "stated": text(means="where that is stated"),
    },
)
"""What is publicly known about whether a base model heard a data set in training."""
