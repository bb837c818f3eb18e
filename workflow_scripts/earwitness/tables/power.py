"""Tables of what would settle each comparison, and of where the variance of an accuracy comes from."""

import pandera.pandas as pa

from earwitness.tables import meanings
from earwitness.tables.columns import choice, conclusion, count, number, schema, share, text

_TIMES = "by how much both classes' numbers of sources would have to be multiplied {}; inf where no number is enough for these seeds"

POWER = schema(
    "power",
    {
        "system_a": text(means=meanings.SYSTEM),
        "system_b": text(means="the system that it is compared with"),
        "conclusion": conclusion(),
        "difference": number(means="balanced accuracy of a minus that of b"),
        "standard_error": number(means="its standard error for new sources and seeds", nullable=True),
        "n_seeds": count(means="training seeds behind it"),
        "n_speech_sources": count(means=meanings.N_SPEECH_SOURCES),
        "n_nonspeech_sources": count(means=meanings.N_NONSPEECH_SOURCES),
        "level": share(means="level of one two-sided test: that of a primary contrast as it stands, of an exploratory one over their number"),
        "power": share(means="the wanted power, `statistics.power`"),
        "minimum_detectable_difference": number(means="smallest true difference found with that power from the present sources", nullable=True),
        "times_sources_for_observed": number(means=_TIMES.format("to find a true difference of the observed size"), nullable=True),
        "times_sources_for_margin": number(means=_TIMES.format("to find a true difference as large as the equivalence margin"), nullable=True),
        "times_sources_for_equivalence": number(means=_TIMES.format("to show equivalence where the true difference is 0"), nullable=True),
    },
)
"""What would settle each comparison, with as many seeds and stimuli per source as here. Empty where a class has fewer than two sources."""

VARIANCE = schema(
    "variance",
    {
        "system_id": text(means=meanings.SYSTEM),
        "test_set": text(means=meanings.TEST_SET),
        "component": choice(
            ["seed", "speech_source", "nonspeech_source", "speech_residual", "nonspeech_residual"],
            means="where the variance comes from; residual: seed by source, with the chance of single stimuli",
        ),
        "n": count(means="seeds or sources"),
        "sd": number(
            means="standard deviation: of seeds in balanced accuracy, of sources in their class's accuracy; empty for seed and residual where there"
            " is one seed, whose residual is part of the source",
            nullable=True,
            check=pa.Check.ge(0),
        ),
        "share_of_variance": share(means="share of the variance of the mean balanced accuracy", nullable=True),
    },
)
"""Two-way variance components of accuracy."""
