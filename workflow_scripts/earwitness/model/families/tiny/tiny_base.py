"""What a family says of its tiny base, and which families have one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from earwitness.model.families.loaded_model import LoadedModel


@dataclass(frozen=True)
class TinyBase:
    """How a family's tiny base is made.

    implementation: the family's class. processor: its processor, with a tokenizer that learned its merges from texts. model: the untrained
    model for such a processor, initialised from torch's current random state. audio_positions: where the sound stands in the questions
    that it learns from, as often as each is listed.
    """

    implementation: type[LoadedModel]
    processor: Callable[[Iterable[str]], Any]
    model: Callable[[Any], Any]
    audio_positions: tuple[str, ...] = ("before", "before", "after")


def _qwen2_audio() -> TinyBase:
    from earwitness.model.families.tiny.qwen2_audio import QWEN2_AUDIO

    return QWEN2_AUDIO


def _audioflamingo3() -> TinyBase:
    from earwitness.model.families.tiny.audioflamingo3 import AUDIO_FLAMINGO_3

    return AUDIO_FLAMINGO_3


TINY_BASES: dict[str, Callable[[], TinyBase]] = {"qwen2_audio": _qwen2_audio, "audioflamingo3": _audioflamingo3}
"""model_type -> how its tiny base is made, imported when asked for. The schema's models.NAME.tiny.family lists the same."""
