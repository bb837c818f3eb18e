"""Tables of what would settle each comparison, and of where the variance of an accuracy comes from."""

import pandera.pandas as pa

from earwitness.tables.columns import conclusion, count, number, schema, share, text

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
