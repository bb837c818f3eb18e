"""Prompt searches and experiments as values."""

from dataclasses import dataclass

from earwitness.systems import System


@dataclass(frozen=True)
class Search:
    """One prompt search: one proposer's, for one system, with one seed."""

    system: System
    proposer: str
    seed: int

    def __str__(self) -> str:
        """Its name in the audit of what was tuned: base-edits-seed-1."""
        return f"{self.system}-{self.proposer}-seed-{self.seed}"


@dataclass(frozen=True)
class Experiment:
    """Adapters that are compared with each other; what several experiments share is trained once."""

    name: str
    enabled: bool
    adapters: tuple[System, ...]

    @property
    def splits(self) -> list[str]:
        """What its adapters train on, sorted."""
        return sorted({adapter.split for adapter in self.adapters})
