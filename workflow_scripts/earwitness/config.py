"""The configuration: one strict schema, errors that name the key, defaults filled in, and the table of options."""

import copy
import difflib
import functools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import jsonschema
import yaml

from earwitness.audio.noise_names import RECORDED_NOISES
from earwitness.core.errors import InputError
from earwitness.core.prompt_text import QUESTION, template_fault
from earwitness.core.terminal_text import printable
from earwitness.core.yaml_text import load_yaml
from earwitness.systems import System

_INSTALLED, _CHECKED_OUT = Path(__file__).with_name("schema"), Path(__file__).parents[2] / "config" / "schema"
SCHEMA_PATH = (_INSTALLED if _INSTALLED.is_dir() else _CHECKED_OUT) / "config.schema.yaml"

HALVES = ("encoder", "language_model")
"""The sections of what an assembled model is joined of."""

_DEMANDS = {
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "minimum": "must be at least {}",
    "exclusiveMinimum": "must be more than {}",
    "maximum": "must be at most {}",
    "exclusiveMaximum": "must be less than {}",
    "minItems": "needs at least {} item",
    "minLength": "needs at least {} character",
    "minProperties": "needs at least {} key",
    "uniqueItems": "must not repeat an item",
    "required": "needs the keys {}",
    "pattern": "must match {}",
}
"""Keyword of the schema -> what it asks for."""

