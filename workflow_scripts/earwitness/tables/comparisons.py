"""Tables of differences between systems and between test sets."""

from earwitness.tables.columns import conclusion, count, number, schema, share, text

COMPARISONS = schema(
    "comparisons",
    {
        "system_a": text(),
        "system_b": text(),
        "test_set": text(),
        "difference": number(),
        "low": number(nullable=True),
        "high": number(nullable=True),
        "p_clustered_t": share(nullable=True),
        "p_sign_flip": share(nullable=True),
        "p_durkalski": share(nullable=True),
        "p_tost": share(nullable=True),
        "p_holm": share(nullable=True),
        "conclusion": conclusion(),
        "only_a_correct": count(),
        "only_b_correct": count(),
        "p_mcnemar_assumes_independent_items": share(),
        "n_items": count(),
        "n_sources": count(),
    },
)
"""difference: balanced accuracy of a minus b on the same stimuli, averaged over seeds. The interval, p_clustered_t and
p_tost (equivalence within the margin) hold for new sources and, where a system has several seeds, new seeds; p_sign_flip
and p_durkalski for new sources alone, so they are empty where there are several. p_holm adjusts p_clustered_t over the table.
Clustered p-values are empty below 6 sources in a class."""

LEAKAGE = schema(
    "leakage",
    {
        "system_id": text(),
        "seed": text(),
        "metric": text(),
        "own_test": share(),
        "unseen_sources": share(),
        "inflation": number(),
        "low": number(nullable=True),
        "high": number(nullable=True),
        "base_own_test": share(),
        "base_unseen_sources": share(),
    },
)
"""What leakage buys: the same adapter on its own row-random test rows and on sources it never heard; the base on the
same two sets shows how far they differ in difficulty."""
