"""A copy of the checkout per test, and Snakemake run in it."""

import csv
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PARTS = ["Snakefile", "rules", "workflow_scripts", "config", "envs"]


@dataclass(frozen=True)
class Checkout:
    """A copy of the project that a test may edit and run Snakemake in."""

    folder: Path

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake; stdout and stderr are captured."""
        return subprocess.run([sys.executable, "-m", "snakemake", *arguments], cwd=self.folder, capture_output=True, text=True)

    def plan(self, *arguments: str) -> Counter[str]:
        """Rule -> number of jobs of a dry run."""
        result = self.snakemake("--dry-run", "--cores", "2", *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "missing provenance" not in result.stdout
        lines = iter(result.stdout.splitlines())
        if "Job stats:" not in lines:
            assert "Nothing to be done" in result.stdout
            return Counter()
        rows = [line.split() for line in lines]
        start = next(number for number, row in enumerate(rows) if row and set(row[0]) == {"-"}) + 1
        end = next(number for number, row in enumerate(rows) if row and row[0] == "total")
        return Counter({name: int(count) for name, count in rows[start:end]})

    def overlay(self, settings: dict[str, object]) -> str:
        """The path of a configuration file with these settings, inside the checkout."""
        path = self.folder / "overlay.yaml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return str(path)

    def outputs(self) -> dict[str, str]:
        """Every file or folder that the workflow makes -> the rule that makes it."""
        table = self.snakemake("--summary").stdout.splitlines()
        return {row["output_file"]: row["rule"] for row in csv.DictReader(table, delimiter="\t")}

    def copy(self, folder: Path) -> "Checkout":
        """The same, elsewhere; dates are kept."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Checkout(folder)


@pytest.fixture(scope="session")
def clean_checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout that nothing has run in; not to be edited."""
    folder = tmp_path_factory.mktemp("clean")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__", ".snakemake"))
        else:
            shutil.copy2(source, folder / part)
    return Checkout(folder)


@pytest.fixture
def checkout(clean_checkout: Checkout, tmp_path: Path) -> Checkout:
    """A clean checkout that a test may edit."""
    return clean_checkout.copy(tmp_path)


@pytest.fixture(scope="session")
def finished_run(clean_checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which every output lies, with the records of a run but without its results; not to be edited."""
    checkout = clean_checkout.copy(tmp_path_factory.mktemp("finished"))
    for name, rule in checkout.outputs().items():
        path = checkout.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.write_text(rule)
        else:
            path.mkdir()
    result = checkout.snakemake("--touch", "--forceall", "--cores", "1")
    assert result.returncode == 0, result.stderr
    return checkout


@pytest.fixture
def finished(finished_run: Checkout, tmp_path: Path) -> Checkout:
    """A finished run that a test may edit."""
    return finished_run.copy(tmp_path)