_PLAIN_NUMBER = re.compile(r"[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
"""A number that everybody reads alike: not 010, which YAML takes for 8, nor 1_000 or nan."""

_NOTHING = ("", "~", "null", "Null", "NULL", "None")
_TRUTH = {"true": True, "True": True, "false": False, "False": False}
"""How nothing and truth values are written in a section of --config, None, True and False where a profile holds it."""


@functools.cache
def load_schema() -> dict[str, Any]:
    """The JSON schema of the configuration; shared, not to be changed."""
    # libyaml reads ten times as fast where it is there.
    return yaml.load(SCHEMA_PATH.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def overlaid(config: dict[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the keys of another in place of its own; sections merge, lists replace, as Snakemake does it."""
    merged = dict(config)
    for key, value in overlay.items():
        if not isinstance(value, Mapping):
            merged[key] = value
        elif value or key not in merged:
            own = merged.get(key)
            merged[key] = overlaid(own if isinstance(own, dict) else {}, value)
    return merged


def layered(files: Iterable[Path], arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Configuration files, and over them what --config gives, each laid over those before it.

    arguments: as Snakemake reads --config, which leaves all within a section as text; it is read as its key asks for.
    Raises InputError naming the file, or --config, where one cannot be read, is no configuration, holds an unknown key or a
    wrong value, be it that a later one has another in its place, or an empty section over a section of names that has some.
    """
    schema, config = load_schema(), dict[str, Any]()
    layers: list[tuple[str, Any]] = [(str(path), load_yaml(path)) for path in files]
    for place, layer in [*layers, ("--config", _as_meant(arguments or {}, schema, schema))]:
        if not isinstance(layer, dict):
            raise InputError(f"{place}: no sections and keys at its top level; is it a configuration? Targets stand before --configfile")
        if emptied := _emptied(layer, config, schema, schema):
            hint = "remove the key; to leave a data set or model out, set its origin to none, an experiment, set enabled to false"
            raise InputError(f"{place}: {emptied} = {{}}: takes nothing away, since sections merge; hint: {hint}")
        # What a layer lacks may stand in another.
        errors = [error for error in jsonschema.Draft202012Validator(schema).iter_errors(layer) if error.validator != "required"]
        if errors:
            raise InputError(f"{place}: " + _explain(min(errors, key=_severity)))
        config = overlaid(config, layer)
    return config


def _as_meant(value: Any, node: dict[str, Any], schema: dict[str, Any]) -> Any:
    """What stands under a key, with text read as a number, a truth value or nothing where the key takes that and not the text."""
    node = _resolve(node, schema)
    if isinstance(value, Mapping):
        properties, anything_else = node.get("properties", {}), node.get("additionalProperties") or {}
        return {key: _as_meant(item, properties.get(key, anything_else), schema) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_meant(item, node.get("items", {}), schema) for item in value]
    if not isinstance(value, str):
        return value
    if value in _NOTHING and "null" in node.get("type", ()):
        return None
    if jsonschema.Draft202012Validator(node).is_valid(value):
        return value
    if _PLAIN_NUMBER.fullmatch(value):
        return int(value) if value.lstrip("+-").isdecimal() else float(value)
    return _TRUTH.get(value, value)


def _emptied(layer: Mapping[str, Any], below: Any, node: dict[str, Any], schema: dict[str, Any]) -> str | None:
    """The first section of names that is empty in a layer, and is not in what the layer is laid over; None where there is none."""
    for key, value in layer.items():
        own = below.get(key) if isinstance(below, dict) else None
        child = _resolve(node.get("properties", {}).get(key, node.get("additionalProperties") or {}), schema)
        if isinstance(value, dict) and isinstance(own, dict):
            if own and not value and isinstance(child.get("additionalProperties"), dict):
                return str(key)
            if inner := _emptied(value, own, child, schema):
                return f"{key}.{inner}"
    return None


def complete_config(config: dict[str, Any]) -> dict[str, Any]:
    """Check a configuration and return a copy with every default filled in, whole floats given for integers made
    integers, `~` in paths expanded, a template without a place for the question made the question itself, and
    experiments enabled where they fit made enabled or not.

    Raises InputError naming the key, its value and a hint where a key is unknown, a value is of the wrong type or out
    of range, or two keys do not go together.
    """
    schema = load_schema()
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(config))
    if errors:
        raise InputError("config: " + _explain(min(errors, key=_severity)))
    completed = _complete(_overlaid_recipes(config, schema), schema, schema, "")
    models = completed["models"] = {name: model for name, model in completed["models"].items() if model["origin"] != "none"}
    halves = [model[half] for model in models.values() for half in HALVES]
    for section in [*completed["sources"].values(), *models.values(), *halves, completed["prompt_search"]["opro"]]:
        if section["path"]:
            section["path"] = _expanded(section["path"])
    _check_across(completed)
    for experiment in completed["finetuning"]["experiments"].values():
        if experiment["enabled"] == "where_it_fits":
            experiment["enabled"] = _redrawn_design_fits(completed)
    completed["primary_model"] = completed["primary_model"] or next(iter(models))
    prompt = completed["prompt"]
    if prompt["template"] is not None and QUESTION not in prompt["template"]:
        prompt |= {"question": prompt["template"], "template": QUESTION}
    return completed


def _expanded(path: str) -> str:
    """A path with `~` written out; raises InputError where there is no such user, or the path can be none."""
    try:
        if "\0" not in path:
            return str(Path(path).expanduser())
    except RuntimeError:
        raise InputError(
            f"config: path = {_short(path)}: there is no such home; hint: write the path out, or ./~NAME for a folder of that name"
        ) from None
    raise InputError(f"config: path = {_short(path)}: holds a null byte; hint: write the path alone")


def _redrawn_design_fits(config: dict[str, Any]) -> bool:
    """Whether the recordings are the embedded ones, and enough for the design of splits.redrawn; of others nobody knows before they are read."""
    studied = [source for source in config["sources"].values() if source["role"] in ("study", "both") and source["origin"] != "none"]
    if any(source["origin"] != "embedded" for source in studied):
        return False
    design, splits, stimuli = config["splits"]["redrawn"], config["splits"], config["stimuli"]
    durations = set(stimuli["durations_ms"]) & set(design["durations_ms"] or stimuli["durations_ms"])
    levels = set(stimuli["snrs_db"]) & set(design["snrs_db"] or stimuli["snrs_db"])
    clips = min(source["clips_per_source"] or config["clips"]["per_source"] for source in studied)
    of_training = 1 - splits["dev_fraction"] - splits["test_fraction"]
    return all(
        of_training * config["embedded"][recordings] >= design[sources] + 1  # a share may be rounded down
        and 2 * design[sources] * clips * len(durations) * len(levels) >= design["stimuli"] + design["extended"]
        for recordings, sources in (("speakers", "speech_sources"), ("sounds", "sound_sources"))
    )


def _overlaid_recipes(config: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A copy in which every recipe has the default recipe's given keys below its own."""
    config = copy.deepcopy(config)
    finetuning = config.setdefault("finetuning", {})
    recipes = finetuning.get("recipes", schema["properties"]["finetuning"]["properties"]["recipes"]["default"])
    finetuning["recipes"] = {name: copy.deepcopy({**finetuning.get("recipe", {}), **overlay}) for name, overlay in recipes.items()}
    return config


def _severity(error: jsonschema.ValidationError) -> tuple[bool, str]:
    """Misspelt keys first, since they explain what else is wrong; then in a fixed order."""
    return error.validator != "additionalProperties", error.json_path


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref")
    return schema["$defs"][reference.rsplit("/", 1)[1]] if reference else node


def _complete(value: Any, node: dict[str, Any], schema: dict[str, Any], where: str) -> Any:
    node = _resolve(node, schema)
    if isinstance(value, dict):
        properties = {key: {**_resolve(child, schema), **child} for key, child in node.get("properties", {}).items()}
        defaults = {key: copy.deepcopy(child["default"]) for key, child in properties.items() if "default" in child}
        anything_else = node.get("additionalProperties") or {}
        given = {str(key): item for key, item in value.items()}
        # A section of a data set that has a name of its own keeps what belongs to that name, beside what is given.
        named = {key for key in given.keys() & defaults.keys() if "$ref" in properties[key] and isinstance(defaults[key], dict)}
        merged = {key: {**defaults[key], **item} if key in named else item for key, item in given.items()}
        return {key: _complete(item, properties.get(key, anything_else), schema, f"{where}.{key}") for key, item in {**defaults, **merged}.items()}
    if isinstance(value, list):
        return [_complete(item, node["items"], schema, f"{where}[{position}]") for position, item in enumerate(value)]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"config: {where.lstrip('.')} = {value}: must be finite; hint: give a number")
        if node.get("type") == "integer":
            return int(value)
    return value


def _explain(error: jsonschema.ValidationError) -> str:
    node, value, asked = cast(dict[str, Any], error.schema), cast(Any, error.instance), cast(Any, error.validator_value)
    where = printable(error.json_path.removeprefix("$").lstrip("."))
    if error.validator == "additionalProperties":
        known = list(node.get("properties", {}))
        unknown = next(key for key in value if key not in known)
        close = difflib.get_close_matches(str(unknown), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
        return f"unknown key {'.'.join(filter(None, [where, printable(str(unknown))]))} = {_short(value[unknown])}; hint: {hint}"
    hint = node.get("description", "see config/README.md")
    if value is None:
        hint = "give it a value, or remove the key to use the default"
    elif error.validator == "type" and isinstance(value, str) and _is_number(value):
        hint = "YAML reads this as text; write 1.0e-4, not 1e-4, and no quotes"
    elif error.validator == "enum" and (close := difflib.get_close_matches(str(value), map(_as_yaml, asked), n=1)):
        hint = f"did you mean {close[0]}?"
    if isinstance(asked, list):
        asked = (" or " if error.validator == "type" else ", ").join(map(_as_yaml, asked))
    demand = _DEMANDS[str(error.validator)].format(asked)
    return f"{where or 'top level'} = {_short(value)}: {demand}; hint: {hint}"


def _as_yaml(value: Any) -> str:
    """A value of the schema as one writes it in YAML."""
    return value if isinstance(value, str) else json.dumps(value)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_across(config: dict[str, Any]) -> None:
    """Raise InputError where keys of a configuration that fits its schema do not go together."""
    for name, source in config["sources"].items():
        _check_source(name, source)
    roles = {name: source["role"] for name, source in config["sources"].items() if source["origin"] != "none"}
    _check_roles(roles)
    _check_models(config["models"])
    _check_learned_recordings(roles, config["models"])
    _check_primary_model(config["primary_model"], list(config["models"]))
    _check_prompts(config, roles)
    _check_stimuli(config, roles)
    splits = config["splits"]
    if splits["dev_fraction"] + splits["test_fraction"] >= 1:
        raise InputError("config: splits: dev_fraction + test_fraction leave nothing to train on; hint: keep their sum below 1")
    _check_training(config["finetuning"])


def _check_roles(roles: dict[str, str]) -> None:
    if not set(roles.values()) & {"study", "both"}:
        raise InputError("config: sources: no data set has the role study; hint: set the origin of one, or its role")
    if len(noises := [name for name, role in roles.items() if role == "noise"]) > 1:
        raise InputError(f"config: sources.{noises[1]}.role = noise: so is {noises[0]}'s; hint: put the recordings below one folder")


def _check_learned_recordings(roles: dict[str, str], models: dict[str, Any]) -> None:
    trained = any(model["origin"] == "assembled" and model["projector"]["origin"] == "trained" for model in models.values())
    if not trained and (unread := [name for name, role in roles.items() if role == "projector"]):
        hint = "set models.NAME.projector.origin to trained, with models.NAME.origin assembled, or give it another role"
        raise InputError(f"config: sources.{unread[0]}.role = projector: no projector is trained; hint: {hint}")


def _check_models(models: dict[str, Any]) -> None:
    if not models:
        raise InputError("config: models: every origin is none; hint: set the origin of one")
    for name, model in models.items():
        if model["origin"] == "path" and not model["path"]:
            raise InputError(f"config: models.{name}.path is not set: its origin is path; hint: name the folder of a model")
        if model["origin"] == "assembled":
            _check_halves(name, model)


def _check_prompts(config: dict[str, Any], roles: dict[str, str]) -> None:
    prompt = config["prompt"]
    if prompt["template"] is not None and (fault := template_fault(prompt["template"], prompt["question"], prompt["answer_format"])):
        raise InputError(f'config: prompt.template = {_short(prompt["template"])}: {fault}; hint: "{{question}}" asks the question as it stands')
    prompt_search = config["prompt_search"]
    if "opro" in prompt_search["proposers"] and prompt_search["opro"]["origin"] == "path" and not prompt_search["opro"]["path"]:
        raise InputError("config: prompt_search.opro.path is not set: its origin is path; hint: name the folder of a causal language model")
    for position, system in enumerate(prompt_search["systems"]):
        asked = System.parse(system)
        if asked.kind != "base" and asked.name not in config["finetuning"]["recipes"]:
            known = ", ".join(config["finetuning"]["recipes"])
            where = f"prompt_search.systems[{position}] = {_short(system)}"
            raise InputError(f"config: {where}: recipe {asked.name} is not defined; hint: one of {known}")
    chosen = prompt_search["use_question_of"]
    if chosen != "none" and (chosen not in prompt_search["proposers"] or "base" not in prompt_search["systems"]):
        raise InputError(f"config: prompt_search.use_question_of = {chosen}: no such search; hint: add {chosen} to proposers, and base to systems")
    if chosen != "none" and (heard := [name for name, role in roles.items() if role == "both"]):
        raise InputError(
            f"config: prompt_search.use_question_of = {chosen}: questions are searched on {heard[0]}, which the baseline measures too (role both); "
            "hint: give it one of the two roles, or use none"
        )


def _check_stimuli(config: dict[str, Any], roles: dict[str, str]) -> None:
    stimuli, baseline = config["stimuli"], config["baseline"]
    measured = bool(set(roles.values()) & {"baseline", "both"})
    clip_s = config["clips"]["duration_s"]
    longest = max(stimuli["durations_ms"])
    if measured:
        longest = max([longest, *baseline["durations_ms"], *baseline["stratified"]["durations_ms"]])
    if longest > stimuli["window_ms"]:
        raise InputError(f"config: stimuli.window_ms = {stimuli['window_ms']}: shorter than the longest stimulus; hint: at least {longest}")
    if longest > 1000 * clip_s:
        raise InputError(f"config: clips.duration_s = {clip_s}: shorter than the longest stimulus; hint: at least {longest / 1000}")
    for section, where in ((stimuli, "stimuli"), *[(baseline, "baseline")] * measured):
        if section["noise"] in RECORDED_NOISES and "noise" not in roles.values():
            raise InputError(
                f"config: sources: no data set has the role noise, but {where}.noise is {section['noise']}; "
                "hint: add one, as in {traffic: {origin: folder, path: noises, role: noise}}"
            )


def _check_training(finetuning: dict[str, Any]) -> None:
    recipes = finetuning["recipes"]
    for name, recipe in recipes.items():
        if recipe["scope"] == "language_model" and recipe["normalisation"] != "stimuli":
            raise InputError(
                f"config: finetuning.recipes.{name}.normalisation = {_short(recipe['normalisation'])}: scope language_model hears audio that "
                "was encoded once, as it was made; hint: set it to stimuli, or scope to published"
            )
    experiments = finetuning["experiments"]
    if not experiments["main"]["enabled"]:
        raise InputError("config: finetuning.experiments.main.enabled = false: its adapters are what the report compares; hint: name other recipes")
    for name, experiment in experiments.items():
        for position, recipe in enumerate(experiment["recipes"]):
            if recipe not in recipes:
                known = ", ".join(recipes)
                where = f"finetuning.experiments.{name}.recipes[{position}]"
                raise InputError(f"config: {where} = {_short(recipe)}: is not defined; hint: one of {known}")


def _check_primary_model(primary: str | None, models: list[str]) -> None:
    """Raise InputError where the primary model is not studied, or is not named among several."""
    if primary is None and len(models) > 1:
        raise InputError(f"config: primary_model is not set: several models are studied; hint: one of {', '.join(models)}")
    if primary is not None and primary not in models:
        raise InputError(f"config: primary_model = {_short(primary)}: no such model is studied; hint: one of {', '.join(models)}")


def _check_halves(name: str, model: dict[str, Any]) -> None:
    """Raise InputError where the keys of an assembled model's halves do not go together."""
    for half in HALVES:
        settings, where = model[half], f"config: models.{name}.{half}"
        if settings["origin"] == "path" and not settings["path"]:
            raise InputError(f"{where}.path is not set: its origin is path; hint: name the folder of a model")
        missing = [key for key in ("repository", "revision") if not settings[key]]
        if settings["origin"] == "hub" and missing:
            raise InputError(f"{where}.{missing[0]} is not set: its origin is hub; hint: give the repository and the commit, so that it is pinned")


def _check_source(name: str, source: dict[str, Any]) -> None:
    """Raise InputError where the keys of a data set do not go together."""
    origin, layout, pattern, where = source["origin"], source["layout"], source["pattern"], f"config: sources.{name}"
    if origin == "none":
        return
    if origin in ("path", "manifest", "folder") and not source["path"]:
        what = "table" if origin == "manifest" else "folder"
        raise InputError(f"{where}.path is not set: origin is {origin}; hint: name the {what}, or set origin to none")
    if origin == "download" and not source["archives"]:
        raise InputError(f"{where}.archives = []: origin is download; hint: config/reproduction.yaml lists the archives")
    if source["role"] == "noise":
        if origin not in ("folder", "manifest"):
            hint = "set origin to folder or manifest, and path to the folder of the recordings, or to a table with a column path"
            raise InputError(f"{where}.origin = {origin}: role is noise; hint: {hint}")
        return
    known = ("voxconverse", "esc50", "fsd50k")
    if origin == "embedded" and (name not in known or layout != name):
        hint = "set it to manifest, folder, path or download"
        raise InputError(f"{where}.origin = embedded: only {', '.join(known)} are synthesised, each in its own layout; hint: {hint}")
    if origin in ("path", "download") and layout == "none":
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean sources.{close[0]}?" if close else f"set it to {', '.join(known)}, or use origin manifest or folder"
        raise InputError(f"{where}.layout is not set: origin is {origin}; hint: {hint}")
    if origin == "folder":
        if not pattern or not all(pattern.count(field) == 1 for field in ("{label}", "{source}")):
            shown = "is not set" if pattern is None else f"= {_short(pattern)}"
            raise InputError(f'{where}.pattern {shown}: origin is folder; hint: say where label and source stand, as in "{{label}}/{{source}}/*.wav"')
        fields = re.findall(r"\{(\w*)\}", pattern)
        if unknown := [field for field in fields if field not in ("label", "source", "recording", "session", "category") or fields.count(field) > 1]:
            hint = "use {label}, {source}, {recording}, {session}, {category}, each once"
            raise InputError(f"{where}.pattern = {_short(pattern)}: cannot hold {{{unknown[0]}}}; hint: {hint}")
    if origin in ("manifest", "folder") and layout != "none" and name not in known:
        raise InputError(f"{where}.layout = {layout}: origin is {origin}, which needs none; hint: leave layout out, or set origin to path")


def option_table() -> str:
    """Every option as a Markdown table: key, type, default, meaning; generated from the schema."""
    schema = load_schema()
    lines = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for key, node in _options(schema, schema, ""):
        if "properties" in node and "default" in node:
            lines.append(f"| **`{key}`** | | | {node.get('description', '')} |")
            continue
        default = f"`{json.dumps(node['default'], ensure_ascii=False)}`" if "default" in node else "required"
        lines.append(f"| `{key}` | {_type_name(node)} | {default} | {node.get('description', '')} |")
    return "\n".join(lines) + "\n"


def _options(node: dict[str, Any], schema: dict[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, child in node.get("properties", {}).items():
        child = {**_resolve(child, schema), **child}
        name = f"{prefix}{key}"
        yield name, child
        if isinstance(child.get("additionalProperties"), dict):
            yield from _options(_resolve(child["additionalProperties"], schema), schema, f"{name}.NAME.")
        elif "properties" in child:
            yield from _options(child, schema, f"{name}.")
        elif "properties" in child.get("items", {}):
            yield from _options(child["items"], schema, f"{name}[].")


def _type_name(node: dict[str, Any]) -> str:
    if "enum" in node:
        return " \\| ".join(map(_as_yaml, node["enum"]))
    kind = node["type"]
    if kind == "array":
        return f"list of {_type_name(node['items'])}"
    words = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
    bounds = [f"{symbol} {node[word]}" for word, symbol in words if word in node]
    return " or ".join(kind if isinstance(kind, list) else [kind]) + (f" ({', '.join(bounds)})" if bounds else "")
