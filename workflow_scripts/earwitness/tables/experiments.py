"""Tables of experiments: recipes, seeds, splits, costs, learning curves and sizes of test sets."""

from earwitness.tables import meanings
from earwitness.tables.columns import choice, count, number, reliability, schema, share, text

EXPERIMENT = schema(
    "experiment",
    {
        "recipe": text(means=meanings.RECIPE),
        "split": text(means="split that the adapters trained on; `folds`: all folds together"),
        "test_set": text(
            means="`unseen`; `row_random`; the name of a fold or of a redrawn split; `every_source`: every fold's answers to the sources that it"
            " did not hear, as one system's"
        ),
        "seed": text(means="training seed, or `all` for the mean over several"),
        "train_speech_sources": count(means="sources of speech that it trained on"),
        "train_nonspeech_sources": count(means="other sources that it trained on"),
        "balanced_accuracy": share(means=meanings.BALANCED_ACCURACY),
        "low": share(means=meanings.LOW, nullable=True),
        "high": share(means=meanings.HIGH, nullable=True),
        "gain": number(means="balanced accuracy minus that of the base on the same stimuli"),
        "gain_low": number(means=meanings.LOW, nullable=True),
        "gain_high": number(means=meanings.HIGH, nullable=True),
        "against_first": number(
            means="balanced accuracy minus that of the experiment's first recipe, with the same split and seeds; empty for itself", nullable=True
        ),
        "against_first_low": number(means=meanings.LOW, nullable=True),
        "against_first_high": number(means=meanings.HIGH, nullable=True),
        "interval": text(means=meanings.INTERVAL),
        "n_items": count(means=meanings.N_ITEMS),
        "n_speech_sources": count(means=meanings.N_SPEECH_SOURCES),
        "n_nonspeech_sources": count(means=meanings.N_NONSPEECH_SOURCES),
        "reliability": reliability(),
    },
)
"""Every recipe and split of an experiment, per seed and over all."""

LEARNING_CURVE = schema(
    "learning_curve",
    {
        "recipe": text(means=meanings.RECIPE),
        "kind": choice(
            ["measured", "fitted", "extrapolated"],
            means="`fitted`: a line through the log-odds of being right against the logarithm of the number of speakers; `extrapolated`: beyond them",
        ),
        "training_speakers": count(means="speakers that it trained on"),
        "balanced_accuracy": share(means="balanced accuracy on unseen sources"),
        "low": share(means=meanings.LOW, nullable=True),
        "high": share(means=meanings.HIGH, nullable=True),
    },
)
"""Accuracy by the number of training speakers."""

TEST_SIZES = schema(
    "test_sizes",
    {
        "system_id": text(means=meanings.SYSTEM),
        "n_items": count(means="stimuli in the test set"),
        "n_sources": count(means=meanings.N_SOURCES),
        "draws": count(means="test sets of this size that were drawn"),
        "balanced_accuracy": share(means="mean over draws"),
        "lowest": share(means="2.5 % quantile over draws"),
        "highest": share(means="97.5 % quantile over draws"),
        "half_width": number(means="median half width of the interval clustered by source", nullable=True),
        "gain": number(means="gain over the base on the same stimuli, mean over draws; empty for the base", nullable=True),
        "gain_half_width": number(means="median half width of the gain's interval", nullable=True),
        "minimum_detectable_gain": number(
            means="smallest true gain that such a test set would find with the power of `statistics.power`", nullable=True
        ),
        "share_of_draws_that_show_a_gain": share(means="share of draws whose interval of the gain lies above 0", nullable=True),
    },
)
"""What test sets of several sizes, drawn from the unseen sources, would have shown."""

EFFICIENCY = schema(
    "efficiency",
    {
        "recipe": text(means=meanings.RECIPE),
        "split": text(means="split that the adapter trained on"),
        "seed": text(means="training seed"),
        "balanced_accuracy": share(means="balanced accuracy on unseen sources"),
        "trainable_parameters": count(means="parameters of the adapter"),
        "adapter_bytes": count(means="size of its weights on disk", unit="bytes"),
        "load_s": number(means="time to load the base and the stimuli", unit="s"),
        "wall_s": number(means="time to train", unit="s"),
        "processor_s": number(means="processor time to train, over all threads", unit="s"),
        "samples": count(means="stimuli that it was shown, repetitions included"),
        "ms_per_sample": number(means="wall time per stimulus shown", unit="ms", nullable=True),
        "peak_memory_bytes": count(means="most memory at once: of the GPU where there is one, else of the process", unit="bytes"),
        "device": text(means="processor or GPU that it trained on"),
    },
)
"""What training took; times and memory differ from run to run."""
