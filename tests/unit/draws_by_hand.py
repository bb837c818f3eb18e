"""Two draws of the published design, small enough to be worked out on paper."""

import numpy as np
import pandas as pd

from earwitness.evaluation.draws import draw_table
from earwitness.systems import System
from earwitness.tables.draws import DRAWS
from earwitness.tables.files import validate


def answers_of(split: str, index: pd.DataFrame, right: dict[str, float]) -> pd.DataFrame:
    """Of each source the first share of its stimuli is answered right; sources that are not named are all right."""
    rows = []
    for source, stimuli in index.groupby("source_id"):
        count = round(right.get(source, 1.0) * len(stimuli))
        for place, item in enumerate(stimuli.itertuples()):
            speech = (item.label == "SPEECH") == (place < count)
            rows.append([item.stimulus_id, "SPEECH" if speech else "NONSPEECH", 1.0 if speech else -1.0])
    table = pd.DataFrame(rows, columns=["stimulus_id", "answer", "log_odds"])
    return table.assign(**vars(System("adapter", "attention", split, 42)), prompt_id="p", coverage=1.0, letter_bias=np.nan, n_audio_tokens=1)


def drawn_by_hand(draws: int = 2) -> pd.DataFrame:
    """By row all is right on own rows, and half of the speech of unseen sources is. By source, of one test speaker all of 2 stimuli
    are right in every draw but the last, in which none is, and all of 4 stimuli of sounds are."""
    items = [(f"{source}{k}", source, label) for source, label, n in (("U", "SPEECH", 4), ("V", "NONSPEECH", 4), ("W", "SPEECH", 4),
             ("X", "NONSPEECH", 4), ("S", "SPEECH", 6), ("N", "NONSPEECH", 6)) for k in range(n)]  # fmt: skip
    index = pd.DataFrame(items, columns=["stimulus_id", "source_id", "label"]).assign(clip_id="c", duration_ms=200, snr_db=0.0)

    def split(parts):
        rows = index[index.source_id.isin(parts)]
        return rows.assign(part=[parts[row.source_id][int(row.stimulus_id[1:]) % len(parts[row.source_id])] for row in rows.itertuples()])

    own = ["train", "dev", "test"]
    grouped = split({"U": ["test"], "V": ["test"], "W": ["test"], "X": ["test"], "S": ["train"], "N": ["train"]})
    by_row = split({"S": own, "N": own})
    by_source = pd.concat([split({"S": ["test"]}).head(2), split({"N": ["test"]}).head(4)])
    splits = {"grouped": grouped, **{f"by_row_{k}": by_row for k in range(draws)}, **{f"by_source_{k}": by_source for k in range(draws)}}
    predictions = [answers_of(f"by_row_{k}", index, {"U": 0.5, "W": 0.5}) for k in range(draws)]
    predictions += [answers_of(f"by_source_{k}", index, {"S": 0.0} if k == draws - 1 else {}) for k in range(draws)]
    return validate(draw_table(pd.concat(predictions), index, splits, 0.95), DRAWS)
