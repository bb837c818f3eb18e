"""Pages: every command exists as written, every file they name is there, and README's numbers are those of the run that is kept."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import numpy as np
import pandas as pd
import pytest
import yaml
from documented_commands import COMMANDS, PAGES, ROOT, Command
from documented_commands import blocks as code_blocks
from programs import call_program

from document_run import NUMBERS, README, blocks, documented
from earwitness.audio.io import encode_flac
from earwitness.command_line import PROGRAMS
from earwitness.config import complete_config, overlaid
from earwitness.core.errors import InputError
from earwitness.core.yaml_text import load_yaml
from earwitness.leakage import audit, tuning_audit
from earwitness.splits.study import split_by_row, split_by_source
from earwitness.tables.files import read_table
from earwitness.tables.predictions import PREDICTIONS, system_of

TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

NOT_TRIED = {
    "python3": "makes an environment, or needs the network",
    "audit-env/bin/pip": "needs the network",
    "tool-env/bin/pip": "needs the network",
    "pip": "needs the network",
    "for": "needs an object store",
    "do": "needs an object store",
    "done": "needs an object store",
    "export": "sets a variable",
    "ffmpeg": "needs ffmpeg",
    "docker": "needs Docker",
    "apptainer": "needs Apptainer",
}
"""First words of commands that are not tried here, and why. Those of Snakemake are planned in tests/dag/test_documented_commands.py."""


@cache
def help_of(program: str) -> str:
    done = call_program(Path(program).stem, "--help", folder=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def has_options(program: str, words: tuple[str, ...]) -> None:
    for word in words:
        if word.startswith("--"):
            assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", help_of(program)), f"{program} has no option {word}"


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_is_one_that_a_fresh_shell_finds_and_its_options_are_there(command: Command):
    first, *rest = command.words
    if first == "make":
        assert {word for word in rest if "=" not in word} <= TARGETS
        assert subprocess.run(["make", "--dry-run", *rest], cwd=ROOT, capture_output=True).returncode == 0
    elif first == ".venv/bin/python" and rest[0] == "-m":
        assert rest[1] in ("pip", "pytest")
        assert all((ROOT / name).exists() for name in rest if name.startswith(("envs/", "tests/")))
    elif first == ".venv/bin/python" and "/" not in rest[0]:
        assert any(text.startswith(f"# {rest[0]}\n") for _, text in code_blocks(ROOT / command.page, "python")), (
            f"{command}: the page shows no {rest[0]}"
        )
    elif first == ".venv/bin/python":
        has_options(rest[0], tuple(rest[1:]))
    elif first.endswith("/earwitness"):
        folder = first.removesuffix("earwitness")
        before = [other.words for other in COMMANDS if other.page == command.page and other.line < command.line]
        assert any(words[0].startswith(folder) and "install" in words and words[-1] == "." for words in before), f"{command}: not installed yet"
        if rest != ["--help"]:
            has_options(f"workflow_scripts/{PROGRAMS[rest[0]][0]}.py", tuple(rest[1:]))
    else:
        assert first == ".venv/bin/snakemake" or first in NOT_TRIED, f"{command}: a fresh shell does not find {first}"


EXAMPLES = [(page, line, text) for page in PAGES for line, text in code_blocks(page, "yaml")]


@pytest.mark.parametrize(("page", "line", "text"), EXAMPLES, ids=[f"{page.relative_to(ROOT)}:{line}" for page, line, _ in EXAMPLES])
def test_every_configuration_that_a_page_shows_is_one(page, line, text):
    complete_config(overlaid(load_yaml(ROOT / "config/config.yaml"), yaml.safe_load(text)))


def test_the_example_of_counts_is_fitted_as_written(tmp_path):
    page = ROOT / "docs/how_to/fit_counts.md"
    (tmp_path / "counts.csv").write_text(next(code_blocks(page, "csv"))[1], encoding="utf-8")
    (command,) = [command for command in COMMANDS if command.page == "docs/how_to/fit_counts.md"]
    _, program, *rest = command.words
    result = call_program(Path(program).stem, *rest, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["status"] == "ok" and 20 < found["threshold"]["value"] < 160


def test_the_example_of_a_detector_writes_predictions(tmp_path):
    (code,) = [text for _, text in code_blocks(ROOT / "docs/how_to/own_detector.md", "python")]
    shard = tmp_path / "results/stimuli/factorial/shard-000.parquet"
    shard.parent.mkdir(parents=True)
    sounds = [encode_flac(np.sin(np.arange(1600) * frequency / 40).astype(np.float32) / 2) for frequency in (1, 60)]
    pd.DataFrame({"stimulus_id": ["low", "high"], "audio": [{"bytes": sound, "path": "x.flac"} for sound in sounds]}).to_parquet(shard)
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    found = read_table(tmp_path / "mine.parquet", PREDICTIONS)
    assert str(system_of(found)) == "mine" and dict(zip(found.stimulus_id, found.answer, strict=True)) == {"low": "SPEECH", "high": "NONSPEECH"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_files_that_a_page_names_are_there(page: Path):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"", text):
        name, _, anchor = unquote("".join(target)).partition("#")
        if re.match(r"[a-z]+:", name):
            continue
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), f"{target}: no such file"
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked), f"{target}: no such heading"


@cache
def anchors(page: Path) -> set[str]:
    """Names of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_index():
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        assert name == "README.md" or name.startswith("claims/") or f"]({name})" in index, f"docs/README.md does not name {name}"


def kept() -> dict:
    return json.loads(NUMBERS.read_text(encoding="utf-8"))


