"""The workflow's programs, called in the tests' own process, which has loaded their libraries already."""

import contextlib
import importlib
import io
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import patch


def call_program(name: str, *arguments: object, folder: Path) -> "subprocess.CompletedProcess[str]":
    """What a program of workflow_scripts prints in a folder, and how it ends."""
    command = [f"{name}.py", *map(str, arguments)]
    main, stdout, stderr = importlib.import_module(name).main, io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        patch.object(sys, "argv", command),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
    return subprocess.CompletedProcess(command, code, stdout.getvalue(), stderr.getvalue())


@contextlib.contextmanager
def started_here(program: ModuleType) -> Iterator[None]:
    """For the block, a program calls in its own process the one that it would start with `subprocess.run([python, path, ...], check=True)`."""

    def run(command: Sequence[object], check: bool) -> None:
        _, path, *arguments = command
        done = call_program(Path(str(path)).stem, *arguments, folder=Path.cwd())
        assert check and done.returncode == 0, done.stderr

    with patch.object(program, "subprocess", SimpleNamespace(run=run)):
        yield
