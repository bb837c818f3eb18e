"""Which rules run again after an edit of each program and each module of the library."""

from pathlib import Path

import document_reruns
import pytest
from parsed import reruns_of_code

from earwitness.core.randomness import stream

ROOT = Path(__file__).parents[2]
TRAINING = {"train_tiny_base", "train_adapter"}
LOOKS = (
    "workflow_scripts/earwitness/report/*.py",
    "workflow_scripts/earwitness/leakage/report.py",
    "workflow_scripts/plot_*.py",
    "workflow_scripts/write_report.py",
    "workflow_scripts/render_audit.py",
    "workflow_scripts/summarise_stimuli.py",
    "workflow_scripts/record_provenance.py",
    "workflow_scripts/earwitness/provenance/run.py",
)
"""Code that decides what is shown and how, and no number that anything is trained on."""

TRAINED_ON = {"columns", "files", "audio", "recordings", "clips", "stimuli", "splits", "predictions", "evidence", "__init__"}
"""Modules of earwitness.tables whose tables training reads, or waits for; all others are tables of results."""


@pytest.fixture(scope="module")
def reruns(workflow):
    return reruns_of_code(workflow)


def test_what_only_looks_never_trains_a_model(clean_checkout, reruns):
    looks = [path for pattern in LOOKS for path in sorted(clean_checkout.folder.glob(pattern))]
    looks += [path for path in (clean_checkout.folder / "workflow_scripts/earwitness/tables").glob("*.py") if path.stem not in TRAINED_ON]
    assert len(looks) > 30
    names = [str(path.relative_to(clean_checkout.folder)) for path in looks]
    assert {name: sorted(reruns[name] & TRAINING) for name in names if reruns.get(name, set()) & TRAINING} == {}


def one_file_of_each_outcome(reruns):
    by_outcome = {}
    for path, rules in reruns.items():
        by_outcome.setdefault(rules, []).append(path)
    draws = stream(20260101, "reruns", "modules")
    return [paths[draws.integers(len(paths))] for _, paths in sorted(by_outcome.items(), key=lambda item: item[1])]


def rules_after_a_comment(checkout, path: str):
    file = checkout.folder / path
    before = file.read_bytes()
    file.write_bytes(before + b"\n# a comment\n")
    found = set(checkout.plan()) - {"all"}
    file.write_bytes(before)
    return found


def assert_edits_rerun(checkout, reruns, paths: list[str]) -> None:
    wrong = {path: found ^ reruns[path] for path in paths if (found := rules_after_a_comment(checkout, path)) != reruns[path]}
    assert wrong == {}


def test_a_comment_in_a_program_or_module_reruns_what_imports_it_and_what_follows(finished, reruns):
    files = one_file_of_each_outcome(reruns)
    assert_edits_rerun(finished, reruns, files[:: len(files) // 8])


@pytest.mark.slow
def test_a_comment_in_any_program_or_module_reruns_what_imports_it_and_what_follows(finished, reruns):
    files = one_file_of_each_outcome(reruns)
    assert len(files) > 40
    assert_edits_rerun(finished, reruns, files)


def test_the_page_of_reruns_is_up_to_date(workflow):
    written = (ROOT / "rules" / "README.md").read_text(encoding="utf-8")
    assert written == document_reruns.page(workflow), "run python tests/dag/document_reruns.py"
