"""Which stimuli a search asks about: a stratified sample of one part of a split."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from earwitness.core.errors import InputError
from earwitness.core.randomness import stream_seed
from earwitness.tables.columns import LABELS


@dataclass(frozen=True)
class StimulusSample:
    """Stimuli in the order in which they are asked about.

    Their classes alternate, and every beginning is as even over durations, SNRs and sources as it can be.
    ids, sources: texts; speech: bool; shape (stimuli,).
    """

    ids: tuple[str, ...]
    sources: npt.NDArray[np.object_]
    speech: npt.NDArray[np.bool_]


FEWEST_SOURCES = 4
"""Development sources of a class that a search over an adapter needs: two to search on and two to choose on."""


def split_for_adapter(split: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The split as a search over an adapter may use it, which must not ask about what the adapter trained on.

    split: earwitness.tables.splits.SPLIT, by source. Its train part is left out, and half of each class's development
    sources, drawn by a hash of seed and name, become the train part.
    Raises InputError where a class has fewer than FEWEST_SOURCES development sources.
    """
    searched: set[str] = set()
    for label in LABELS:
        sources = split.source_id[(split.part == "dev") & (split.label == label)].unique()
        if len(sources) < FEWEST_SOURCES:
            raise InputError(
                f"class {label} has {len(sources)} development sources; a search over an adapter halves them and needs at least"
                f" {FEWEST_SOURCES}: raise splits.dev_fraction, or add recordings"
            )
        ordered = sorted(sources, key=lambda source: stream_seed(seed, "search_prompts", "half", source))
        searched |= set(ordered[: len(sources) // 2])
    untrained = split[split.part != "train"]
    return untrained.assign(part=untrained.part.mask(untrained.source_id.isin(searched), "train"))


def sample_stimuli(index: pd.DataFrame, split: pd.DataFrame, part: str, count: int, seed: int, *stream: object) -> StimulusSample:
    """Draw `count` stimuli, half of each class, from a part of a split; fewer where a class has too few.

    index: stimulus_id, source_id, label, duration_ms and snr_db; split: earwitness.tables.splits.SPLIT. Conditions take turns in a
    random order, and each turn takes a stimulus of the source that was drawn least, by the named stream.
    Raises InputError where the part lacks a class among these stimuli.
    """
    rows = index[index.stimulus_id.isin(split.stimulus_id[split.part == part])]
    by_class = []
    for label in LABELS:
        found = _in_turn(rows[rows.label == label], seed, *stream)
        if not found:
            raise InputError(f"part {part} of the split has no {label} stimulus to choose prompts by; add recordings or enlarge the part")
        by_class.append(found)
    each = min(count // 2, *map(len, by_class))
    ids = [name for pair in zip(*by_class, strict=False) for name in pair][: 2 * each]
    sources = rows.set_index("stimulus_id").source_id.loc[ids].to_numpy()
    return StimulusSample(tuple(ids), sources, np.arange(2 * each) % 2 == 0)


def _in_turn(rows: pd.DataFrame, seed: int, *stream: object) -> list[str]:
    """All stimuli of one class, by rounds over the conditions."""

    def place(name: object) -> int:
        return stream_seed(seed, *stream, name)

    grouped = rows.groupby(["duration_ms", "snr_db"], dropna=False)
    conditions = {key: list(zip(group.stimulus_id, group.source_id, strict=True)) for key, group in grouped}
    for members in conditions.values():
        members.sort(key=lambda member: place(member[0]))
    taken = dict.fromkeys(rows.source_id, 0)
    order = []
    waiting = sorted(conditions, key=place)
    while waiting:
        for condition in waiting:
            members = conditions[condition]
            name, source = members.pop(min(range(len(members)), key=lambda k: taken[members[k][1]]))
            taken[source] += 1
            order.append(name)
        waiting = [condition for condition in waiting if conditions[condition]]
    return order
