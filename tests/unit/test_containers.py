"""The container recipes install the lock, and nothing that only one of them knows of. No container is built."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ENVS = ROOT / "envs"


def docker_instructions():
    """Instruction -> its arguments, in order of the file."""
    text = re.sub(r"^#.*\n", "", (ENVS / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    pairs = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return {name: [rest for other, rest in pairs if other == name] for name, _ in pairs}


def apptainer_sections():
    """Section -> its lines; the header is under the empty name."""
    parts = re.split(
        r"^%(\w+)\n", re.sub(r"^#.*\n", "", (ENVS / "apptainer.def").read_text(encoding="utf-8"), flags=re.MULTILINE), flags=re.MULTILINE
    )
    sections = dict(zip(["", *parts[1::2]], parts[::2], strict=True))
    return {name: [line.strip() for line in text.splitlines() if line.strip()] for name, text in sections.items()}


def commands(recipe):
    """Every command that a recipe runs, as words."""
    text = "\n".join(docker_instructions()["RUN"] if recipe == "Dockerfile" else apptainer_sections()["post"])
    return [shlex.split(command) for command in re.split(r"&&|\n", text)]


def copied(recipe):
    """Source in the checkout -> place in the container."""
    lines = docker_instructions()["COPY"] if recipe == "Dockerfile" else apptainer_sections()["files"]
    return dict(line.split() for line in lines)


def base(recipe):
    if recipe == "Dockerfile":
        return docker_instructions()["FROM"]
    return [line.removeprefix("From: ") for line in apptainer_sections()[""] if line.startswith("From: ")]


@pytest.mark.parametrize("recipe", ["Dockerfile", "apptainer.def"])
def test_a_container_installs_exactly_the_lock_with_the_python_of_the_conda_environments(recipe):
    installs = [command for command in commands(recipe) if "pip" in command]
    [(source, place)] = copied(recipe).items()
    assert (ROOT / source) == ENVS / "requirements.lock"
    assert [command[-2:] for command in installs] == [["--requirement", place]]
    python = yaml.safe_load((ENVS / "analysis.yaml").read_text(encoding="utf-8"))["dependencies"][0].removeprefix("python=")
    assert [image.split(":")[1].split("-")[0] for image in base(recipe)] == [python]


def test_both_containers_hold_the_same():
    assert base("Dockerfile") == base("apptainer.def")
    first, second = ([command for command in commands(recipe) if command[0] == "apt-get"] for recipe in ("Dockerfile", "apptainer.def"))
    assert first == second


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_pin_of_a_lock_is_exact(lock):
    lines = [line.split("#")[0].strip() for line in (ENVS / lock).read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if line and not re.fullmatch(r"[a-z0-9-]+==[0-9][\w.]*(; platform_machine != \"\w+\")?", line)] == []


def test_the_executor_of_the_slurm_profile_is_installed_with_the_rest():
    assert "\nsnakemake-executor-plugin-slurm==" in (ENVS / "requirements.lock").read_text(encoding="utf-8")