def test_the_numbers_of_readme_are_those_that_are_kept():
    text = README.read_text(encoding="utf-8")
    assert documented(text, kept()) == text, "run `python workflow_scripts/document_run.py`"


def test_readme_shows_the_run_with_its_machine_and_says_which_side_a_limit_is_on():
    numbers = kept()
    numbers["accuracy"]["base"] = {"value": 12.34, "low": 1.0, "high": 99.9}
    numbers["thresholds"]["base"] = {
        "": {"status": "ok", "lowest": 20.0, "highest": 1000.0, "threshold": 45.0, "low": "-inf", "high": "inf"},
        "80": {"status": "right_censored", "lowest": -10.0, "highest": 20.0, "threshold": "inf", "low": 8.0, "high": "inf"},
        "200": {"status": "non_monotone", "lowest": -10.0, "highest": 20.0, "threshold": None, "low": None, "high": None},
    }
    numbers["machine"] |= {"cpu": "Example CPU", "cores": 3, "gpus": []}
    made = blocks(numbers)
    assert "| the tiny base, zero-shot | 12.3 [1.0, 99.9] |" in made["accuracy"] and "3 cores of an Example CPU, no GPU" in made["accuracy"]
    assert "| the tiny base, zero-shot | 45 ms [< 20, > 1000] | > 20 dB [8.0, > 20] | non monotone | - | - |" in made["thresholds"]


def test_what_leakage_bought_is_told_of_the_draws_with_their_number_and_its_interval():
    numbers = kept() | {
        "drawn": {
            "draws": 7,
            "leakage_buys": {"value": 12.34, "low": -1.0, "high": 20.0},
            "honest_own": {"value": 90.0, "low": 50.0, "high": 95.8, "items": 24},
        }
    }
    made = blocks(numbers)["accuracy"]
    assert "bought in 7 draws of the published design, in points | +12.3 [-1.0, 20.0] |" in made
    assert "right on the 24 test items of its corrected split, in the worst and in the best draw | 50.0, 95.8 |" in made


def test_few_speakers_get_no_interval():
    numbers = kept()
    numbers["leaky_own_test"] = {"value": 94.8, "low": 20.0, "high": 100.0, "speakers": 5}
    assert "of 5 speakers | 94.8; too few speakers for an interval |" in blocks(numbers)["accuracy"]
    numbers["leaky_own_test"]["speakers"] = 6
    assert "of 6 speakers | 94.8 [20.0, 100.0] |" in blocks(numbers)["accuracy"]


@pytest.mark.parametrize(
    "name", ["config.yaml", "demo.yaml", "middle.yaml", "middle_small.yaml", "two_families.yaml", "reproduction.yaml", "claims.yaml"]
)
def test_an_editor_finds_the_schema_of_each_configuration(name):
    path = ROOT / "config" / name
    first, *_ = path.read_text(encoding="utf-8").splitlines()
    schema = path.parent / first.removeprefix("# yaml-language-server: $schema=")
    jsonschema.Draft202012Validator.check_schema(yaml.safe_load(schema.read_text(encoding="utf-8")))
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), yaml.safe_load(schema.read_text(encoding="utf-8")))


def test_forks_run_what_the_makefile_has():
    workflow = yaml.safe_load((ROOT / ".github/workflows/check.yaml").read_text(encoding="utf-8"))
    runs = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert runs and all(run.split()[0] == "make" and run.split()[1] in TARGETS for run in runs)


def test_the_hooks_before_a_commit_are_those_of_make_lint():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    for hook in hooks:
        command = hook["entry"].removeprefix(".venv/bin/").removesuffix(" --force-exclude")
        assert f"$(VENV)/bin/{command}" in lint, f"make lint does not run {command}"


def test_the_citation_has_what_its_format_needs():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= citation.keys()
    assert f'version = "{citation["version"]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all({"type", "title", "authors", "year"} <= reference.keys() for reference in citation["references"])


def test_the_default_splits_want_as_many_sources_as_readme_says():
    config = complete_config({})
    wanted, fewest = map(
        int, re.search(r"default splits want (\d+) sources of each class; from (\d+) on", README.read_text(encoding="utf-8")).groups()
    )

    def parts(n_sources: int) -> pd.DataFrame:
        names = [(f"{label}-{k}", label) for label in ("SPEECH", "NONSPEECH") for k in range(n_sources)]
        rows = [(f"{source}/{k}", source, source, source, label, 200) for source, label in names for k in range(50)]
        stimuli = pd.DataFrame(rows, columns=["stimulus_id", "clip_id", "recording_id", "source_id", "label", "duration_ms"])
        return split_by_source(stimuli, config["splits"]["dev_fraction"], config["splits"]["test_fraction"], config["seed"])

    assert len(split_by_row(parts(wanted), **config["splits"]["row_random"], seed=1))
    with pytest.raises(InputError, match=r"splits\.row_random\.sound_sources asks for 10; lower it to 9"):
        split_by_row(parts(wanted - 1), **config["splits"]["row_random"], seed=1)
    for n_sources, enough in ((fewest, True), (fewest - 1, False)):
        least = parts(n_sources).groupby(["part", "label"]).source_id.nunique().min()
        assert (least >= config["audit"]["min_sources_per_class"]) == enough


def test_the_page_on_audits_lists_every_check_with_its_question():
    page = (ROOT / "docs/how_to/audit_a_split.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (L\d\d) `(\w+)` \| (.+) \| (stops|warns) \|$", page, re.MULTILINE)
    registered = [*audit.checks(), *tuning_audit.checks()]
    assert rows == [(check.id, check.name, check.question, "stops" if check.severity == "error" else "warns") for check in registered]
