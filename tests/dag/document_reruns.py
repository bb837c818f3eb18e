"""Write rules/README.md: which edit makes which rules run again, from the cases that tests/dag/test_reruns.py holds.

python tests/dag/document_reruns.py
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "dag"), str(ROOT / "workflow_scripts")]

import test_reruns  # noqa: E402
from parsed import parsed, reruns_of_code  # noqa: E402

PAGE = ROOT / "rules" / "README.md"
INTRODUCTION = """# rules/

One file per stage of the study; each opens with what comes in and what goes out. `common.smk` holds helpers and no rules, and
`captions/` the words under the figures and tables of Snakemake's report, with the template of `results/report.html`.

## What runs again

This page is written by `python tests/dag/document_reruns.py` from the cases of `tests/dag/test_reruns.py`, which make each edit in
a finished run of the default configuration and compare what Snakemake then plans. *Trains* says which models are trained again.

"""
MODULES = """
## Programs and modules

A comment in any of these counts as an edit: content decides, not meaning. `tests/dag/test_modules.py` compares this with what Snakemake
plans. Files of one row stand in the code of the same rules, or of rules that lead to the same; `earwitness/` is short for
`workflow_scripts/earwitness/`, and so are the programs without a folder.

"""


def cases(test: Any) -> list[tuple[Any, ...]]:
    """The rows that a test is parametrised with."""
    return next(mark.args[1] for mark in test.pytestmark if mark.name == "parametrize")


def flat(settings: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"`{before}{key}: {json.dumps(value)}`"


def edits() -> Iterator[tuple[str, set[str]]]:
    """Every edit in words, and the rules that it makes run again."""
    yield "any file touched, and not changed", set()
    for path, expected in cases(test_reruns.test_an_edited_file_reruns_what_reads_it):
        yield f"a comment in `{path.removeprefix('workflow_scripts/')}`", expected
    for settings, expected in cases(test_reruns.test_a_changed_setting_reruns_what_reads_it):
        yield ", ".join(flat(settings)), expected
    yield "another training seed (its own adapters only)", test_reruns.ADAPTERS
    for what, _, expected in cases(test_reruns.test_any_other_edit_reruns_what_depends_on_it):
        yield what, expected
    yield "a recording replaced (its own data set is catalogued)", test_reruns.RECORDED | test_reruns.AFTER_CLIPS


def row(what: str, rules: Iterable[str], order: list[str]) -> str:
    found = set(rules)
    trains = [name for name, rule in (("base", "train_tiny_base"), ("adapters", "train_adapter")) if rule in found]
    listed = "everything" if found == set(order) else ", ".join(f"`{rule}`" for rule in order if rule in found) or "nothing"
    return f"| {what} | {' and '.join(trains) or '-'} | {listed} |\n"


def page(workflow: Any) -> str:
    """The whole page; `workflow` as Snakemake reads it."""
    planned = {job.rule.name for job in workflow.dag.jobs if job.shellcmd}
    order = [rule.name for rule in workflow.rules if rule.name in planned]
    head = "| edit | trains | runs again |\n| --- | --- | --- |\n"
    by_outcome: dict[frozenset[str], list[str]] = {}
    for path, rules in reruns_of_code(workflow).items():
        by_outcome.setdefault(rules, []).append(f"`{path.removeprefix('workflow_scripts/')}`")
    modules = sorted(by_outcome.items(), key=lambda item: (len(item[0]), item[1]))
    return (
        INTRODUCTION
        + head
        + "".join(row(what, rules, order) for what, rules in edits())
        + MODULES
        + head
        + "".join(row(", ".join(paths), rules, order) for rules, paths in modules)
    )


if __name__ == "__main__":
    with parsed(ROOT) as workflow:
        PAGE.write_text(page(workflow), encoding="utf-8")
