"""What can be concluded from comparisons, what would settle them, and what each phase brought."""

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

POWER = schema(
    "power",
    {
        "system_a": text(),
        "system_b": text(),
        "conclusion": conclusion(),
        "difference": number(),
        "standard_error": number(nullable=True),
        "n_seeds": count(),
        "n_speech_sources": count(),
        "n_nonspeech_sources": count(),
        "level": share(),
        "power": share(),
        "minimum_detectable_difference": number(nullable=True),
        "times_sources_for_observed": number(nullable=True),
        "times_sources_for_margin": number(nullable=True),
        "times_sources_for_equivalence": number(nullable=True),
    },
)
"""What would settle each comparison (earwitness.evaluation.power), with as many seeds and stimuli per source as here. level: of one two-sided test,
the family's level over the number of pairs. minimum_detectable_difference: found with that power from the present sources.
times_sources_...: by how much both classes' numbers of sources would have to be multiplied to find a true difference of the
observed size, to find one of the equivalence margin, and to show equivalence where there is none; inf where no number of sources is
enough for these seeds, empty where a class has fewer than two sources."""

VARIANCE = schema(
    "variance",
    {
        "system_id": text(),
        "test_set": text(),
        "component": pa.Column(str, pa.Check.isin(["seed", "speech_source", "nonspeech_source", "speech_residual", "nonspeech_residual"])),
        "n": count(),
        "sd": pa.Column(float, pa.Check.ge(0), nullable=True),
        "share_of_variance": share(nullable=True),
    },
)
"""Two-way variance components of accuracy. sd: of seeds in balanced accuracy; of sources in their class's accuracy; residual: seed by
source with the chance of single stimuli. share_of_variance: of the variance of the mean balanced accuracy. Seed and residual are
empty where there is one seed: the residual is then part of the source. n: seeds or sources."""

PHASES = schema(
    "phases",
    {
        "phase": pa.Column(str, pa.Check.isin(["reference", "zero-shot", "prompt", "fine-tuned", "ensemble"])),
        "system_id": text(),
        "name": text(),
        "estimate": share(),
        "low": share(nullable=True),
        "high": share(nullable=True),
        "change": number(),
        "change_low": number(nullable=True),
        "change_high": number(nullable=True),
        "n_sources": count(),
    },
)
"""Balanced accuracy on unseen sources, phase by phase of the study; change: against zero-shot on the same stimuli. Intervals clustered
by source and, where a system has several, by seed."""
