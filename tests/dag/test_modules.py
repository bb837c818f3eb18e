"""Code that decides what is shown, and no number that anything is trained on, trains nothing; and the page of reruns is up to date."""

from pathlib import Path

import document_reruns
from parsed import rules_of_modules

from earwitness.core.code_identity import COSMETIC

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "workflow_scripts"
TRAINING = {"train_tiny_base", "train_adapter"}
LOOKS = (
    "earwitness/report/*.py",
    "earwitness/leakage/report.py",
    "plot_*.py",
    "write_report.py",
    "render_audit.py",
    "summarise_stimuli.py",
    "record_provenance.py",
    "earwitness/provenance/*.py",
)
TRAINED_ON = {"columns", "files", "audio", "recordings", "clips", "stimuli", "splits", "predictions", "audit_evidence", "ties", "__init__"}
"""Modules of earwitness.tables whose tables training reads, or waits for; all others are tables of results."""


def test_what_only_looks_never_trains_a_model(workflow):
    looks = [path for pattern in LOOKS for path in sorted(PROGRAMS.glob(pattern))]
    looks += [path for path in (PROGRAMS / "earwitness/tables").glob("*.py") if path.stem not in TRAINED_ON]
    assert len(looks) > 30
    reruns = rules_of_modules(workflow, PROGRAMS)
    names = {path.relative_to(PROGRAMS).as_posix() for path in looks} - COSMETIC
    assert {name: reruns[name] & TRAINING for name in names if reruns.get(name, set()) & TRAINING} == {}


def test_the_page_of_reruns_is_up_to_date(workflow):
    written = (ROOT / "rules" / "README.md").read_text(encoding="utf-8")
    assert written == document_reruns.page(workflow), "run python tests/dag/document_reruns.py"
