"""Recordings that a base learns from beside the embedded base corpus, set apart from those of the study."""

import pandas as pd

from earwitness.core.errors import InputError
from earwitness.splits.components import components, shared_values, what_holds

COLUMNS = ["source_id", "label", "path", "sha256", "start_s", "end_s"]


def learned_stretches(recordings: pd.DataFrame, segments: pd.DataFrame, studied: pd.DataFrame, shortest_s: float) -> pd.DataFrame:
    """The stretches of at least `shortest_s` that a base may learn from, one row each with COLUMNS, in a fixed order.

    recordings, segments: earwitness.tables.recordings.RECORDINGS and SEGMENTS of what is learned from. studied: RECORDINGS of all that the study
    uses. Raises InputError where a source of the study is heard in them too, by its name or by a file, original or session in common, and where
    they have no such stretch.
    """
    both = pd.concat([recordings, studied], ignore_index=True)
    ties = shared_values(both, ["sha256", "original", "session"])
    together = components(both.source_id, ties)
    shared = sorted(set(recordings.source_id.map(together)) & set(studied.source_id.map(together)))
    if shared:
        names = f"{' and '.join(sorted(set(recordings.dataset)))}: role is projector, but the study has the same source"
        raise InputError(f"{names}: {what_holds(shared[0], together, ties)} ({len(shared)} in all); take its recordings out of one of them")
    stretches = segments.merge(recordings[["recording_id", "source_id", "label", "path", "sha256"]], on=["recording_id", "source_id", "label"])
    long_enough = stretches[stretches.end_s - stretches.start_s >= shortest_s]
    if long_enough.empty:
        raise InputError(f"{recordings.dataset.iloc[0]}: role is projector, but no stretch of it lasts {shortest_s:g} s; give longer recordings")
    return long_enough[COLUMNS].sort_values(COLUMNS, ignore_index=True)
