"""Asking a model about every stimulus of a set, shard by shard, into prediction rows."""

from collections.abc import Iterable, Set
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from earshot.engine.checkpoint import Checkpoint
from earshot.engine.prompting import Prompt
from earshot.engine.scoring import score
from earshot.errors import InputError
from earshot.tables import PREDICTIONS, STIMULI, iterate_audio, validate


def ask(
    checkpoint: Checkpoint, shards: Iterable[Path], prompt: Prompt, system_id: str, seed: int | None, batch_size: int, only: Set[str] | None = None
) -> pd.DataFrame:
    """Prediction rows (earshot.tables.PREDICTIONS), sorted by stimulus_id.

    only: the stimuli to ask about; None asks about all. A tie answers NONSPEECH.
    Raises InputError where a wanted stimulus is in no shard.
    """
    parts = []
    with tqdm(total=None if only is None else len(only), unit="stimulus", mininterval=5, desc=system_id) as progress:
        for shard in shards:
            for rows, waveforms in iterate_audio(shard, STIMULI, batch_size):
                chosen = [i for i, name in enumerate(rows.stimulus_id) if only is None or name in only]
                if not chosen:
                    continue
                scores = score(checkpoint, [waveforms[i] for i in chosen], prompt)
                parts.append(
                    pd.DataFrame(
                        {
                            "stimulus_id": rows.stimulus_id.iloc[chosen].to_numpy(),
                            "log_odds": scores.log_odds,
                            "answer": np.where(scores.log_odds > 0, "SPEECH", "NONSPEECH"),
                            "coverage": scores.coverage,
                            "n_audio_tokens": scores.n_audio_tokens,
                        }
                    )
                )
                progress.update(len(chosen))
    if not parts:
        raise InputError("none of the stimuli to ask about is in the shards; make the split again from these stimuli")
    table = pd.concat(parts, ignore_index=True).sort_values("stimulus_id", ignore_index=True)
    if only is not None and len(table) < len(only):
        missing = sorted(set(only) - set(table.stimulus_id))
        raise InputError(f"stimulus {missing[0]} (and {len(missing) - 1} more) is in no shard; make the split again from these stimuli")
    return validate(table.assign(system_id=system_id, prompt_id=prompt.prompt_id, seed=seed), PREDICTIONS)
