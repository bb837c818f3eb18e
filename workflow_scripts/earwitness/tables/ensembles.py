"""The table of what ensembles gain."""

from earwitness.tables import meanings
from earwitness.tables.columns import choice, conclusion, count, number, schema, share, text

ENSEMBLES = schema(
    "ensembles",
    {
        "system_id": text(means="the ensemble"),
        "members": text(means="the system whose seeds it combines"),
        "rule": choice(["vote", "mean"], means="majority of answers, or mean of log-odds"),
        "n_seeds": count(means="seeds that it combines", minimum=2),
        "unanimous": share(means="share of stimuli on which all seeds agree"),
        "balanced_accuracy": share(means="balanced accuracy of the ensemble"),
        "single_seed_expectation": share(means="mean balanced accuracy of its seeds"),
        "gain": number(means="balanced_accuracy minus single_seed_expectation"),
        "low": number(means="lower end of the gain's interval for new sources and these seeds, which belongs to the conclusion", nullable=True),
        "high": number(means="upper end of the same interval", nullable=True),
        "interval_confidence": share(means=meanings.INTERVAL_CONFIDENCE),
        "p_clustered_t": share(means="two-sided p of the paired t-test over sources; empty below 6 sources in a class", nullable=True),
        "p_tost": share(means=meanings.P_TOST, nullable=True),
        "p_holm": share(means=meanings.P_HOLM, nullable=True),
        "conclusion": conclusion(),
        "n_items": count(means=meanings.N_ITEMS),
        "n_sources": count(means=meanings.N_SOURCES),
    },
)
"""What ensembles of an adapter's seeds gain on unseen sources over the expectation of one seed."""
