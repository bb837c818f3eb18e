"""The detector's folder: one adapter in peft's layout with prompt, calibration, and what it was made for. Reading it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earwitness.audio.window import Level, Window
from earwitness.core.arguments import QUANTISATIONS
from earwitness.core.errors import InputError
from earwitness.core.json_files import DIGEST, TEXT, load_record, record_schema
from earwitness.detectors.following import Following
from earwitness.detectors.presentation import Presentation
from earwitness.detectors.segments import SegmentRule
from earwitness.evaluation.probability import METHODS, Calibration
from earwitness.model.identity import IDENTITY, ModelFolder

SCHEMA_NAME = "earwitness-detector/5"
SEGMENTS_NAME = "earwitness-segments/1"
SEGMENTS_FILE = "segments.json"
STEP_MS = 100
"""From frame to frame."""
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")

_NUMBER = {"type": "number"}
_LEVEL = record_schema(normalisation={"enum": ["stimuli", "peak", "rms"]}, level_dbfs=_NUMBER)
_WINDOW = record_schema(window_ms=_NUMBER, ramp_ms=_NUMBER, floor_dbfs=_NUMBER, level=_LEVEL)

_FILES = {
    "detector.json": record_schema(
        schema={"const": SCHEMA_NAME},
        base=IDENTITY,
        base_folder={"type": ["string", "null"]},
        quantisation={"enum": list(QUANTISATIONS)},
        presentation=record_schema(window=_WINDOW, shortest_ms=_NUMBER, longest_ms=_NUMBER, level=_LEVEL),
        selected=record_schema(system_id=TEXT, seed=TEXT, development_balanced_accuracy={"type": "object"}),
    ),
    "prompt.json": record_schema(question=TEXT, answer_format=TEXT, audio_position=TEXT, template={"type": ["string", "null"]}),
    "calibration.json": record_schema(
        method={"enum": list(METHODS)},
        slope={"type": "number", "exclusiveMinimum": 0},
        intercept=_NUMBER,
        temperature=_NUMBER,
        threshold_log_odds=_NUMBER,
        fitted_on=record_schema(part=TEXT, split_sha256=DIGEST, sources={"type": "array", "items": TEXT}),
    ),
}
"""JSON schema of each file."""

DETECTOR_FILES = (*ADAPTER_FILES, *_FILES)
"""What a detector's folder holds, whether recordings were followed with it or not."""

_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
SEGMENTS = record_schema(
    schema={"const": SEGMENTS_NAME},
    following=record_schema(
        stretch_ms={"type": "integer", "minimum": 1},
        step_ms={"type": "integer", "minimum": 1},
        smoothed={"type": "integer", "minimum": 1},
        rule=record_schema(onset=_SHARE, offset=_SHARE, min_speech_s=_SHARE, min_silence_s=_SHARE),
    ),
    tuned={"type": "object"},
)
"""JSON schema of segments.json, which `follow_recordings` adds to a detector's folder: how it follows recordings, and how that was tuned."""


@dataclass(frozen=True)
class DetectorFolder:
    """What a detector's folder says, checked. system: which adapter it holds. base: earwitness.model.identity.IDENTITY. following: how recordings
    are followed."""

    folder: Path
    system: str
    base: Mapping[str, Any]
    recorded_base: str | None
    quantisation: str
    prompt: dict[str, str]
    calibration: Calibration
    presentation: Presentation
    following: Following

    def base_folder(self) -> Path:
        """Where the base model lies: in the folder `base` of the detector's own, where it was when the detector was made, or among the models that
        huggingface_hub has fetched. Raises InputError where it is in none of these.
        """
        places = [self.folder / "base"]
        if self.recorded_base:
            places.append(self.folder / self.recorded_base)
        if self.base["revision"] and "/" in self.base["name"]:
            cache = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface") / "hub"
            places.append(Path(cache, "models--" + self.base["name"].replace("/", "--"), "snapshots", self.base["revision"]))
        for place in places:
            if (place / "config.json").is_file():
                return Path(os.path.normpath(place))
        looked = ", ".join(os.path.normpath(place) for place in places)
        raise InputError(f"{self.folder}: its base model, {self.base['name']}, is not found (looked in {looked}); name its folder with --base")

    def verify_base(self, base: ModelFolder) -> None:
        """Raise InputError where a model is not the base that the adapter was trained on."""
        if base.sha256 != self.base["sha256"]:
            wanted = self.base["name"] + (f" at revision {self.base['revision']}" if self.base["revision"] else "")
            raise InputError(f"{base.path}: not the base that the adapter in {self.folder} was trained on; give {wanted}")


def load_detector_folder(folder: Path) -> DetectorFolder:
    """Read a detector's folder.

    Raises InputError where a file is missing or is not what the detector needs.
    """
    for name in ADAPTER_FILES:
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no detector here ({name} is missing); name a folder that hand_over_adapter made")
    content = {name: load_record(folder / name, schema, "a file of a detector", "run hand_over_adapter again") for name, schema in _FILES.items()}
    detector, calibration = content["detector.json"], content["calibration.json"]
    presentation = _presentation(detector["presentation"])
    following = untuned(presentation)
    if (folder / SEGMENTS_FILE).is_file():
        following = Following.of(
            load_record(folder / SEGMENTS_FILE, SEGMENTS, "how a detector makes segments", "run follow_recordings again")["following"]
        )
    return DetectorFolder(
        folder=folder,
        system=f"{detector['selected']['system_id']}-seed-{detector['selected']['seed']}",
        base=detector["base"],
        recorded_base=detector["base_folder"],
        quantisation=detector["quantisation"],
        prompt=content["prompt.json"],
        calibration=Calibration(calibration["slope"], calibration["intercept"]),
        presentation=presentation,
        following=following,
    )


def untuned(presentation: Presentation) -> Following:
    """How a detector follows recordings before that is tuned: in stretches as long as the longest stimulus, at one half."""
    return Following(presentation.longest_ms, STEP_MS, SegmentRule())


def _presentation(record: Mapping[str, Any]) -> Presentation:
    """What dataclasses.asdict made of a presentation, undone."""
    window = Window(**(record["window"] | {"level": Level(**record["window"]["level"])}))
    return Presentation(window, record["shortest_ms"], record["longest_ms"], Level(**record["level"]))
