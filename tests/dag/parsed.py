"""The workflow as Snakemake reads it, and what follows from its jobs and their programs."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from checkout import program_of

from earwitness.core.code_identity import modules_of


@contextlib.contextmanager
def parsed(folder: Path, **resource_settings: Any) -> Iterator[Any]:
    """The workflow in `folder`, with the job graph of the default configuration; the working folder until the block ends.

    resource_settings: of Snakemake's ResourceSettings, such as overwrite_resources.
    """
    # Not above: the modules of tests are loaded by every process that runs some, and Snakemake takes seconds.
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import OutputSettings, Quietness, ResourceSettings

    before, path = Path.cwd(), os.environ["PATH"]
    os.chdir(folder)
    try:
        with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api, contextlib.redirect_stdout(io.StringIO()):
            workflow_api = api.workflow(resource_settings=ResourceSettings(cores=2, **resource_settings), snakefile=folder / "Snakefile")
            workflow_api.dag().summary()
            yield workflow_api._workflow
    finally:
        os.chdir(before)
        os.environ["PATH"] = path


def followers_of_rules(workflow: Any) -> dict[str, set[str]]:
    """Rule that runs a program -> the rules that run again when it does, itself not included; in the order of their files."""
    direct: dict[str, set[str]] = {program_of(rule.name): set() for rule in workflow.rules if rule.shellcmd}
    for job in workflow.dag.jobs:
        for earlier in workflow.dag.dependencies[job]:
            if job.rule.shellcmd and earlier.rule.shellcmd:
                direct[program_of(earlier.rule.name)].add(program_of(job.rule.name))
    return {rule: _after(later, direct) - {rule} for rule, later in direct.items()}


def rules_of_modules(workflow: Any, programs: Path) -> dict[str, set[str]]:
    """Program or module, as its path from `programs`, -> the rules that run again when its meaning changes."""
    followers = followers_of_rules(workflow)
    found: dict[str, set[str]] = {}
    for rule in {program_of(job.rule.name) for job in workflow.dag.jobs if job.rule.shellcmd}:
        for path in modules_of(programs / f"{rule}.py"):
            found.setdefault(path.relative_to(programs).as_posix(), set()).update({rule} | followers[rule])
    return found


def _after(rules: set[str], direct: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    while rules:
        seen |= rules
        rules = {later for rule in rules for later in direct[rule]} - seen
    return seen
