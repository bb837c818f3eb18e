"""What is handed over: the adapter that did best on development sources, and its detector's folder, before and after the second audit."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from earwitness.core.errors import InputError
from earwitness.core.files import atomic_folder, sha256_of, write_json
from earwitness.core.json_files import load_record
from earwitness.detectors.folder import ADAPTER_FILES, DETECTOR_FILES, SCHEMA_NAME, SEGMENTS, SEGMENTS_FILE, load_detector_folder
from earwitness.detectors.presentation import Presentation
from earwitness.evaluation.accuracy import metric_parts
from earwitness.evaluation.probability import Calibration
from earwitness.evaluation.scored_answers import outcomes_on
from earwitness.statistics.clustered import estimate
from earwitness.systems import System
from earwitness.tables.files import read_table
from earwitness.tables.predictions import by_system
from earwitness.tables.splits import SPLIT


@dataclass(frozen=True)
class Selection:
    """The adapter to hand over, with its seed. development: balanced accuracy on development sources of every adapter that it was
    chosen from, seeds apart."""

    system: System
    development: Mapping[System, float]


def select_adapter(predictions: pd.DataFrame, index: pd.DataFrame, grouped: pd.DataFrame) -> Selection:
    """The recipe with the best mean over seeds on development sources, and of its seeds the median one.

    predictions: earwitness.tables.predictions.PREDICTIONS of adapters trained on the grouped split, without ensembles. The first name wins a
    tie; of an even number of seeds the lower middle one is taken. The best seed would be the luckiest one: the median's accuracy is
    what to expect. Raises InputError as earwitness.evaluation.scored_answers.outcomes_on does.
    """
    by_recipe = []
    for _, rows in by_system(predictions):
        outcomes = outcomes_on(rows, index, grouped, "dev", "development")
        values = [estimate(*metric_parts(one, "balanced_accuracy")).value for one in outcomes.by_seed()[: len(outcomes.seeds)]]
        by_recipe.append(dict(zip(outcomes.systems, values, strict=True)))
    best = max(by_recipe, key=lambda seeds: sum(seeds.values()) / len(seeds))
    ranked = sorted(best, key=lambda system: best[system])
    return Selection(ranked[(len(ranked) - 1) // 2], {system: value for seeds in by_recipe for system, value in seeds.items()})


def selected_folder(selection: Selection, configs: Mapping[System, Path]) -> Path:
    """The folder of the selected adapter, by the adapter_config.json of every one; raises InputError where it is not among them."""
    if selection.system not in configs:
        raise InputError(f"{selection.system} is not among the adapters that are named; name all that predictions are given of")
    return configs[selection.system].parent


@dataclass(frozen=True)
class Detector:
    """What is handed over: the selected adapter, in its folder, with all that it was made for and with.

    base: earwitness.model.identity.IDENTITY of the base model. base_folder: where it lies now. prompt: question, answer_format,
    audio_position, template. method and calibration: as earwitness.evaluation.calibration.chosen_calibration returns them.
    """

    selection: Selection
    adapter: Path
    base: Mapping[str, Any]
    base_folder: Path
    quantisation: str
    presentation: Presentation
    prompt: Mapping[str, str]
    method: str
    calibration: Calibration


def write_detector_folder(folder: Path, detector: Detector, split: Path) -> None:
    """Write a detector's folder, whole or not at all. split: the file whose part "dev" the calibration was fitted on."""
    development = read_table(split, SPLIT).query("part == 'dev'")
    calibration = {
        "method": detector.method,
        "slope": detector.calibration.slope,
        "intercept": detector.calibration.intercept,
        "temperature": 1 / detector.calibration.slope,
        "threshold_log_odds": detector.calibration.threshold,
        "fitted_on": {"part": "dev", "split_sha256": sha256_of(split), "sources": sorted(development.source_id.unique())},
    }
    config, weights = ADAPTER_FILES
    with atomic_folder(folder, beside=[SEGMENTS_FILE]) as temporary:
        shutil.copyfile(detector.adapter / weights, temporary / weights)
        trained = json.loads((detector.adapter / config).read_text(encoding="utf-8"))
        write_json(temporary / config, adapter_config_for(trained, detector.base))
        write_json(temporary / "prompt.json", dict(detector.prompt))
        base_folder = os.path.relpath(detector.base_folder, folder)
        record = detector_record(detector.base, base_folder, detector.quantisation, detector.presentation, detector.selection)
        write_json(temporary / "detector.json", record)
        write_json(temporary / "calibration.json", calibration)


def selected_detector(folder: Path) -> Detector:
    """What a folder holds that `write_detector_folder` wrote. Raises InputError as `load_detector_folder` does."""
    read = load_detector_folder(folder)
    record, calibration = (json.loads((folder / name).read_text(encoding="utf-8")) for name in ("detector.json", "calibration.json"))
    by_recipe = record["selected"]["development_balanced_accuracy"]
    development = {System.parse(f"{recipe}-seed-{seed}"): value for recipe, seeds in by_recipe.items() for seed, value in seeds.items()}
    return Detector(
        selection=Selection(System.parse(read.system), development),
        adapter=folder,
        base=read.base,
        base_folder=Path(os.path.normpath(folder / record["base_folder"])),
        quantisation=read.quantisation,
        presentation=read.presentation,
        prompt=read.prompt,
        method=calibration["method"],
        calibration=read.calibration,
    )


def hand_over(folder: Path, selected: Path, card: str) -> None:
    """Write the folder that is handed over, whole or not at all: all of a selected detector's, with how it follows recordings, and a card.

    selected: its folder, with segments.json. Raises InputError where a file is missing or is not what the detector needs.
    """
    detector = selected_detector(selected)
    load_record(selected / SEGMENTS_FILE, SEGMENTS, "how a detector makes segments", "run follow_recordings again")
    with atomic_folder(folder) as temporary:
        for name in (*DETECTOR_FILES, SEGMENTS_FILE):
            shutil.copyfile(selected / name, temporary / name)
        record = json.loads((selected / "detector.json").read_text(encoding="utf-8"))
        write_json(temporary / "detector.json", record | {"base_folder": os.path.relpath(detector.base_folder, folder)})
        (temporary / "README.md").write_text(card, encoding="utf-8")


def detector_record(
    base: Mapping[str, Any], base_folder: str | None, quantisation: str, presentation: Presentation, selection: Selection
) -> dict[str, Any]:
    """The content of detector.json. base: earwitness.model.identity.IDENTITY of the base model. base_folder: seen from the detector's."""
    development: dict[str, dict[str, float]] = {}
    for system, value in selection.development.items():
        development.setdefault(str(system.of_all_seeds()), {})[str(system.seed)] = value
    selected = {"system_id": str(selection.system.of_all_seeds()), "seed": str(selection.system.seed), "development_balanced_accuracy": development}
    return {
        "schema": SCHEMA_NAME,
        "base": dict(base),
        "base_folder": base_folder,
        "quantisation": quantisation,
        "presentation": asdict(presentation),
        "selected": selected,
    }


def adapter_config_for(config: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """An adapter's configuration that names its base as others can get it."""
    return dict(config) | {"base_model_name_or_path": base["name"], "revision": base["revision"]}
