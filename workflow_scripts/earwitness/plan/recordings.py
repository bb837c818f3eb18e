"""Where the recordings of every data set are: on disk, or in a folder that a rule makes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earwitness.corpora.data_sets import DataSet
from earwitness.corpora.inputs import classes_of, input_files, without_stand_ins
from earwitness.corpora.layouts import clips_info_files
from earwitness.corpora.manifest import packed_tables


@dataclass(frozen=True)
class Recordings:
    """The data sets of a study.

    sources: the configuration's, without embedded data sets that others stand in for. on_disk: the user's own. files: what the
    catalogue of each of these depends on. packed: those of them whose audio lies in tables, and is unpacked first.
    """

    sources: Mapping[str, Any]
    on_disk: Mapping[str, DataSet]
    files: Mapping[str, list[str]]
    packed: frozenset[str]

    @classmethod
    def find(cls, sources: Mapping[str, Any]) -> "Recordings":
        """Look for the data sets of the completed configuration's `sources`.

        Raises InputError where one that should be on disk is not, or cannot be read.
        """
        on_disk = {
            name: DataSet.from_settings(name, Path(source["path"]), source)
            for name, source in sources.items()
            if source["origin"] in ("path", "manifest", "folder") and source["role"] != "noise"
        }
        files = {name: input_files(data_set) for name, data_set in on_disk.items()}
        packed = frozenset(name for name, data_set in on_disk.items() if packed_tables(data_set))
        classes = {name: classes_of(data_set) for name, data_set in on_disk.items()}
        return cls(without_stand_ins(sources, classes), on_disk, files, packed)

    def folder(self, name: str) -> str:
        """The folder that a rule makes of a data set."""
        if name in self.packed:
            return f"data/unpacked/{name}"
        if self.sources[name]["origin"] == "download":
            return f"data/downloads/{name}"
        return f"data/embedded/{'baseline' if name == 'fsd50k' else 'study'}/{name}"

    def path(self, name: str) -> str:
        """The folder or table from which a data set is catalogued."""
        if name in self.packed:
            return f"{self.folder(name)}/manifest.csv"
        return str(self.on_disk[name].path) if name in self.on_disk else self.folder(name)

    def inputs(self, name: str) -> list[str]:
        """What the catalogue of a data set depends on: every file of one on disk, or the folder that a rule makes."""
        return self.files[name] if name in self.on_disk and name not in self.packed else [self.folder(name)]

    def uploader_tables(self, name: str) -> list[str]:
        """What says who uploaded the sounds of a data set in ESC-50's layout: the tables of every FSD50K that is not synthesised."""
        if self.sources[name]["layout"] != "esc50" or self.sources[name]["origin"] == "embedded":
            return []
        others = [other for other, source in self.sources.items() if source["layout"] == "fsd50k"]
        files = [str(path) for other in others if other in self.on_disk for path in clips_info_files(self.on_disk[other].path)]
        return files + [self.folder(other) for other in others if self.sources[other]["origin"] == "download"]
