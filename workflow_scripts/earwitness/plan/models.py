"""The models of a study and the one that proposes questions: where each comes from, and what it is called and may be used for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earwitness.config import HALVES
from earwitness.plan import paths
from earwitness.plan.study import Plan

PROPOSER = "proposer"
"""What files call the language model that proposes questions; no model under study has this name."""

SHIPPED_PROJECTORS = Path("workflow_scripts/earwitness/model/projectors")
"""Folder of the projectors that come with Earwitness."""

PACKAGED_HALVES = {"encoder": "the encoder of Whisper tiny.en", "language_model": "SmolLM2-135M-Instruct"}

LICENCES_OF_PACKAGES = "MIT (Whisper tiny.en), Apache 2.0 (SmolLM2-135M-Instruct) and MIT (the projector, made by Earwitness)"


@dataclass(frozen=True)
class Models:
    """The models under study, each trained here, joined of two halves, fetched from the hub or on disk, and the proposer.

    under_study: name -> its section of the completed configuration. proposer: the section prompt_search.opro. proposer_is_asked: whether any
    search asks it.
    """

    under_study: dict[str, Any]
    proposer: dict[str, Any]
    proposer_is_asked: bool

    @classmethod
    def of(cls, plan: Plan) -> "Models":
        """The models of a study plan."""
        asked = any(search.proposer == "opro" for search in plan.searches)
        return cls(plan.config["models"], plan.config["prompt_search"]["opro"], asked)

    def folder(self, model: str) -> str:
        """Where a model is, or will be: one under study, or the proposer."""
        settings = self._section_of(model)
        return settings["path"] if settings["origin"] == "path" else f"data/models/{settings['origin']}/{model}"

    def identity(self, model: str) -> str:
        """What tells jobs that load a model which it is: of any but a tiny one, only where its preflight let it pass."""
        return paths.model_identity(model) if self.under_study[model]["origin"] == "tiny" else paths.checked_identity(model)

    def known_family(self, model: str) -> str:
        """The family of a model made here; "any" for a model from elsewhere, whose folder says which."""
        settings = self.under_study[model]
        return {"tiny": settings["tiny"]["family"], "assembled": "qwen2_audio"}.get(settings["origin"], "any")

    def memory_mb(self, model: str) -> int:
        """The memory of the machine that a job with a model takes."""
        return {"tiny": 4000, "assembled": 8000}.get(self.under_study[model]["origin"], 32000)

    def name(self, model: str) -> list[str]:
        """What people know a model by: its repository and revision on the hub, the halves that it is joined of, or its folder.

        Of a folder that is named from the root of this machine only the last part, since the others mean nothing elsewhere.
        """
        section = self._section_of(model)
        if section["origin"] == "hub":
            return [section["repository"], section["revision"]]
        if section["origin"] == "assembled":
            return [" with ".join(name_of_half(section[half], half) for half in HALVES)]
        return [_name_of_folder(self.folder(model))]

    def declared_name(self, model: str) -> str:
        """The name under which config/pretraining_corpora.csv tells what a model was trained on."""
        settings = self.under_study[model]
        if settings["origin"] in ("tiny", "assembled"):
            return f"{settings['origin']} base"
        name = settings["repository"] if settings["origin"] == "hub" else Path(settings["path"]).name
        return "Qwen2-Audio" if "qwen2-audio" in name.lower() else name

    def terms(self, model: str) -> dict[str, Any]:
        """What the model card says of a model: its licence, and whether it is the tiny one."""
        settings = self.under_study[model]
        licence = "MIT, made by Earwitness" if settings["origin"] == "tiny" else settings["licence"]
        if settings["origin"] == "assembled" and not self.folders_of_halves(model):
            licence = LICENCES_OF_PACKAGES
        return {"licence": licence, "tiny": settings["origin"] == "tiny"}

    def half(self, model: str, half: str) -> str:
        """Where a half of an assembled model comes from: a folder, or "package" for an installed one."""
        settings = self.under_study[model][half]
        return {"package": "package", "hub": f"data/models/hub/{model}-{half}"}.get(settings["origin"], settings["path"])

    def folders_of_halves(self, model: str) -> list[str]:
        """The folders that the halves of an assembled model are read from; the installed packages have none here."""
        return [self.half(model, half) for half in HALVES if self.half(model, half) != "package"]

    def projectors(self, model: str) -> list[str]:
        """The projectors among which that of a model's two halves is: the one that is trained here, or those that come with Earwitness."""
        trained = self.under_study[model]["projector"]["origin"] == "trained"
        return [f"data/models/{model}.projector.safetensors"] if trained else sorted(map(str, SHIPPED_PROJECTORS.glob("*.safetensors")))

    def projector_training(self, model: str) -> dict[str, Any]:
        """How a model's projector is trained."""
        return {key: value for key, value in self.under_study[model]["projector"].items() if key != "origin"}

    @property
    def on_disk(self) -> dict[str, str]:
        """The models that are neither made nor fetched here, and their folders."""
        used = [*self.under_study, *[PROPOSER] * self.proposer_is_asked]
        return {model: self.folder(model) for model in used if self._section_of(model)["origin"] == "path"}

    @property
    def halves_on_disk(self) -> list[str]:
        """The folders of halves, of all assembled models, that are the user's own."""
        return [self.half(model, half) for model in self._assembled for half in HALVES if self.under_study[model][half]["origin"] == "path"]

    @property
    def from_hub(self) -> list[str]:
        """Those of `fetchable` that this study fetches."""
        halves = [f"{model}-{half}" for model in self._assembled for half in HALVES]
        used = [*self.under_study, *halves, *[PROPOSER] * self.proposer_is_asked]
        return [model for model in used if self._section_of(model)["origin"] == "hub"]

    @property
    def fetchable(self) -> list[str]:
        """What may be fetched from the hub: models under study, halves of assembled ones (MODEL-encoder), and the proposer."""
        return [*self.under_study, *(f"{model}-{half}" for model in self.under_study for half in HALVES), PROPOSER]

    def hub_source(self, fetched: str) -> dict[str, str]:
        """Section of the configuration, repository and revision of one of `fetchable`."""
        section = self._section_of(fetched)
        where = "prompt_search.opro" if fetched == PROPOSER else "models." + fetched.replace("-", ".")
        return {"section": where, "repository": section["repository"], "revision": section["revision"]}

    @property
    def _assembled(self) -> list[str]:
        return [model for model, settings in self.under_study.items() if settings["origin"] == "assembled"]

    def _section_of(self, fetched: str) -> dict[str, Any]:
        if fetched == PROPOSER:
            return self.proposer
        model, _, half = fetched.partition("-")
        return self.under_study[model][half] if half else self.under_study[model]


def name_of_half(settings: dict[str, Any], half: str) -> str:
    """What people know a half of an assembled model by; settings: its section, half: a key of PACKAGED_HALVES."""
    names = {"package": PACKAGED_HALVES[half], "hub": f"{settings['repository']} at {settings['revision']}"}
    return names[settings["origin"]] if settings["origin"] in names else _name_of_folder(settings["path"])


def _name_of_folder(folder: str) -> str:
    return Path(folder).name if Path(folder).is_absolute() else folder
