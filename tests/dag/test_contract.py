"""What holds for every rule."""

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from earwitness.core.code_identity import code_identity, modules_of

ROOT = Path(__file__).parents[2]
TARGETS = {"all", "stimuli", "audits", "adapters", "detector", "ablations", "cross_validation", "learning_curve"}


@pytest.fixture(scope="module")
def rules(workflow):
    """The rules that run a program."""
    found = [rule for rule in workflow.rules if rule.name not in TARGETS]
    assert len(found) > 20
    return found


@pytest.fixture(scope="module")
def closures(workflow, rules):
    """Rule -> the program and modules that its code's identity is made of."""
    return {rule.name: code_of(rule.name) for rule in rules}


def code_of(program: str) -> set[str]:
    """A program or module as a path without suffix -> all that it is made of."""
    return {str(path) for path in modules_of(Path("workflow_scripts") / f"{program}.py", Path("workflow_scripts"))}


@pytest.fixture(scope="module")
def scripts(rules):
    """Rule -> modules that its script really loads, and its help."""
    names = [rule.name for rule in rules if (ROOT / "workflow_scripts" / f"{rule.name}.py").is_file()]
    command = [sys.executable, str(Path(__file__).with_name("imports_of_scripts.py")), str(ROOT / "workflow_scripts"), *names]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_no_input_is_ancient(workflow):
    """Of jobs that follow one that runs again, Snakemake asks no reason of their own: behind an ancient input, an edit would be missed."""
    assert [job.rule.name for job in workflow.dag.jobs for path in job.input if path.is_ancient] == []


def test_the_targets_are_the_only_rules_without_a_program(workflow):
    assert {rule.name for rule in workflow.rules if not rule.shellcmd} == TARGETS


def test_every_rule_says_what_it_is_for(rules):
    for rule in rules:
        assert rule.docstring, rule.name
        assert rule.message, rule.name


def test_rule_script_and_log_share_one_name(rules):
    for rule in rules:
        assert (ROOT / "workflow_scripts" / f"{rule.name}.py").is_file(), rule.name
        assert rule.shellcmd.startswith(f"python workflow_scripts/{rule.name}.py "), rule.name
        assert rule.shellcmd.rstrip().endswith("&> {log:q}"), rule.name
        assert len(rule.log) == 1
        assert re.match(rf"results/logs/{rule.name}(\.log|/.+\.log)$", str(rule.log[0])), rule.name


def test_every_rule_declares_its_code_and_an_environment(workflow, rules):
    for rule in rules:
        assert (ROOT / "rules" / str(rule.conda_env)).is_file(), rule.name
    for job in workflow.dag.jobs:
        if job.rule.name not in TARGETS:
            assert job.params.code == code_identity(Path("workflow_scripts") / f"{job.rule.name}.py"), job.rule.name


def test_file_names_are_quoted_and_the_configuration_never_bypasses_params(rules):
    for rule in rules:
        for placeholder in re.findall(r"\{((?:input|output|log)[^}]*)\}", rule.shellcmd):
            assert placeholder.endswith(":q"), f"{rule.name}: {placeholder}"
        assert "config[" not in rule.shellcmd, rule.name


def test_rules_that_load_the_model_hold_a_gpu(workflow):
    loading = {job.rule.name for job in workflow.dag.jobs if "base" in dict(job.input.items())}
    assert loading == {
        "encode_stimuli",
        "predict_zeroshot",
        "check_generation",
        "probe_counterfactuals",
        "train_adapter",
        "predict_adapter",
        "search_prompts",
        "predict_prompts",
    }
    assert {job.rule.name for job in workflow.dag.jobs if job.resources.get("gpu", 0) == 1} == loading


def test_the_slurm_profile_names_rules_that_are_there_and_gives_memory_to_all_that_load_the_model(workflow, rules):
    profile = yaml.safe_load((ROOT / "config/profiles/slurm/profile.yaml").read_text(encoding="utf-8"))
    names = {rule.name for rule in rules}
    assert set(profile["set-resources"]) | set(profile["groups"]) <= names
    assert set(profile["groups"].values()) == set(profile["group-components"])
    assert {job.rule.name for job in workflow.dag.jobs if job.resources.get("gpu")} <= set(profile["set-resources"])


def test_params_are_tracked_and_narrow(workflow):
    """Snakemake compares params by their text: what JSON cannot hold is not tracked, and the whole configuration reruns all."""
    whole = json.dumps(workflow.globals["config"], sort_keys=True)
    for job in workflow.dag.jobs:
        params = dict(job.params.items())
        json.dumps(params)
        if job.rule.name != "record_provenance":
            assert whole not in params.values(), job.rule.name


def test_everything_that_is_made_lies_in_data_or_results(workflow):
    for job in workflow.dag.jobs:
        for path in [*job.output, *job.log]:
            assert str(path).startswith(("data/", "results/")), path


def test_training_waits_for_the_gate_of_its_own_split(workflow):
    jobs = [job for job in workflow.dag.jobs if job.rule.name == "train_adapter"]
    assert {job.wildcards.split for job in jobs} == {"grouped", "row_random"}
    for job in jobs:
        assert job.input.gate == f"results/audit/{job.wildcards.split}/gate.json"


def test_the_code_declared_is_the_code_that_runs(closures, scripts):
    for name, script in scripts.items():
        assert set(script["modules"]) <= closures[name], f"{name} loads what it does not declare"


def test_code_that_is_declared_but_not_loaded_at_start_is_imported_inside_a_function(workflow, closures, scripts):
    for name, script in scripts.items():
        late = {path for other in closures[name] for module in late_imports(other) for path in code_of(module)}
        assert closures[name] <= set(script["modules"]) | late, f"{name} declares what it never loads"


def late_imports(path):
    """Modules that a file imports inside functions, as paths without suffix."""
    names = set()
    for function in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.ImportFrom):
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
    return {name.replace(".", "/") for name in names}


def test_every_option_on_a_command_line_is_one_that_the_script_has(rules, scripts):
    for rule in rules:
        known = set(re.findall(r"--[a-z][a-z-]*", scripts[rule.name]["help"]))
        used = set(re.findall(r"--[a-z][a-z-]*", re.sub(r"\{[^}]*\}", "", rule.shellcmd)))
        assert used <= known, f"{rule.name}: {used - known}"


def test_each_environment_holds_what_the_code_of_its_rules_imports(rules, closures):
    distributions = importlib.metadata.packages_distributions()
    for rule in rules:
        content = yaml.safe_load((ROOT / "rules" / str(rule.conda_env)).read_text(encoding="utf-8"))
        pinned = {pin.split("==")[0] for pin in content["dependencies"][-1]["pip"]}
        for path in closures[rule.name]:
            for package in third_party_imports(path):
                names = {name.lower().replace("_", "-").replace(".", "-") for name in distributions[package]}
                assert names & pinned, f"{path} imports {package}, which {rule.conda_env} of rule {rule.name} lacks"


def third_party_imports(path):
    """Top-level packages that a file imports and that come neither with Python nor with the project."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"earwitness"}
