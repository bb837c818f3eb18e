"""Systems: whatever answers "speech or not?", as values with parts."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from earwitness.core.errors import InputError

Kind = Literal["base", "encoder_probe", "adapter", "ensemble", "detector"]
Combination = Literal["vote", "mean"]

KINDS: tuple[Kind, ...] = get_args(Kind)
COMBINATIONS: tuple[Combination, ...] = get_args(Combination)

MODEL_PROBES = ("tower_probe", "untrained_probe")
"""Linear readouts of a model's audio tower, and of an untrained tower of the same shape."""

PROBE_OF_NO_MODEL = "acoustics_probe"
"""A linear readout of trivial acoustics."""

PROBES = (*MODEL_PROBES, PROBE_OF_NO_MODEL)
"""All encoder probes."""

HONEST_SPLIT, LEAKY_SPLIT, ALL_FOLDS = "grouped", "row_random", "folds"
"""The split that keeps every source in one part; the split by row, which does not; and all folds of the cross-validation together."""

BY_ROW, BY_SOURCE = "by_row", "by_source"
"""The published design drawn again: with the number of the draw (by_row_0) the names of its split by row and of its corrected one."""

UNNAMED_MODEL = "base"
"""The model of the default configuration; names of its systems leave it out."""

_RECIPE, _SPLIT, _NUMBER = "[a-z][a-z0-9_]*", "grouped|row_random|folds|(?:fold|train|by_row|by_source)_[0-9]+", "0|[1-9][0-9]*"
_MODEL = rf"(?:(?P<model>(?!{UNNAMED_MODEL}\.)[a-z0-9_]+)\.)?"
_FORMS: dict[Kind, re.Pattern[str]] = {
    "base": re.compile(f"{_MODEL}(?P<name>base)"),
    "encoder_probe": re.compile(rf"(?!.*\.{PROBE_OF_NO_MODEL}){_MODEL}(?P<name>{'|'.join(PROBES)})"),
    "adapter": re.compile(f"{_MODEL}(?P<name>{_RECIPE})-(?P<split>{_SPLIT})(?:-seed-(?P<seed>{_NUMBER}))?"),
    "ensemble": re.compile(rf"{_MODEL}(?P<name>{_RECIPE})-(?P<split>{_SPLIT})\+(?P<combination>{'|'.join(COMBINATIONS)})"),
    "detector": re.compile(f"(?P<name>(?!.*-(?:{_SPLIT})(?:-|$))[a-z][a-z0-9_]*(?:-[a-z0-9_]+)*)"),
}
"""Kind -> pattern of its text; the first that matches the whole text decides. A detector's name contains no split's name, so that a misspelt adapter
is not taken for a detector."""


def leaks(split: str) -> bool:
    """Whether a split divides rows regardless of their source, and so must fail its audit."""
    return split == LEAKY_SPLIT or split.startswith(f"{BY_ROW}_")


def is_redrawn(split: str) -> bool:
    """Whether a split is of the published design, drawn again."""
    return split.startswith((f"{BY_ROW}_", f"{BY_SOURCE}_"))


def is_fold(split: str) -> bool:
    """Whether a split is one fold of the cross-validation."""
    return split.startswith("fold_")


def asked_splits(split: str) -> list[str]:
    """The splits whose development and test parts an adapter is asked about: its own, and the grouped one.

    Not the grouped one for a fold's adapter, which trained on sources of the grouped split's test part.
    """
    return [split] if split == HONEST_SPLIT or is_fold(split) else [split, HONEST_SPLIT]


def with_model(model: str, text: str) -> str:
    """A name with its model in front, such as an experiment's: voxtral.main, or main where the model is the unnamed one."""
    return text if model in ("", UNNAMED_MODEL) else f"{model}.{text}"


def _parts_of(text: str) -> dict[str, Any] | None:
    """The fields of the system whose text this is; None where it is no system's."""
    for kind, form in _FORMS.items():
        if found := form.fullmatch(text):
            parts = {"split": "", "seed": None, "combination": None, "model": None} | found.groupdict()
            seed, model = parts["seed"], parts["model"] or ("" if _is_no_models(kind, str(parts["name"])) else UNNAMED_MODEL)
            return {"kind": kind} | parts | {"seed": int(seed) if seed else None, "model": model}
    return None


