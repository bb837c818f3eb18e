"""Stimuli to listen to: which, by a rule without chance, and their audio."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from earwitness.tables.audio import iterate_encoded_audio
from earwitness.tables.columns import LABELS

_COLUMNS = ["stimulus_id", "source_id", "label", "category", "duration_ms", "snr_db"]
_GOLDEN = 0.6180339887498949


def choose_examples(index: pd.DataFrame, count: int) -> pd.DataFrame:
    """At most `count` stimuli spread over class, duration, SNR and source; the same table always gives the same choice.

    index: columns stimulus_id, source_id, label, duration_ms, snr_db. Classes take turns; a class's examples go through the
    durations in order while their SNRs follow multiples of the golden ratio, so that both classes get the same conditions.
    Of the stimuli of a condition, sources not chosen yet come first, then the lowest digest of the id.
    """
    labels = [label for label in LABELS if (index.label == label).any()]
    durations, snrs = sorted(index.duration_ms.unique()), sorted(index.snr_db.dropna().unique())
    digests = index.stimulus_id.map(lambda name: hashlib.sha256(name.encode()).hexdigest())
    chosen: list[int] = []
    for number in range(min(count, len(index))):
        turn, place = divmod(number, len(labels))
        turns = -(-count // len(labels))
        duration = durations[int((turn + 0.5) / turns * len(durations))]
        free = ~index.index.isin(chosen)
        wanted = free & (index.label == labels[place]) & (index.duration_ms == duration)
        if snrs:
            wanted &= index.snr_db == snrs[int((0.5 + turn * _GOLDEN) % 1 * len(snrs))]
        candidates = next(rows for rows in (index[wanted], index[free & (index.label == labels[place])], index[free]) if len(rows))
        used = candidates.source_id.isin(index.source_id[chosen])
        order = pd.DataFrame({"used": used, "digest": digests[candidates.index]}).sort_values(["used", "digest"])
        chosen.append(order.index[0])
    return index.loc[chosen].reset_index(drop=True)


def listening_examples(shards: Sequence[Path], predictions: pd.DataFrame, count: int) -> list[dict[Any, Any]]:
    """The chosen stimuli with the base model's answer and their FLAC audio as base64.

    shards: tables of stimuli with audio (Parquet); only the chosen rows' audio is kept in memory.
    predictions: the base model's rows of earwitness.tables.predictions.PREDICTIONS; stimuli without one are not chosen.
    Returns one dict per stimulus: the shards' columns, answer, log_odds (SPEECH minus NONSPEECH, nats), flac (base64 text).
    """
    if not count:
        return []
    index = pd.concat([pd.read_parquet(path, columns=_COLUMNS) for path in shards], ignore_index=True)
    answers = predictions.sort_values("prompt_id").drop_duplicates("stimulus_id")[["stimulus_id", "answer", "log_odds"]]
    known = index.merge(answers, on="stimulus_id").sort_values("stimulus_id", ignore_index=True)
    if known.empty:
        return []
    examples = choose_examples(known, count)
    audio = _audio_of(shards, set(examples.stimulus_id))
    return [row | {"flac": base64.b64encode(audio[row["stimulus_id"]]).decode("ascii")} for row in examples.to_dict("records")]


def error_examples(shards: Sequence[Path], errors: pd.DataFrame, count: int) -> list[dict[Any, Any]]:
    """At most `count` of the stimuli that one system gets wrong, with their FLAC audio as base64.

    errors: rows of earwitness.tables.error_analysis.ERRORS of one system. Classes take turns. In a class, sources that are not
    chosen yet come first, then what most seeds get wrong, then the most confident error.
    Returns one dict per stimulus: the columns of errors, flac (base64 text).
    """
    table = errors.assign(sure=errors.log_odds.abs()).sort_values(["n_wrong", "sure", "stimulus_id"], ascending=[False, False, True])
    table = table.assign(again=table.groupby(["label", "source_id"]).cumcount())
    table = table.sort_values(["again", "n_wrong", "sure", "stimulus_id"], ascending=[True, False, False, True])
    table = table.assign(turn=table.groupby("label").cumcount()).sort_values(["turn", "label"], ascending=[True, False], kind="stable")
    chosen = table.head(count)[list(errors.columns)]
    audio = _audio_of(shards, set(chosen.stimulus_id))
    return [row | {"flac": base64.b64encode(audio[row["stimulus_id"]]).decode("ascii")} for row in chosen.to_dict("records")]


def _audio_of(shards: Sequence[Path], wanted: set[str]) -> dict[str, bytes]:
    return {name: flac for path in shards for batch in iterate_encoded_audio(path, "stimulus_id", wanted) for name, flac in batch}
