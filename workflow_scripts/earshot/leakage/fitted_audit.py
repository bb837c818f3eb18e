"""The second audit, after training: what was fitted on what, and what the base model does and may have heard."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from earshot.leakage import counterfactual_checks, declaration_checks, fitted_checks
from earshot.leakage.certificate import FITTED
from earshot.leakage.certifying import certify, parts_of
from earshot.leakage.fitted_checks import FittedEvidence
from earshot.leakage.registry import Check, registered
from earshot.leakage.waivers import Waiver

FAMILIES = (fitted_checks, counterfactual_checks, declaration_checks)
"""The modules whose checks run; importing one registers them."""


def checks() -> list[Check]:
    """Every check of what was fitted, ordered by id."""
    return registered("fitted")


def audit_fitted(evidence: FittedEvidence, subject: list[dict[str, str]], waivers: Sequence[Waiver] = ()) -> tuple[dict[str, Any], pd.DataFrame]:
    """Run every check; returns what earshot.leakage.audit.audit returns. subject: see earshot.leakage.certifying.certify."""
    settings = {"systems": {system: sorted(kinds) for system, kinds in evidence.needed.items()}, "base": evidence.base}
    findings = [(check, check.run(evidence)) for check in checks()]
    return certify(FITTED, subject, settings, parts_of(evidence.split), findings, waivers)
