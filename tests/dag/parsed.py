"""The workflow as Snakemake reads it, and what follows from its jobs and the code that they declare."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.settings.types import OutputSettings, Quietness, ResourceSettings


@contextlib.contextmanager
def parsed(folder: Path) -> Iterator[Any]:
    """The workflow in `folder`, with the job graph of the default configuration; the working folder until the block ends."""
    before, path = Path.cwd(), os.environ["PATH"]
    os.chdir(folder)
    try:
        with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api, contextlib.redirect_stdout(io.StringIO()):
            workflow_api = api.workflow(resource_settings=ResourceSettings(cores=2), snakefile=folder / "Snakefile")
            workflow_api.dag().summary()
            yield workflow_api._workflow
    finally:
        os.chdir(before)
        os.environ["PATH"] = path


def reruns_of_code(workflow: Any) -> dict[str, frozenset[str]]:
    """Program or module that some job declares as its code -> rules that run again when it is edited.

    A job runs again with its code, and with every job that it depends on.
    """
    followers: dict[Any, set[Any]] = {}
    for job in workflow.dag.jobs:
        for earlier in workflow.dag.dependencies[job]:
            followers.setdefault(earlier, set()).add(job)

    def after(jobs: set[Any]) -> set[Any]:
        seen: set[Any] = set()
        while jobs:
            seen |= jobs
            jobs = {later for job in jobs for later in followers.get(job, ())} - seen
        return seen

    declaring: dict[str, set[Any]] = {}
    for job in workflow.dag.jobs:
        for path in getattr(job.input, "code", []):
            declaring.setdefault(str(path), set()).add(job)
    return {path: frozenset(job.rule.name for job in after(jobs) if job.shellcmd) for path, jobs in sorted(declaring.items())}
