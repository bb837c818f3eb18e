"""A copy of the project that tests run Snakemake in."""

import csv
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import yaml
from loaded_snakemake import run_no_job

ROOT = Path(__file__).parents[1]
PARTS = ["Snakefile", "rules", "workflow_scripts", "config", "envs", "docs", "LICENSE", "results/README.md"]
"""What the workflow needs of the repository."""


@dataclass(frozen=True)
class Checkout:
    """A copy of the project that a test may edit and run Snakemake in."""

    folder: Path

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake; stdout and stderr are captured."""
        return subprocess.run([sys.executable, "-m", "snakemake", *arguments], cwd=self.folder, capture_output=True, text=True)

    def snakemake_without_jobs(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same, in a fraction of the time, for a command that runs no job."""
        return run_no_job(arguments, self.folder)

    def dry_run(self, *arguments: str) -> str:
        """What a dry run prints."""
        result = self.snakemake_without_jobs("--dry-run", "--cores", "2", *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "missing provenance" not in result.stdout
        return result.stdout

    def plan(self, *arguments: str) -> Counter[str]:
        """Rule -> number of jobs of a dry run."""
        return jobs_planned(self.dry_run(*arguments))

    def study(self, config: str, *targets: str) -> subprocess.CompletedProcess[str]:
        """Run the workflow with a configuration file on two cores."""
        return self.snakemake("--cores", "2", *targets, "--configfile", config)

    def overlay(self, settings: dict[str, object]) -> str:
        """The path of a configuration file with these settings, inside the checkout."""
        path = self.folder / "overlay.yaml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return str(path)

    def outputs(self, *arguments: str) -> dict[str, str]:
        """Every file or folder that the workflow makes -> the rule that makes it, by its program's name."""
        table = self.snakemake_without_jobs("--summary", *arguments).stdout.splitlines()
        return {row["output_file"]: program_of(row["rule"]) for row in csv.DictReader(table, delimiter="\t")}

    def remove_results(self) -> None:
        """Remove what runs left in results/; its README.md is no result."""
        shutil.rmtree(self.folder / "results")
        (self.folder / "results").mkdir()
        shutil.copy2(ROOT / "results/README.md", self.folder / "results")

    def copy(self, folder: Path) -> "Checkout":
        """The same, elsewhere; dates are kept."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Checkout(folder)


def copy_project(folder: Path) -> Checkout:
    """A checkout in an existing folder, with what the workflow needs of the repository."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__", ".snakemake"))
        else:
            (folder / part).parent.mkdir(exist_ok=True)
            shutil.copy2(source, folder / part)
    return Checkout(folder)


def program_of(rule: str) -> str:
    """The program that a rule runs: its name, without what follows "__" in the names of rules that the study plan makes several of."""
    return rule.partition("__")[0]


def jobs_planned(printed: str) -> Counter[str]:
    """Rule -> number of jobs, from what a dry run printed; rules that the plan makes several of count as one."""
    lines = iter(printed.splitlines())
    if "Job stats:" not in lines:
        assert "Nothing to be done" in printed
        return Counter()
    rows = [line.split() for line in lines]
    start = next(number for number, row in enumerate(rows) if row and set(row[0]) == {"-"}) + 1
    end = next(number for number, row in enumerate(rows) if row and row[0] == "total")
    planned: Counter[str] = Counter()
    for name, count in rows[start:end]:
        planned[program_of(name)] += int(count)
    return planned


def finish(checkout: Checkout, *arguments: str) -> Checkout:
    """Lay down every output, and let Snakemake record that it was made by what is there now."""
    for name, rule in checkout.outputs(*arguments).items():
        path = checkout.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.write_text(rule)
        else:
            path.mkdir()
    result = checkout.snakemake_without_jobs("--touch", "--forceall", "--cores", "1", *arguments)
    assert result.returncode == 0, result.stderr
    return checkout
