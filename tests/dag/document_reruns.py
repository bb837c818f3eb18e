"""Write rules/README.md: which edit trains and runs what again, from the cases that tests/dag/test_reruns.py plans.

python tests/dag/document_reruns.py
"""

import json
import sys
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "dag"), str(ROOT / "workflow_scripts")]

import test_reruns  # noqa: E402
from parsed import followers_of_rules, parsed  # noqa: E402

PAGE = ROOT / "rules" / "README.md"
INTRODUCTION = """# rules/

One file per stage of the study; each opens with what comes in and what goes out. `start.smk` (what must hold first), `common.smk`
(helpers) and `names.smk` (names that no rule has) hold no rules, `captions/` the words under the figures and tables of Snakemake's report.

## What runs again

A job depends on the meaning of its code, on the content of its inputs, and on the settings that it reads. The meaning of code
is everything but comments, layout, docstrings and messages (`earwitness.core.code_identity`).

This page is written by `python tests/dag/document_reruns.py` from the cases of `tests/dag/test_reruns.py`. They make each edit in a
finished run of the default configuration and compare what Snakemake then plans. *Trains* says which models are trained again; all that
these models answer is then made again too. The rules named run again, and so do all that use their results; *rules* counts them all.
Modules are those of `workflow_scripts/earwitness/`.

| edit | trains | runs again from | rules |
| --- | --- | --- | --- |
"""


def flat(settings: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"`{before}{key}: {json.dumps(value)}`"


def edits() -> Iterator[tuple[str, Set[str]]]:
    """Every edit in words, and the rules that it makes run again."""
    for case in (*test_reruns.HARMLESS, *test_reruns.CODE):
        yield case.what, case.expected
    yield "a recording on disk replaced", test_reruns.AFTER_A_RECORDING
    for settings, expected in test_reruns.SETTINGS:
        yield ", ".join(flat(settings)), expected
    yield "another training seed (only its own adapters are trained)", test_reruns.ADAPTERS
    yield "another seed of the prompt searches (only its own are made)", test_reruns.AFTER_A_SEARCH


def row(what: str, rules: Set[str], followers: Mapping[str, Set[str]]) -> str:
    trains = [name for name, rule in (("base", "train_tiny_base"), ("adapters", "train_adapter")) if rule in rules]
    first = [rule for rule in followers if rule in rules and not any(rule in followers[other] for other in rules)]
    listed = ", ".join(f"`{rule}`" for rule in first) or "nothing"
    return f"| {what} | {' and '.join(trains) or '-'} | {listed} | {len(rules)} |\n"


def page(workflow: Any) -> str:
    """The whole page; `workflow` as Snakemake reads it."""
    followers = followers_of_rules(workflow)
    return INTRODUCTION + "".join(row(what, rules, followers) for what, rules in edits())


if __name__ == "__main__":
    with parsed(ROOT) as workflow:
        PAGE.write_text(page(workflow), encoding="utf-8")
