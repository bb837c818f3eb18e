"""Which things are shared between the parts of a split."""

import pandas as pd

from earwitness.leakage.registry import EVIDENCE_COLUMNS


def shared_between_parts(stimuli: pd.DataFrame, key: str, noun: str, item: str = "stimulus_id") -> pd.DataFrame:
    """One row of evidence per value of `key` and pair of parts that both hold it.

    stimuli: columns part, source_id, `item` and `key`. The items named are the first of each part, in sorted order, and
    the detail counts the stimuli on both sides.
    """
    place = [key, "part"]
    first = stimuli.sort_values([*place, item]).drop_duplicates(place)
    counts = stimuli.groupby(place, sort=True).size().to_numpy()
    held = pd.DataFrame({"value": first[key], "part": first.part, "item": first[item], "source": first.source_id, "n": counts})
    pairs = held.merge(held, on="value", suffixes=("_a", "_b"))
    pairs = pairs[pairs.part_a < pairs.part_b].reset_index(drop=True)
    detail = [
        f"{noun} {value}; stimuli: {n_a} in {part_a}, {n_b} in {part_b}"
        for value, n_a, part_a, n_b, part_b in zip(pairs.value, pairs.n_a, pairs.part_a, pairs.n_b, pairs.part_b, strict=True)
    ]
    return pairs.assign(detail=pd.Series(detail, dtype=str))[list(EVIDENCE_COLUMNS)]
