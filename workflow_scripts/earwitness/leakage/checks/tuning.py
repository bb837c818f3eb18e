"""Was anything that was fitted (statistics, prompts, thresholds, temperatures) fitted on sources of the test part?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from earwitness.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge, not_applicable
from earwitness.leakage.tuning_records import digest_of

ALLOWED_PARTS = ("train", "dev")


@dataclass(frozen=True, eq=False)
class Untrained:
    """What towers hear that were never trained.

    stimuli: those of the split, columns of earwitness.tables.stimuli.STIMULI, `part`, and `session` ("" where not known). heard: by the name of
    the model whose shape the tower has, a table with one vector per stimulus, indexed by stimulus_id. shortcut_auc_warn: as in
    earwitness.leakage.audit_input.Policy.
    """

    stimuli: pd.DataFrame
    heard: Mapping[str, pd.DataFrame]
    shortcut_auc_warn: float


@dataclass(frozen=True, eq=False)
class TuningInput:
    """What the checks of fitted artefacts and of the base model receive.

    split: earwitness.tables.splits.SPLIT; split_sha256: its file's. records: earwitness.leakage.tuning_records.TUNING.
    needed: system -> kinds that it must have fitted, and so must have a record of.
    datasets: of all recordings. corpora: what is publicly known about the training data of base models
    (earwitness.tables.pretraining.PRETRAINING_CORPORA); declared: each model's name there, by its name in the study.
    counterfactuals: earwitness.tables.counterfactuals.COUNTERFACTUALS of every model that was asked, by its name in the study.
    untrained: the control of what can be told by hearing; None where no tower was asked.
    """

    split: pd.DataFrame
    split_sha256: str
    records: Sequence[dict[str, Any]]
    needed: Mapping[str, Sequence[str]]
    datasets: pd.Series
    corpora: pd.DataFrame
    declared: Mapping[str, str]
    counterfactuals: Mapping[str, pd.DataFrame]
    untrained: Untrained | None = None


def _fitted_elsewhere(data: TuningInput, kinds: set[str]) -> Finding:
    """The faults of the records of some kinds, and the systems that lack one."""
    records = [record for record in data.records if kinds & set(record["kinds"])]
    rows = [fault for record in records for fault in _faults(record, data)]
    told = {(record["system"], kind) for record in records for kind in record["kinds"]}
    needed = {(system, kind) for system, wanted in data.needed.items() for kind in wanted if kind in kinds}
    rows += [("", "", system, "", "", "", f"no record of what its {kind} was fitted on") for system, kind in sorted(needed - told)]
    if not records and not rows:
        return not_applicable(f"no system fits {' or '.join(sorted(kinds))}")
    offenders = pd.DataFrame(rows, columns=list(EVIDENCE_COLUMNS), dtype=str)
    systems = ", ".join(sorted(set(offenders.item_a)))
    return judge(offenders, len(records) + len(needed - told), len(rows), 0, f"what {systems} fitted is not shown to be apart from the test part")


def _faults(record: dict[str, Any], data: TuningInput) -> list[tuple[str, ...]]:
    system, split = record["system"], data.split

    def row(detail: str, part: str = "", source: str = "") -> tuple[str, ...]:
        return ("", part, system, "", "", source, f"{', '.join(record['kinds'])}: {detail}")

    if record["split_sha256"] != data.split_sha256:
        return [row("fitted by another split than this")]
    parts = split.drop_duplicates(["source_id", "part"]).groupby("source_id").part.agg(set)
    strangers = [source for source in record["sources"] if source not in parts.index]
    tested = [source for source in record["sources"] if source in parts.index and not parts[source] <= set(ALLOWED_PARTS)]
    rows = [row("fitted on a source of the test part", "test", source) for source in tested]
    rows += [row("fitted on a source that the split does not have", source=source) for source in strangers]
    if not record["stimuli"]:
        rows.append(row("fitted on nothing"))
    allowed = [split[split.part == part].stimulus_id for part in ALLOWED_PARTS]
    whole = {digest_of(ids) for ids in (*allowed, pd.concat(allowed))}
    if "drawn" in record:
        if set(record["drawn"]) - set(pd.concat(allowed)) or digest_of(record["drawn"]) != record["stimuli_sha256"]:
            rows.append(row("fitted on stimuli outside the train and development parts, or not on those that it names"))
    elif not rows and record["stimuli_sha256"] not in whole:
        rows.append(row("fitted on other stimuli than the whole train or development part"))
    return rows


def _register(id: str, name: str, kinds: tuple[str, ...], question: str, remedy: str) -> None:
    """Register the check that `kinds` were fitted inside the training and development parts."""

    def fitted_outside(data: TuningInput) -> Finding:
        return _fitted_elsewhere(data, set(kinds))

    told = f"{remedy}, and let the program tell so (earwitness.leakage.tuning_records)."
    check(id=id, name=name, severity="error", units="systems", question=question, remedy=told, stage="tuning")(fitted_outside)


_register(
    "L07",
    "statistics_fitted_outside",
    ("statistics",),
    "Were any statistics (means, scales) fitted outside the training and development parts?",
    "Fit means and scales on the training or development part",
)
_register(
    "L08",
    "prompt_chosen_outside",
    ("prompt",),
    "Was any prompt chosen by its score outside the training and development parts?",
    "Choose prompts by their scores on the development part",
)
_register(
    "L09",
    "decision_fitted_outside",
    ("threshold", "temperature", "calibration"),
    "Was any threshold, temperature or calibration fitted outside the training and development parts?",
    "Fit thresholds, temperatures and calibrations on the development part",
)
