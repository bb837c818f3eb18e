"""Which family a checkpoint belongs to, told from its config.json."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from earwitness.core.errors import InputError
from earwitness.model.checkpoint import read_config

if TYPE_CHECKING:
    from earwitness.model.families.loaded_model import LoadedModel


PROPERTIES = {
    "stock": "its answers are those of the library's own forward pass",
    "batch": "a sound gives the same alone and beside others of any length",
    "tokens": "a sound has as many audio tokens as the library's processor writes",
    "silence": "a sound without audio tokens is answered like any other",
    "position": "the sound can stand before or after the question",
    "generate": "constrained generation answers as the score does",
    "sweep": "many questions asked at once give what each gives alone",
    "lora": "adapters reach the modules that their scope names, and no others",
    "saved": "a saved adapter answers with the same bits when loaded again",
    "gradient": "the gradient of the answer's loss is that of the library's loss",
    "nf4": "only the language model is quantised to 4 bits",
}
"""What tests/unit/test_families.py holds of each family, in words for people."""


@dataclass(frozen=True)
class Family:
    """name: as people know it. library_class: transformers' class of its checkpoints. hearing: what it does with a sound, to follow "which".
    implementation: imported when asked for, since each brings a part of the library. departures: property (PROPERTIES) that it does not
    hold -> in what way, in words that the model card and the table of families print."""

    name: str
    library_class: str
    hearing: str
    implementation: Callable[[], "type[LoadedModel]"]
    departures: dict[str, str] = field(default_factory=dict)


def _qwen2_audio() -> "type[LoadedModel]":
    from earwitness.model.families.qwen2_audio import Qwen2Audio

    return Qwen2Audio


def _audioflamingo3() -> "type[LoadedModel]":
    from earwitness.model.families.audioflamingo3 import AudioFlamingo3

    return AudioFlamingo3


def _qwen2_5_omni() -> "type[LoadedModel]":
    from earwitness.model.families.qwen2_5_omni import Qwen2_5Omni

    return Qwen2_5Omni


def _voxtral() -> "type[LoadedModel]":
    from earwitness.model.families.voxtral import Voxtral

    return Voxtral


def _qwen3_omni_moe() -> "type[LoadedModel]":
    from earwitness.model.families.qwen3_omni_moe import Qwen3OmniMoe

    return Qwen3OmniMoe


_OWN_FRAMES = "hears a sound's own frames alone, exactly as the library hears them in 30 s of silence"

FAMILIES = {
    "qwen2_audio": Family("Qwen2-Audio", "Qwen2AudioForConditionalGeneration", _OWN_FRAMES, _qwen2_audio),
    "audioflamingo3": Family(
        "Audio Flamingo 3",
        "AudioFlamingo3ForConditionalGeneration",
        _OWN_FRAMES,
        _audioflamingo3,
        {"position": "its chat template writes the sound before the question, wherever it stands, so it cannot be asked with the sound after it"},
    ),
    "qwen2_5_omni": Family(
        "Qwen2.5-Omni (thinker)",
        "Qwen2_5OmniThinkerForConditionalGeneration",
        "hears a sound's own frames alone, in blocks of 2 s, as the library does",
        _qwen2_5_omni,
    ),
    "voxtral": Family(
        "Voxtral",
        "VoxtralForConditionalGeneration",
        "hears its whole window of 30 s, the silence behind a sound included, as the library does",
        _voxtral,
    ),
    "qwen3_omni_moe": Family(
        "Qwen3-Omni (thinker)",
        "Qwen3OmniMoeThinkerForConditionalGeneration",
        "hears sounds of one length at a time, because its convolutions hear the padding of a batch, which the library lets them",
        _qwen3_omni_moe,
        {
            "tokens": "the library makes no spectrogram of 200 samples (12.5 ms) or less, so such sounds are refused",
            "lora": "its experts are one block of weights, so adapters reach its attention alone, and recipes that name others are refused",
            "nf4": "its experts, most of its weights, stay in their own precision",
        },
    ),
}
"""model_type of config.json -> family."""


def implementation_of(folder: Path) -> "type[LoadedModel]":
    """The class for the checkpoint of a folder.

    Raises InputError where there is no config.json, or where its model_type is of no family.
    """
    kind = read_config(folder).get("model_type")
    if kind not in FAMILIES:
        raise InputError(f"{folder}: a model of type {kind!r}; Earwitness hears with {', '.join(FAMILIES)}: docs/add_a_family.md says how to add one")
    return FAMILIES[kind].implementation()


def files_of_other_families(kind: str) -> frozenset[str]:
    """The files of all families but one, relative to the folder of the programs: code that jobs with a base of that model_type never run."""
    return frozenset(f"earwitness/model/families/{other}.py" for other in FAMILIES if other != kind)


def family_tables() -> str:
    """Two Markdown tables: what each family does with a sound, and which properties it holds; and a line for each that it does not."""
    heard = ["| family | `model_type` | which |", "| --- | --- | --- |"]
    heard += [f"| {family.name} | `{kind}` | {family.hearing} |" for kind, family in FAMILIES.items()]
    held = ["| property | " + " | ".join(family.name for family in FAMILIES.values()) + " |", "| --- |" + " :---: |" * len(FAMILIES)]
    for name, meaning in PROPERTIES.items():
        held.append(f"| {meaning} | " + " | ".join("no" if name in family.departures else "yes" for family in FAMILIES.values()) + " |")
    why = [f"* {family.name}: {text}." for family in FAMILIES.values() for text in family.departures.values()]
    return "\n".join([*heard, "", *held, "", *why, ""])
