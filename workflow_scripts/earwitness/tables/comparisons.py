"""Tables of differences between systems and between test sets."""

from earwitness.tables import meanings
from earwitness.tables.columns import choice, conclusion, count, number, schema, share, text

COMPARISONS = schema(
    "comparisons",
    {
        "system_a": text(means=meanings.SYSTEM),
        "system_b": text(means="the system that it is compared with"),
        "question": choice(
            ["fine_tuning", "leakage", "recipes", "detectors", "hearing", "saying", "models", "adapted_models"],
            means="what the two are compared for (earwitness.evaluation.comparison.QUESTIONS)",
        ),
        "role": choice(
            ["primary", "exploratory"], means="primary: the one contrast per question that was declared beforehand, tested without correction"
        ),
        "test_set": text(means=meanings.TEST_SET),
        "difference": number(means="balanced accuracy of a minus that of b on the same stimuli, mean over seeds"),
        "low": number(means="lower end of its interval for new sources (and new seeds), which belongs to the conclusion", nullable=True),
        "high": number(means="upper end of the same interval", nullable=True),
        "interval_confidence": share(means=meanings.INTERVAL_CONFIDENCE),
        "p_clustered_t": share(means=meanings.P_CLUSTERED, nullable=True),
        "p_sign_flip": share(means="exact p of flipping the signs of sources' differences; empty where a system has several seeds", nullable=True),
        "p_durkalski": share(means="p of Durkalski's test for clustered pairs; empty where a system has several seeds", nullable=True),
        "p_tost": share(means=meanings.P_TOST, nullable=True),
        "p_holm": share(means="the clustered p after Holm's correction over the exploratory contrasts; a primary one's own p", nullable=True),
        "conclusion": conclusion(),
        "only_a_correct": count(means="stimuli that a alone answers right, by the majority of seeds"),
        "only_b_correct": count(means="stimuli that b alone answers right, by the majority of seeds"),
        "p_mcnemar_assumes_independent_items": share(means="McNemar's exact p, which takes stimuli for independent; for comparison only"),
        "n_items": count(means=meanings.N_ITEMS),
        "n_sources": count(means=meanings.N_SOURCES),
    },
)
"""Paired comparisons of two systems on the same stimuli."""

LEAKAGE = schema(
    "leakage",
    {
        "system_id": text(means=meanings.SYSTEM),
        "seed": text(means=meanings.SEED_OR_ALL),
        "metric": text(means="`balanced_accuracy`, `speech_accuracy` or `nonspeech_accuracy`"),
        "own_test": share(means="accuracy on the test rows of the leaky split, whose sources the adapter trained on"),
        "unseen_sources": share(means="accuracy on sources that it never heard"),
        "inflation": number(means="own_test minus unseen_sources: what leakage buys"),
        "low": number(means=meanings.LOW, nullable=True),
        "high": number(means=meanings.HIGH, nullable=True),
        "base_own_test": share(means="accuracy of the base on the same rows: it shows how far the two sets differ in difficulty"),
        "base_unseen_sources": share(means="accuracy of the base on the same unseen sources"),
    },
)
"""What leakage buys: one adapter on its own row-random test rows and on sources that it never heard."""