def _is_no_models(kind: Kind, name: str) -> bool:
    """Whether such a system answers without any model."""
    return kind == "detector" or name == PROBE_OF_NO_MODEL


@dataclass(frozen=True)
class System:
    """One system that answers.

    kind: "base" is the model as it is, "encoder_probe" a linear readout of what its ear hears, or of a control (PROBES), "adapter" a
    fine-tuned one, "ensemble" several seeds of one recipe and split as one system, "detector" a classic speech detector. name: the
    recipe of an adapter or ensemble, the probe or the detector; "base" for the base. split: what an adapter or ensemble trained on; ""
    for others. seed: of one adapter; None where it stands for all seeds of its recipe and split, and for others.
    combination: how an ensemble's seeds are combined; None for others. model: the key of the configuration's models whose system it is,
    by default the unnamed one; "" for detectors and the probe of acoustics, which are no model's.

    Raises InputError where the parts make no system, or where its text would read as another: a detector cannot be called
    "attention-grouped".
    """

    kind: Kind
    name: str
    split: str = ""
    seed: int | None = None
    combination: Combination | None = None
    model: str = ""

    def __post_init__(self) -> None:
        if not self.model and not _is_no_models(self.kind, self.name):
            object.__setattr__(self, "model", UNNAMED_MODEL)
        if _parts_of(str(self)) != vars(self):
            given = ", ".join(f"{part} {value}" for part, value in vars(self).items() if value not in ("", None))
            hint = "small letters, digits and underscores name a detector" if self.kind == "detector" else "see earwitness.systems.System"
            raise InputError(f"no system has these parts: {given}; {hint}")

    def __str__(self) -> str:
        """The text in files and tables: base, silero, attention-grouped, attention-grouped-seed-42, attention-grouped+mean; of a model that
        has a name, voxtral.base."""
        split = f"-{self.split}" if self.split else ""
        seed = "" if self.seed is None else f"-seed-{self.seed}"
        combination = "" if self.combination is None else f"+{self.combination}"
        return with_model(self.model, f"{self.name}{split}{seed}{combination}")

    @classmethod
    def parse(cls, text: str, detectors: Collection[str] | None = None) -> "System":
        """The system whose text this is.

        detectors: the detectors that there are; None takes any name that no other kind has for one.
        Raises InputError where the text is no system's.
        """
        parts = _parts_of(text)
        if parts is None or (parts["kind"] == "detector" and detectors is not None and text not in detectors):
            known = "a detector" if detectors is None else f"a detector ({', '.join(detectors)})"
            forms = f"base, a probe, {known}, RECIPE-SPLIT, RECIPE-SPLIT-seed-SEED or RECIPE-SPLIT+vote or +mean"
            raise InputError(f"{text}: no system; name {forms}; of a model with a name, MODEL.base and so on")
        return cls(**parts)

    @property
    def is_honest(self) -> bool:
        """Whether it trained on the grouped split, which keeps every source in one part."""
        return self.split == HONEST_SPLIT

    @property
    def is_leaky(self) -> bool:
        """Whether it trained on the split by row, which does not."""
        return self.split == LEAKY_SPLIT

    @property
    def is_fold(self) -> bool:
        """Whether it trained on one fold of the cross-validation."""
        return is_fold(self.split)

    @property
    def base(self) -> "System":
        """The model as it is, before any training; of a detector none."""
        return System("base", "base", model=self.model)

    def alone(self) -> "System":
        """The same of the unnamed model, as in a study of this model alone."""
        return replace(self, model=UNNAMED_MODEL if self.model else "")

    def of_all_seeds(self) -> "System":
        """The same, standing for all its seeds."""
        return replace(self, seed=None)

    def members(self) -> "System":
        """The adapters that an ensemble combines."""
        return replace(self, kind="adapter", combination=None)

    def combined(self, combination: Combination) -> "System":
        """The ensemble of an adapter's seeds."""
        return replace(self, kind="ensemble", seed=None, combination=combination)


BASE = System("base", "base")
TOWER_PROBE, UNTRAINED_PROBE, ACOUSTICS_PROBE = (System("encoder_probe", name) for name in PROBES)
