"""What the parts of file names that differ from job to job may be."""

import re

from earwitness.plan.models import Models
from earwitness.plan.study import STIMULUS_SETS, Plan
from earwitness.systems import MODEL_PROBES

_MODEL, _RECIPE, _SPLIT = r"([a-z0-9_]+\.)?", "[a-z][a-z0-9_]*", r"grouped|row_random|(fold|train|by_row|by_source)_\d+"


def wildcard_constraints(plan: Plan, models: Models) -> dict[str, str]:
    """Wildcard of a rule -> the regular expression of what it stands for."""
    return {
        "dataset": "|".join(map(re.escape, plan.config["sources"])),
        "corpus": "study|base",
        "shard": r"\d{3}",
        "split": _SPLIT,
        "audit": f"{_SPLIT}|tuning",
        "kind": "by_row|by_source",
        "draw": r"\d+",
        "fold": r"\d+",
        "sources": r"\d+",
        "experiment": _MODEL + _RECIPE,
        "recipe": _RECIPE,
        "detector": "silero|webrtc|energy|firered|pyannote",
        "probe": "|".join(MODEL_PROBES),
        "system": rf"{_MODEL}(base|{_RECIPE}-grouped-seed-\d+)",
        "stimulus_set": "|".join(STIMULUS_SETS),
        "model": "|".join(plan.models),
        "checkpoint": "|".join(models.fetchable),
    }
