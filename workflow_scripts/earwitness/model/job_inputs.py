"""What the jobs of a study depend on of its models: the files of those on disk, and the code of one family alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from earwitness.core.code_identity import code_identities
from earwitness.model.families.registry import files_of_other_families
from earwitness.model.identity import half_files, model_files
from earwitness.plan.models import Models

MADE_HERE = "qwen2_audio"
"""The family whose code stands for that of jobs without a model."""


@dataclass(frozen=True)
class FilesOfModels:
    """The files of the models that are on disk. models, halves: folder -> its files."""

    study: Models
    models: Mapping[str, list[str]]
    halves: Mapping[str, list[str]]

    @classmethod
    def find(cls, study: Models) -> "FilesOfModels":
        """Look for them. Raises InputError where a folder is missing, or holds no model."""
        models = {folder: list(map(str, model_files(Path(folder)))) for folder in study.on_disk.values()}
        halves = {folder: sorted(map(str, half_files(Path(folder)))) for folder in study.halves_on_disk}
        return cls(study, models, halves)

    def of_model(self, model: str) -> list[str]:
        """What the identity of a model depends on: every file of a folder on disk, or the folder that a rule makes."""
        folder = self.study.folder(model)
        return self.models.get(folder, [folder])

    def of_halves(self, model: str) -> list[str]:
        """What an assembled model is made of: every file of a folder on disk, or the folder that a rule makes; packages have none here."""
        return [path for folder in self.study.folders_of_halves(model) for path in self.halves.get(folder, [folder])]


class Code:
    """The meanings of programs (earwitness.core.code_identity), which leave out what a job with a model made here never runs: other families.

    programs: the files. memory: see code_identities.
    """

    def __init__(self, study: Models, programs: Iterable[Path], memory: Path) -> None:
        programs = list(programs)
        self._study, self._of_family = study, dict[str, dict[str, str]]()
        for family in {MADE_HERE, *map(study.known_family, study.under_study)}:
            others = frozenset[str]() if family == "any" else files_of_other_families(family)
            self._of_family[family] = code_identities(programs, memory, others)

    def of(self, program: str, model: str | None = None) -> str:
        """What a job depends on of its program, such as train_adapter.py: its meaning and that of all that it imports."""
        return self._of_family[MADE_HERE if model is None else self._study.known_family(model)][program]
