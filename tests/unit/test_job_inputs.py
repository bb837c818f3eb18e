"""What jobs depend on of their models: the files of those on disk, and no other family's code where the model is made here."""

import pytest

from earwitness.config import complete_config
from earwitness.core.errors import InputError
from earwitness.model.job_inputs import Code, FilesOfModels
from earwitness.plan.models import Models
from earwitness.plan.study import Plan
from earwitness.plan.wildcards import wildcard_constraints


def models_of(**named):
    return Models.of(Plan(complete_config({"models": named, "primary_model": next(iter(named))})))


def test_a_model_on_disk_is_its_files_and_one_made_here_its_folder(tmp_path):
    for name in ("model.safetensors", "config.json", "notes.md"):
        (tmp_path / name).touch()
    files = FilesOfModels.find(models_of(base={}, own={"origin": "path", "path": str(tmp_path)}))
    assert files.of_model("own") == [f"{tmp_path}/config.json", f"{tmp_path}/model.safetensors"]
    assert files.of_model("base") == ["data/models/tiny/base"]


def test_a_half_on_disk_is_its_files_one_from_the_hub_its_folder_and_a_package_nothing(tmp_path):
    for name in ("weights.bin", ".lock"):
        (tmp_path / name).touch()
    halves = {"encoder": {"origin": "path", "path": str(tmp_path)}, "language_model": {"origin": "hub", "repository": "a/b", "revision": "1" * 40}}
    files = FilesOfModels.find(models_of(joined={"origin": "assembled", **halves}, packaged={"origin": "assembled"}))
    assert files.of_halves("joined") == [f"{tmp_path}/weights.bin", "data/models/hub/joined-language_model"]
    assert files.of_halves("packaged") == []


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="no model here"):
        FilesOfModels.find(models_of(own={"origin": "path", "path": str(tmp_path)}))


def test_another_family_counts_for_models_from_elsewhere_alone(tmp_path):
    models = models_of(base={}, other={"origin": "path", "path": "anywhere"})
    found = []
    for number in (1, 2):
        family = tmp_path / f"copy{number}/earwitness/model/families/voxtral.py"
        family.parent.mkdir(parents=True)
        family.write_text(f"LAYERS = {number}")
        program = tmp_path / f"copy{number}/ask.py"
        program.write_text("import earwitness.model.families.voxtral")
        code = Code(models, [program], tmp_path / "memory.json")
        found.append((code.of("ask.py"), code.of("ask.py", "base"), code.of("ask.py", "other")))
    (alone, tiny, other), (alone_later, tiny_later, other_later) = found
    assert alone == tiny == alone_later == tiny_later
    assert other != other_later


def test_names_in_files_are_those_of_the_study():
    plan = Plan(complete_config({"models": {"base": {}, "voxtral": {"origin": "path", "path": "anywhere"}}, "primary_model": "base"}))
    constraints = wildcard_constraints(plan, Models.of(plan))
    assert constraints["model"] == "base|voxtral"
    assert constraints["checkpoint"].split("|") == [
        "base",
        "voxtral",
        *(f"{m}-{h}" for m in plan.models for h in ("encoder", "language_model")),
        "proposer",
    ]
    assert constraints["dataset"].split("|") == list(plan.config["sources"])
