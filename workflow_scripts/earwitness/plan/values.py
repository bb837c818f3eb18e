"""Prompt searches and experiments as values."""

import re
from dataclasses import dataclass

from earwitness.core.errors import InputError
from earwitness.systems import HONEST_SPLIT, UNNAMED_MODEL, System, asked_splits, is_redrawn, with_model

_SEARCH = re.compile("(?P<system>.+)-(?P<proposer>edits|opro|paraphrases)-seed-(?P<seed>0|[1-9][0-9]*)")


@dataclass(frozen=True)
class Search:
    """One prompt search: one proposer's, for one system, with one seed."""

    system: System
    proposer: str
    seed: int

    def __str__(self) -> str:
        """The text in records and on command lines: base-edits-seed-1."""
        return f"{self.system}-{self.proposer}-seed-{self.seed}"

    @classmethod
    def parse(cls, text: str) -> "Search":
        """The search whose text this is; raises InputError where it is no search's."""
        found = _SEARCH.fullmatch(text)
        if found is None:
            raise InputError(f"{text}: no prompt search; write SYSTEM-PROPOSER-seed-SEED, such as base-edits-seed-1")
        return cls(System.parse(found["system"]), found["proposer"], int(found["seed"]))


@dataclass(frozen=True)
class SearchGroup:
    """Searches of one proposer for one system that one job does, by one load of each model."""

    searches: tuple[Search, ...]

    @property
    def first(self) -> str:
        """The first search as part of a rule's name, which tells the job from others that do the same: base_edits_seed_1."""
        return _in_a_rule_name(self.searches[0])

    @property
    def system(self) -> System:
        """The system of all of them."""
        return self.searches[0].system

    @property
    def proposer(self) -> str:
        """The proposer of all of them."""
        return self.searches[0].proposer

    @property
    def seeds(self) -> list[int]:
        """Their seeds."""
        return [search.seed for search in self.searches]


@dataclass(frozen=True)
class Experiment:
    """Adapters of one model that are compared with each other; what several experiments share is trained once."""

    name: str
    enabled: bool
    adapters: tuple[System, ...]
    model: str = UNNAMED_MODEL

    def __str__(self) -> str:
        """The text in files and sections: main; of a model that has a name, voxtral.main."""
        return with_model(self.model, self.name)

    def by_seed(self) -> list[System]:
        """Its adapters, all of one seed before those of the next."""
        seeds = list(dict.fromkeys(adapter.seed for adapter in self.adapters))
        return sorted(self.adapters, key=lambda adapter: seeds.index(adapter.seed))

    @property
    def is_redrawn(self) -> bool:
        """Whether it trains on the published design, drawn again."""
        return any(is_redrawn(adapter.split) for adapter in self.adapters)

    @property
    def splits(self) -> list[str]:
        """What its adapters train on, sorted."""
        return sorted({adapter.split for adapter in self.adapters})

    @property
    def measured_splits(self) -> list[str]:
        """The splits on whose parts its adapters are measured: the grouped one, and what they train on, sorted."""
        return sorted({HONEST_SPLIT, *self.splits})


@dataclass(frozen=True)
class AdapterGroup:
    """Adapters of one model and recipe that one job trains, or asks about a set of stimuli, by one load of the base."""

    stimulus_set: str
    adapters: tuple[System, ...]

    @property
    def first(self) -> str:
        """The first adapter as part of a rule's name, which tells the job from others that do the same: attention_grouped_seed_42, or
        voxtral__attention_grouped_seed_42. One more seed or experiment leaves the names of jobs as they are."""
        return _in_a_rule_name(self.adapters[0])

    @property
    def model(self) -> str:
        """The model that all were trained on."""
        return self.adapters[0].model

    @property
    def recipe(self) -> str:
        """The recipe of all of them."""
        return self.adapters[0].name

    @property
    def trained_splits(self) -> list[str]:
        """The splits that they train on, sorted."""
        return sorted({adapter.split for adapter in self.adapters})

    @property
    def asked_splits(self) -> list[str]:
        """The splits whose development and test parts some of them are asked about, sorted."""
        return sorted({split for adapter in self.adapters for split in asked_splits(adapter.split)})


def _in_a_rule_name(named: System | Search) -> str:
    return str(named).replace("-", "_").replace(".", "__")
