"""What a model answers to test stimuli changed in what should not matter, and to noise in their place."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from earwitness.core.progress import Progress
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.features import encode_waveforms
from earwitness.model.engine.prompting import Prompt, tokenise
from earwitness.model.engine.scoring import Scorer
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.stimuli.counterfactuals import probed, variants
from earwitness.tables.audio import iterate_audio
from earwitness.tables.stimuli import STIMULI


def probe_counterfactuals(
    loaded: LoadedModel, shards: Sequence[Path], split: pd.DataFrame, prompt: Prompt, seed: int, batches: Batches
) -> pd.DataFrame:
    """Ask about the variants (earwitness.stimuli.counterfactuals) of some stimuli of a split's test part, drawn by the seed.

    shards: stimuli with audio; split: earwitness.tables.splits.SPLIT.
    Returns earwitness.tables.counterfactuals.COUNTERFACTUALS, sorted by stimulus and variant.
    """
    wanted = set(probed(split[split.part == "test"], seed).stimulus_id)
    scorer = Scorer(loaded, [tokenise(loaded, prompt)])
    tables, made = [], []
    for shard in shards:
        for rows, waveforms in iterate_audio(shard, STIMULI, keep=lambda rows: rows.stimulus_id.isin(wanted)):
            tables.append(rows[["stimulus_id", "source_id", "label"]])
            sounds = zip(rows.stimulus_id, waveforms, rows.duration_ms, strict=True)
            made += [variants(name, waveform, duration_ms, seed, loaded.longest_waveform) for name, waveform, duration_ms in sounds]
    stimuli, answers = pd.concat(tables, ignore_index=True), []
    for variant in Progress(list(made[0]), desc="asking about changed stimuli", unit="variants"):
        changed = [of_one[variant] for of_one in made]
        scores = batches.run(lambda batch: scorer(encode_waveforms(loaded, batch))[0].log_odds, changed, "waveforms")
        answers.append(stimuli.assign(variant=variant, log_odds=np.concatenate(scores)))
    return pd.concat(answers, ignore_index=True).sort_values(["stimulus_id", "variant"])
