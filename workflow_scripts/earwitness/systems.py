"""Systems: whatever answers "speech or not?", as values with parts."""

import re
from dataclasses import dataclass, replace
from typing import Literal, cast

from earwitness.core.errors import InputError

Kind = Literal["base", "adapter", "ensemble", "detector"]
Combination = Literal["vote", "mean"]

HONEST_SPLIT, LEAKY_SPLIT = "grouped", "row_random"

_NAME = "[a-z][a-z0-9_]*"
_TRAINED = re.compile(rf"(?P<name>{_NAME})-(?P<split>{_NAME})(-seed-(?P<seed>\d+))?(\+(?P<combination>vote|mean))?")


@dataclass(frozen=True, order=True)
class System:
    """One system that answers.

    kind: "base" is the model as it is, "adapter" a fine-tuned one, "ensemble" several seeds of one recipe and split as one
    system, "detector" a classic speech detector. name: the recipe of an adapter or ensemble, or the detector; "base" for the
    base. split: what an adapter or ensemble trained on; "" for others. seed: of one adapter; None where it stands for all
    seeds of its recipe and split. combination: how an ensemble's seeds are combined.
    """

    kind: Kind
    name: str
    split: str = ""
    seed: int | None = None
    combination: Combination | None = None

    def __str__(self) -> str:
        """Its name in files and tables: base, silero, attention-grouped, attention-grouped-seed-42, attention-grouped+mean."""
        if self.kind in ("base", "detector"):
            return self.name
        seed = "" if self.seed is None else f"-seed-{self.seed}"
        return f"{self.name}-{self.split}{seed}" + (f"+{self.combination}" if self.combination else "")

    @classmethod
    def parse(cls, text: str, detectors: frozenset[str] | None = None) -> "System":
        """The system that `str` gives this text for.

        detectors: the detectors that there are; None lets any plain name be one.
        Raises InputError where the text names no system.
        """
        if text == BASE.name:
            return BASE
        if found := _TRAINED.fullmatch(text):
            seed, combination = found["seed"], cast(Combination | None, found["combination"])
            return cls("ensemble" if combination else "adapter", found["name"], found["split"], int(seed) if seed else None, combination)
        if re.fullmatch(_NAME, text) and (detectors is None or text in detectors):
            return cls("detector", text)
        raise InputError(f"{text}: names no system; write base, a detector, or RECIPE-SPLIT[-seed-SEED]")

    @property
    def is_honest(self) -> bool:
        """Whether it trained on the grouped split, which keeps every source in one part."""
        return self.split == HONEST_SPLIT

    @property
    def is_leaky(self) -> bool:
        """Whether it trained on the split by row, which does not."""
        return self.split == LEAKY_SPLIT

    def of_all_seeds(self) -> "System":
        """The same without its seed and combination."""
        return replace(self, kind="adapter", seed=None, combination=None) if self.split else self


BASE = System("base", "base")
