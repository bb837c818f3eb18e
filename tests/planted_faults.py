"""Do the tests bite? Plant one small fault at a time into a copy of the project, and see whether the unit tests named for it fail.

python tests/planted_faults.py [WORD ...] [--jobs 2]

WORD: only faults whose file or tests contain it. Prints one line per fault and the share that was caught; ends with 1 where fewer
than FEWEST_CAUGHT were. Each fault changes one place that must exist exactly once, so that a moved line is noticed.
"""

import argparse
import concurrent.futures
import contextlib
import multiprocessing
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults import FAULTS, Fault

ROOT = Path(__file__).parents[1]
LIBRARY = "workflow_scripts/earwitness"
FEWEST_CAUGHT = 0.95
COPIED = (
    "workflow_scripts",
    "tests",
    "config",
    "rules",
    "envs",
    "docs",
    "benchmarks",
    "Snakefile",
    "pyproject.toml",
    "LICENSE",
    "README.md",
    "results/README.md",
)

PROCESSES = multiprocessing.get_context("forkserver")
LOADED = ["datasets", "matplotlib.pyplot", "peft", "scipy.stats", "sklearn.linear_model", "torch", "transformers"]
"""What takes the longest to load, once for all faults; nothing of the project, of which each fault loads its own."""


@dataclass(frozen=True)
class Outcome:
    """What the tests said of a fault: caught, survived, misplaced where the text is not there exactly once, or unproven where the test
    that failed fails without the fault too."""

    fault: Fault
    verdict: str


def copy_of_project(folder: Path) -> Path:
    """The parts of the project that unit tests read."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def outcome_of(fault: Fault, project: Path) -> Outcome:
    """Plant a fault, run its tests, and take it out again."""
    path = project / LIBRARY / fault.file
    before = path.read_text(encoding="utf-8")
    if before.count(fault.right) != 1:
        return Outcome(fault, "misplaced")
    path.write_text(before.replace(fault.right, fault.wrong), encoding="utf-8")
    failed = first_failure(project, [f"tests/unit/{name}.py" for name in fault.tests])
    path.write_text(before, encoding="utf-8")
    if failed is None:
        return Outcome(fault, "survived")
    return Outcome(fault, "caught" if first_failure(project, [failed]) is None else "unproven")


def first_failure(project: Path, tests: list[str]) -> str | None:
    """The first of these tests that fails. Raises RuntimeError where they cannot be run."""
    printed, told = project / "printed.txt", project / "failed.txt"
    told.unlink(missing_ok=True)
    process = PROCESSES.Process(target=run_tests, args=(project, tests, printed, told))
    process.start()
    process.join()
    if process.exitcode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"{tests[0]}: the tests did not run (exit code {process.exitcode})\n{printed.read_text(encoding='utf-8')[-4000:]}")
    return told.read_text(encoding="utf-8") if process.exitcode else None


@dataclass(frozen=True)
class Teller:
    """Part of pytest that writes to a file which test failed."""

    told: Path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.told.write_text(report.nodeid, encoding="utf-8")


def run_tests(project: Path, tests: list[str], printed: Path, told: Path) -> None:
    """End with pytest's exit code, having written to files what it prints and the test that failed."""
    os.chdir(project)
    sys.dont_write_bytecode = True
    arguments = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow and not gpu", *tests]
    with printed.open("w", encoding="utf-8") as stream, contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        code = pytest.main(arguments, plugins=[Teller(told)])
    sys.exit(code)


def outcomes_of(faults: list[Fault]) -> list[Outcome]:
    """The outcomes of some faults, one after another in one copy."""
    with tempfile.TemporaryDirectory() as folder:
        project = copy_of_project(Path(folder))
        found = []
        for fault in faults:
            found.append(outcome_of(fault, project))
            print(f"{found[-1].verdict:9}  {fault.file}: {fault.meaning}", flush=True)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults whose file or tests contain one of these")
    parser.add_argument("--jobs", type=int, default=2, help="copies that are worked on at once")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    PROCESSES.set_forkserver_preload(LOADED)
    chosen = [fault for fault in FAULTS if not args.words or any(word in " ".join((fault.file, *fault.tests)) for word in args.words)]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        outcomes = [outcome for found in pool.map(outcomes_of, [chosen[k :: args.jobs] for k in range(args.jobs)]) for outcome in found]
    caught = sum(outcome.verdict == "caught" for outcome in outcomes)
    print(f"{caught} of {len(outcomes)} planted faults caught")
    sys.exit(caught < FEWEST_CAUGHT * len(outcomes))


if __name__ == "__main__":
    main()
