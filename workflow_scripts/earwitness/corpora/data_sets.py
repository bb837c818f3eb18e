"""A data set as the configuration names it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CLASSES = {"voxconverse": frozenset({"SPEECH"}), "esc50": frozenset({"NONSPEECH"}), "fsd50k": frozenset({"SPEECH", "NONSPEECH"})}
"""Layout -> the classes that a data set in it has."""


DESCRIPTION = ("origin", "layout", "licence", "pattern", "speaker_names", "labels", "columns")
"""The keys of a `sources` entry that say how its recordings are read."""


@dataclass(frozen=True)
class DataSet:
    """One entry of the configuration's `sources`; the fields beside name and path are its keys.

    path: the folder or table that holds it, the user's own or made by a rule.
    """

    name: str
    path: Path
    origin: str = "path"
    layout: str = "none"
    licence: str = "not stated"
    pattern: str | None = None
    speaker_names: str = "undeclared"
    labels: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, name: str, path: Path, settings: Mapping[str, Any]) -> "DataSet":
        """From the completed `sources` entry of that name, or its keys DESCRIPTION alone."""
        return cls(name, path, **{key: settings[key] for key in DESCRIPTION})

    @property
    def key(self) -> str:
        """Where the configuration speaks of it."""
        return f"sources.{self.name}"
