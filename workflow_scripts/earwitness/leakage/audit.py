"""The audit: every check over one split, as a certificate and a table of data."""

from collections.abc import Sequence, Set
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from earwitness.core.errors import InputError
from earwitness.leakage.audit_input import Audited, OnePass, Policy, load_audit_input
from earwitness.leakage.checks import (
    code,
    exact_duplicates,
    near_duplicates,
    provenance,
    recording_set_up,
    same_voice,
    shortcuts,
    source_names,
    speech_content,
    structure,
)
from earwitness.leakage.registry import Check, Finding, not_run, registered
from earwitness.leakage.verdict import certify, parts_of, subject_of
from earwitness.leakage.waivers import Waiver
from earwitness.tables.files import read_table
from earwitness.tables.splits import SPLIT

FAMILIES = (
    provenance,
    exact_duplicates,
    near_duplicates,
    structure,
    shortcuts,
    source_names,
    speech_content,
    code,
    same_voice,
    recording_set_up,
)
"""The modules whose checks run; importing one registers them."""


def checks() -> list[Check]:
    """Every check of a split, ordered by id."""
    return registered("split")


def audited_files(
    split: Path,
    index: Path,
    clip_files: list[Path],
    recording_files: list[Path],
    shards: list[Path],
    policy: Policy,
    folds: Sequence[Path] = (),
    segment_files: Sequence[Path] = (),
) -> Audited:
    """A split that Earwitness made; arguments and errors are those of earwitness.leakage.audit_input.load_audit_input.

    folds: the files of all folds (earwitness.tables.splits.SPLIT) where the split is one of a cross-validation.
    Raises InputError too where the split is not among its folds, or a fold is missing or malformed.
    """
    data = load_audit_input(split, index, clip_files, recording_files, shards, policy, segment_files)
    files = {"split": [split], "index": [index], "clips": clip_files, "recordings": recording_files, "shards": shards, "fold": folds}
    files |= {"segments": segment_files, "voices": policy.model_files}
    if folds and split.resolve() not in {path.resolve() for path in folds}:
        raise InputError(f"--folds: {split} is not among them; name all folds of its cross-validation")
    data = replace(data, folds={path.stem: read_table(path, SPLIT) for path in folds})
    return Audited(data, split.stem, subject_of(files))


def audit(audited: Audited, waivers: Sequence[Waiver] = ()) -> tuple[dict[str, Any], pd.DataFrame]:
    """Run every check.

    waivers: checks that may fail.
    Returns the certificate (earwitness.leakage.certificate.CERTIFICATE) and the evidence (earwitness.tables.audit_evidence.EVIDENCE), which
    depend on nothing but the content of the files, their base names, the policy and the waivers.
    """
    settings = asdict(audited.data.policy)
    return certify(audited.name, audited.subject, settings, parts_of(audited.data.stimuli), run_checks(audited), waivers)


def run_checks(audited: Audited, only: Set[str] | None = None) -> list[tuple[Check, Finding]]:
    """Every check, or those with the ids `only`, with what it found, ordered by id; those that are impossible are not run."""
    wanted = [check for check in checks() if only is None or check.id in only]
    asked = [function for check in wanted if check.id not in audited.impossible for function in check.asks(audited.data.policy)]
    data, unread = replace(audited.data, together=OnePass(asked)), len(audited.data.unread)
    remarks = (f"{unread} item{'s are' if unread > 1 else ' is'} left out whose audio cannot be read.",) if unread else ()
    return [
        (check, not_run(audited.impossible[check.id]))
        if check.id in audited.impossible
        else (check, replace(finding := check.run(data), remarks=(*finding.remarks, *remarks)))
        for check in wanted
    ]
