"""The second audit, after training: what was fitted on what, and what the base model does and may have heard."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from earwitness.leakage.certificate import TUNING
from earwitness.leakage.checks import counterfactuals, declarations, tuning, untrained_hearing
from earwitness.leakage.checks.tuning import TuningInput
from earwitness.leakage.registry import Check, registered
from earwitness.leakage.verdict import certify, parts_of
from earwitness.leakage.waivers import Waiver

FAMILIES = (tuning, counterfactuals, declarations, untrained_hearing)
"""The modules whose checks run; importing one registers them."""


def checks() -> list[Check]:
    """Every check of what was fitted, ordered by id."""
    return registered("tuning")


def audit_tuning(data: TuningInput, subject: list[dict[str, str]], waivers: Sequence[Waiver] = ()) -> tuple[dict[str, Any], pd.DataFrame]:
    """Run every check; returns what earwitness.leakage.audit.audit returns. subject: see earwitness.leakage.verdict.certify."""
    settings: dict[str, Any] = {"systems": {system: sorted(kinds) for system, kinds in data.needed.items()}, "models": dict(data.declared)}
    if data.untrained is not None:
        settings["shortcut_auc_warn"] = data.untrained.shortcut_auc_warn
    findings = [(check, check.run(data)) for check in checks()]
    return certify(TUNING, subject, settings, parts_of(data.split), findings, waivers)
