"""Do the scores answer as the model itself would? Checked on a random part of the stimuli."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from earwitness.core.randomness import stream
from earwitness.model.engine.generation import compare_with_scores
from earwitness.model.engine.prompting import Prompt
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.feature_files import pad, read_features, stimuli_of

BATCH = 64


def check_generation(loaded: LoadedModel, features: Sequence[Path], prompt: Prompt, most: int, seed: int) -> pd.DataFrame:
    """Compare scores with constrained generate() on at most `most` stimuli of files of features, drawn by the seed.

    Returns earwitness.tables.generation.GENERATION. Raises InputError as earwitness.model.feature_files.read_features does.
    """
    names = sorted(name for file in features for name in stimuli_of(file))
    drawn = set(stream(seed, "check_generation").permutation(names)[:most])
    vectors = [row for _, rows in read_features(loaded, features, drawn) for row in rows]
    batches = [pad(vectors[start : start + BATCH], loaded.device) for start in range(0, len(vectors), BATCH)]
    return compare_with_scores(loaded, batches, prompt)
