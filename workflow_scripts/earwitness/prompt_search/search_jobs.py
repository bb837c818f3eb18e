"""Prompt searches from files to files: what they ask, whom, and what they write."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from earwitness.core.files import sha256_of, write_json
from earwitness.core.prompt_text import answers_to_name
from earwitness.core.randomness import stream
from earwitness.leakage.tuning_records import tuning_record
from earwitness.model.engine.prompting import Prompt
from earwitness.model.identity import ModelFolder
from earwitness.model.prediction_jobs import ModelSpec, StimulusFiles
from earwitness.plan.values import Search
from earwitness.prompt_search.edits import Edits, Paraphrases, direct_questions
from earwitness.prompt_search.model_switch import ModelSwitch
from earwitness.prompt_search.opro import Opro, load_writer
from earwitness.prompt_search.proposers import Proposer
from earwitness.prompt_search.question_scorer import QuestionScorer
from earwitness.prompt_search.search import QuestionLimits, SearchResult, SearchSettings, SearchTask, score_table, search
from earwitness.prompt_search.stimulus_sampling import StimulusSample, sample_stimuli, split_for_adapter
from earwitness.runtime.made_folders import make_folders
from earwitness.runtime.saved_state import SavedState, loaded_code_identity
from earwitness.systems import System
from earwitness.tables.files import read_table, write_table
from earwitness.tables.prompts import PROMPT_SCORES
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI

STREAM = "search_prompts"

SCORES, ARCHIVE, BEST, TUNING = FILES = ("prompts.csv", "archive.jsonl", "best_prompt.txt", "prompts.tuning.json")
"""What a search leaves in its folder."""


@dataclass(frozen=True)
class ProposerChoice:
    """name: "edits", "paraphrases" or "opro". writer: the language model that "opro" asks; quantisation: of its weights."""

    name: str
    writer: ModelFolder | None = None
    quantisation: str = "none"


@dataclass(frozen=True)
class SearchJob:
    """A search over a system.

    asked, stimuli: the model, and what it is asked about. prompt: the initial question, whose format all questions have.
    index: the index of all stimuli (earwitness.tables.stimuli.STIMULI); split: a split by source (earwitness.tables.splits.SPLIT), whose
    train part is searched on and whose dev part chooses; an adapter has trained on the former, and takes the halves of the latter.
    sizes: config prompt_search. search_seed: of this search; seed: of the study. batch_size: None finds one.
    code: the meaning of the code that searches, as Snakemake follows it; None takes that of the modules loaded now.
    """

    system: System
    asked: ModelSpec
    stimuli: StimulusFiles
    prompt: Prompt
    proposer: ProposerChoice
    index: Path
    split: Path
    sizes: Mapping[str, int]
    search_seed: int
    seed: int
    batch_size: int | None
    code: str | None = None

    @property
    def name(self) -> str:
        """What its record is called."""
        return str(Search(self.system, self.proposer.name, self.search_seed))

    @property
    def answers(self) -> tuple[str, ...]:
        """The answers that every question must name."""
        return answers_to_name(self.prompt.template, self.prompt.answer_format)

    def samples(self) -> tuple[StimulusSample, StimulusSample]:
        """What is searched on, and what chooses; the latter is the same for all searches over a system."""
        index, split = read_table(self.index, STIMULI), read_table(self.split, SPLIT)
        parts = split if self.asked.adapter is None else split_for_adapter(split, self.seed)
        searched = sample_stimuli(index, parts, "train", self.sizes["stimuli"], self.seed, STREAM, self.search_seed, "train")
        return searched, sample_stimuli(index, parts, "dev", self.sizes["development_stimuli"], self.seed, STREAM, "dev")

    def random_stream(self, iteration: int) -> np.random.Generator:
        """What the proposer draws from in an iteration."""
        return stream(self.seed, STREAM, self.search_seed, self.proposer.name, iteration)

    def fingerprint(self) -> dict[str, Any]:
        """Everything that the result depends on: a state saved under another fingerprint is not resumed."""
        adapter = self.asked.adapter
        return {
            "proposer": self.proposer.name,
            "writer": self.proposer.writer and self.proposer.writer.sha256,
            "quantisation": [self.asked.quantisation, self.proposer.quantisation],
            "memory": self.asked.memory,
            "prompt": asdict(self.prompt),
            "sizes": dict(self.sizes),
            "seeds": [self.seed, self.search_seed],
            "base": self.asked.base.sha256,
            "adapter": [sha256_of(adapter / name) for name in ("adapter_config.json", "adapter_model.safetensors")] if adapter else [],
            "level": self.stimuli.level and asdict(self.stimuli.level),
            "data": [self.stimuli.content(), *(sha256_of(path) for path in (self.index, self.split))],
            "code": self.code or loaded_code_identity(),
        }


def run_searches(jobs: Mapping[Path, SearchJob], device: torch.device) -> None:
    """Do the searches of one proposer over one system by one load of each model, and write their folders as `make_folders` does: prompts.csv
    (every question with its scores), archive.jsonl (every proposal and request), best_prompt.txt (the chosen question),
    prompts.tuning.json (what was chosen, and on what) and fingerprint.json.

    jobs: by the search's folder. An interrupted search goes on from its state, to the same result.
    Raises InputError as `sample_stimuli`, `QuestionScorer` and the loading of the models do.
    """
    switch = ModelSwitch(one_at_a_time=any(job.asked.memory == "compact" for job in jobs.values()))

    def make(temporary: Path, folder: Path, resume: SavedState) -> None:
        _search(jobs[folder], temporary, resume, switch, device)

    make_folders({folder: job.fingerprint() for folder, job in jobs.items()}, FILES, make)


def _search(job: SearchJob, folder: Path, resume: SavedState, switch: ModelSwitch, device: torch.device) -> None:
    """One search, written into a folder."""
    searched, development = job.samples()
    scorer = QuestionScorer(
        lambda: switch.get("asked", lambda: job.asked.load(device)),
        job.stimuli.source,
        {*searched.ids, *development.ids},
        job.prompt,
        job.asked.batches(job.batch_size, device),
    )
    limits = QuestionLimits(job.sizes["most_characters"], scorer.special_tokens, job.answers)
    task = SearchTask(job.prompt.question, direct_questions(job.answers), searched, development, limits)
    settings = SearchSettings(**{name: job.sizes[name] for name in ("iterations", "candidates", "finalists")})
    found = search(task, _proposer(job, switch, device), scorer, settings, job.random_stream, resume)
    _write(job, folder, found, score_table(found, task, scorer.prompt_id, scorer.n_tokens), [*searched.ids, *development.ids])


def _proposer(job: SearchJob, switch: ModelSwitch, device: torch.device) -> Proposer:
    choice = job.proposer
    if choice.writer is None:
        return (Edits if choice.name == "edits" else Paraphrases)(job.prompt.question, job.answers)
    folder = choice.writer.path

    def write(request: str, count: int, seed: int) -> list[str]:
        return switch.get("writer", lambda: load_writer(folder, choice.quantisation, device, job.asked.memory))(request, count, seed)

    return Opro(write, job.sizes["most_characters"], job.answers)


def _write(job: SearchJob, folder: Path, found: SearchResult, scores: pd.DataFrame, used: Sequence[str]) -> None:
    split = read_table(job.split, SPLIT)
    question = found.chosen.question
    value = {
        "prompt_id": replace(job.prompt, question=question).prompt_id,
        "question": question,
        "search_optimism": found.optimism,
        "development_optimism": found.development_optimism,
    }
    write_table(folder / SCORES, scores, PROMPT_SCORES)
    (folder / ARCHIVE).write_text("".join(json.dumps(record) + "\n" for record in found.archive), encoding="utf-8")
    (folder / BEST).write_text(question + "\n", encoding="utf-8")
    write_json(folder / TUNING, tuning_record(job.name, ["prompt"], value, job.split, split[split.stimulus_id.isin(used)], drawn=True))
