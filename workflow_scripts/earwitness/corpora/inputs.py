"""What a data set on disk depends on, what it holds, and which embedded data sets step back for it."""

import copy
from collections.abc import Mapping, Set
from typing import Any

from earwitness.corpora.data_sets import CLASSES, DataSet
from earwitness.corpora.layouts import source_files, usable_inputs
from earwitness.corpora.manifest import audio_below, labels_used, listed, packed_tables, table_of

STUDY, BASELINE = ("study", "both"), ("baseline", "both")
"""Roles of the data sets that the factorial set and the baseline are drawn from."""


def input_files(data_set: DataSet) -> list[str]:
    """Every file that the catalogue of a data set on disk depends on; a file that is not there is left to the catalogue, which lists it.

    Raises InputError where there are none, a table cannot be read, or a name cannot be an input of a rule.
    """
    if data_set.origin == "path":
        return source_files(data_set.layout, data_set.path, data_set.name)
    if packed := packed_tables(data_set):
        return usable_inputs(packed, data_set.name)
    files = audio_below(data_set) if data_set.origin == "folder" else [table_of(data_set), *dict.fromkeys(row.file for row in listed(data_set))]
    return usable_inputs([path for path in files if path.is_file()], data_set.name)


def classes_of(data_set: DataSet) -> frozenset[str]:
    """The classes that a data set has: its layout's, or those of its table or folders."""
    return CLASSES[data_set.layout] if data_set.origin == "path" else labels_used(data_set)


def without_stand_ins(sources: Mapping[str, Any], classes: Mapping[str, Set[str]]) -> dict[str, Any]:
    """The `sources` without embedded data sets whose classes others bring for the same role: their origin becomes none.

    sources: of the completed configuration. classes: data set on disk -> its classes (`classes_of`).
    """
    resolved = copy.deepcopy(dict(sources))
    classes = {name: CLASSES[source["layout"]] for name, source in sources.items() if source["origin"] == "download"} | dict(classes)
    for source in resolved.values():
        if source["origin"] == "embedded":
            roles = [roles for roles in (STUDY, BASELINE) if source["role"] in roles]
            brought = [frozenset[str]().union(*(classes[name] for name in classes if sources[name]["role"] in of)) for of in roles]
            if all(CLASSES[source["layout"]] <= found for found in brought):
                source["origin"] = "none"
    return resolved
