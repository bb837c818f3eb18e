"""Which family a checkpoint belongs to, told from its config.json."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from earwitness.core.errors import InputError
from earwitness.model.checkpoint import read_config

if TYPE_CHECKING:
    from earwitness.model.families.loaded_model import LoadedModel


@dataclass(frozen=True)
class Family:
    """name: as people know it. implementation: its class, imported when asked for, since each brings a part of the library.
    departures: what it does not hold of tests/conformance -> in what way, in words that the report prints."""

    name: str
    implementation: Callable[[], "type[LoadedModel]"]
    departures: dict[str, str] = field(default_factory=dict)


def _qwen2_audio() -> "type[LoadedModel]":
    from earwitness.model.families.qwen2_audio import Qwen2Audio

    return Qwen2Audio


FAMILIES = {
    "qwen2_audio": Family("Qwen2-Audio", _qwen2_audio),
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
