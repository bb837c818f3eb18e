"""Which class reads a checkpoint, told from the model_type of its config.json; what each declares is in earwitness.model.families.registry."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from earwitness.core.errors import InputError
from earwitness.model.checkpoint import read_config

if TYPE_CHECKING:
    from earwitness.model.families.loaded_model import LoadedModel


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


def _glmasr() -> "type[LoadedModel]":
    from earwitness.model.families.glmasr import GlmAsr

    return GlmAsr


def _qwen3_omni_moe() -> "type[LoadedModel]":
    from earwitness.model.families.qwen3_omni_moe import Qwen3OmniMoe

    return Qwen3OmniMoe


def _gemma4() -> "type[LoadedModel]":
    from earwitness.model.families.gemma4 import Gemma4

    return Gemma4


IMPLEMENTATIONS: dict[str, "Callable[[], type[LoadedModel]]"] = {
    "qwen2_audio": _qwen2_audio,
    "audioflamingo3": _audioflamingo3,
    "qwen2_5_omni": _qwen2_5_omni,
    "voxtral": _voxtral,
    "glmasr": _glmasr,
    "qwen3_omni_moe": _qwen3_omni_moe,
    "gemma4": _gemma4,
}
"""model_type -> its class, imported when asked for, since each brings a part of the library."""


def implementation_of(folder: Path) -> "type[LoadedModel]":
    """The class for the checkpoint of a folder.

    Raises InputError where there is no config.json, where its model_type is of no family, and where the checkpoint is one that does not hear.
    """
    config = read_config(folder)
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in IMPLEMENTATIONS:
        families = ", ".join(IMPLEMENTATIONS)
        raise InputError(f"{folder}: a model of type {kind!r}; Earwitness hears with {families}: docs/add_a_family.md says how to add one")
    family = IMPLEMENTATIONS[kind]()
    if absent := [part for part in family.parts_of_config if not config.get(part)]:
        raise InputError(f"{folder}: this {kind} does not hear (config.json has no {absent[0]}); name a model of that family that takes sound")
    return family
