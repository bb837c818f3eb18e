"""Tables of experiments: recipes, seeds, splits, costs, learning curves and sizes of test sets."""

import pandera.pandas as pa

from earwitness.tables.columns import count, number, schema, share, text

EXPERIMENT = schema(
    "experiment",
    {
        "recipe": text(),
        "split": text(),
        "test_set": text(),
        "seed": text(),
        "train_speech_sources": count(),
        "train_nonspeech_sources": count(),
        "balanced_accuracy": share(),
        "low": share(nullable=True),
        "high": share(nullable=True),
        "gain": number(),
        "gain_low": number(nullable=True),
        "gain_high": number(nullable=True),
        "against_first": number(nullable=True),
        "against_first_low": number(nullable=True),
        "against_first_high": number(nullable=True),
        "interval": text(),
        "n_items": count(),
        "n_speech_sources": count(),
        "n_nonspeech_sources": count(),
        "reliability": pa.Column(str, pa.Check.isin(["ok", "few_sources", "descriptive_only"])),
    },
)
"""seed: a number or "all". test_set: "unseen", "row_random", the name of a fold or of a redrawn split, or "every_source": every fold's answers to the
sources it did not hear, as one system's, whose split is "folds". gain: over the base, on the same stimuli. against_first: over
the experiment's first recipe, trained on the same split with the same seeds; empty for itself."""

LEARNING_CURVE = schema(
    "learning_curve",
    {
        "recipe": text(),
        "kind": pa.Column(str, pa.Check.isin(["measured", "fitted", "extrapolated"])),
        "training_speakers": count(),
        "balanced_accuracy": share(),
        "low": share(nullable=True),
        "high": share(nullable=True),
    },
)
"""On unseen sources; fitted: a line through the log-odds against the logarithm of the number of training speakers."""

TEST_SIZES = schema(
    "test_sizes",
    {
        "system_id": text(),
        "n_items": count(),
        "n_sources": count(),
        "draws": count(),
        "balanced_accuracy": share(),
        "lowest": share(),
        "highest": share(),
        "half_width": number(nullable=True),
        "gain": number(nullable=True),
        "gain_half_width": number(nullable=True),
        "minimum_detectable_gain": number(nullable=True),
        "share_of_draws_that_show_a_gain": share(nullable=True),
    },
)
"""Test sets of n_items drawn from the unseen sources. lowest, highest: 2.5 and 97.5 % quantiles of the estimate over draws;
half widths are medians of intervals clustered by source. gain: over the base, on the same items."""

EFFICIENCY = schema(
    "efficiency",
    {
        "recipe": text(),
        "split": text(),
        "seed": text(),
        "balanced_accuracy": share(),
        "trainable_parameters": count(),
        "adapter_bytes": count(),
        "load_s": number(),
        "wall_s": number(),
        "processor_s": number(),
        "samples": count(),
        "ms_per_sample": number(nullable=True),
        "peak_memory_bytes": count(),
        "device": text(),
    },
)
"""What training took; times and memory differ from run to run."""
