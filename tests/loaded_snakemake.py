"""Snakemake that starts at once: a process that has loaded it, and forks another for each command.

Most of the time of a dry run is the interpreter and imports, and the tests make a hundred. The code of the project is loaded by each fork.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any


def run_no_job(arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """A command of Snakemake that runs no job, in a folder; stdout and stderr are captured."""
    server = _server()
    assert server.stdin and server.stdout
    with tempfile.TemporaryDirectory() as written:
        json.dump({"arguments": arguments, "folder": str(folder), "written": written, "environment": dict(os.environ)}, server.stdin)
        print(file=server.stdin, flush=True)
        code = int(server.stdout.readline())
        printed = [(Path(written) / name).read_text(encoding="utf-8") for name in ("stdout", "stderr")]
    return subprocess.CompletedProcess(["snakemake", *arguments], code, *printed)


@cache
def _server() -> "subprocess.Popen[str]":
    """The process that forks; it ends with this one, which holds the other end of its input."""
    return subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _serve(requests: IO[str]) -> None:
    import jsonschema  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import smart_open  # noqa: F401
    from snakemake.cli import get_argument_parser

    # Loads what Snakemake is extended with.
    get_argument_parser()
    # What is loaded stays, and a fork ends soon.
    gc.disable()
    gc.freeze()
    for line in requests:
        child = os.fork()
        if child == 0:
            _run(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _run(request: dict[str, Any]) -> None:
    from snakemake.cli import main

    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(request["written"]) / name, os.O_WRONLY | os.O_CREAT), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.path[0] = request["folder"]
    sys.argv = ["snakemake", *request["arguments"]]
    main()


if __name__ == "__main__":
    _serve(sys.stdin)
