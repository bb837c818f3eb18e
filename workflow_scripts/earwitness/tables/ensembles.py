"""The table of what ensembles gain."""

import pandera.pandas as pa

from earwitness.tables.columns import conclusion, count, number, schema, share, text

ENSEMBLES = schema(
    "ensembles",
    {
        "system_id": text(),
        "members": text(),
        "rule": pa.Column(str, pa.Check.isin(["vote", "mean"])),
        "n_seeds": pa.Column(int, pa.Check.ge(2)),
        "unanimous": share(),
        "balanced_accuracy": share(),
        "single_seed_expectation": share(),
        "gain": number(),
        "low": number(nullable=True),
        "high": number(nullable=True),
        "p_clustered_t": share(nullable=True),
        "p_tost": share(nullable=True),
        "p_holm": share(nullable=True),
        "conclusion": conclusion(),
        "n_items": count(),
        "n_sources": count(),
    },
)
"""Ensembles of an adapter's seeds on unseen sources. single_seed_expectation: mean balanced accuracy of the seeds; gain: what the
ensemble has more. Interval and p-values hold for new sources and these seeds. unanimous: share of stimuli on which all seeds agree."""
