"""The configuration: one strict schema, errors that name the key, defaults filled in, and the table of options."""

import copy
import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from earshot.errors import InputError

SCHEMA_PATH = Path(__file__).parents[2] / "config" / "schema" / "config.schema.yaml"


def load_schema() -> dict[str, Any]:
    """The JSON schema of the configuration."""
    return yaml.safe_load(SCHEMA_PATH.read_text(encoding="utf-8"))


def complete_config(config: dict[str, Any]) -> dict[str, Any]:
    """Check a configuration and return a copy with every default filled in.

    Raises InputError naming the key, its value and a hint where a key is unknown, a value is of the wrong type or out
    of range, or two keys do not go together.
    """
    schema = load_schema()
    completed = copy.deepcopy(config)
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(completed))
    if errors:
        raise InputError("config: " + _explain(jsonschema.exceptions.best_match(errors), schema))
    _fill(completed, schema, schema)
    _check_across(completed)
    return completed


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref")
    return schema["$defs"][reference.rsplit("/", 1)[1]] if reference else node


def _fill(value: Any, node: dict[str, Any], schema: dict[str, Any]) -> None:
    node = _resolve(node, schema)
    if isinstance(value, dict):
        for key, child in node.get("properties", {}).items():
            child = _resolve(child, schema)
            if key not in value and "default" in child:
                value[key] = copy.deepcopy(child["default"])
        for key, item in value.items():
            child = node.get("properties", {}).get(key, node.get("additionalProperties"))
            if isinstance(child, dict):
                _fill(item, child, schema)
    elif isinstance(value, list) and "items" in node:
        for item in value:
            _fill(item, node["items"], schema)


def _explain(error: jsonschema.ValidationError, schema: dict[str, Any]) -> str:
    where = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))[0]
        close = difflib.get_close_matches(unknown, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
        return f"unknown key {'.'.join(filter(None, [where, unknown]))} = {error.instance[unknown]!r}; {hint}"
    hint = error.schema.get("description", "see config/README.md")
    if error.validator == "type" and isinstance(error.instance, str) and _is_number(error.instance):
        hint = "YAML reads this as text; write 1.0e-4, not 1e-4, and no quotes"
    return f"{where or 'top level'} = {error.instance!r}: {error.message}; hint: {hint}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_across(config: dict[str, Any]) -> None:
    for name, source in config["sources"].items():
        if source["origin"] == "path" and not source["path"]:
            raise InputError(f"config: sources.{name}.path = {source['path']!r}: origin is path; hint: name the folder, or set origin to none")
        if source["origin"] == "download" and not source["archives"]:
            raise InputError(f"config: sources.{name}.archives = []: origin is download; hint: config/reproduction.yaml lists the archives")
    if config["model"]["origin"] == "path" and not config["model"]["path"]:
        raise InputError("config: model.path = None: model.origin is path; hint: name a checkpoint folder")
    if all(source["origin"] == "none" for source in config["sources"].values()):
        raise InputError("config: sources: every origin is none; hint: set at least one to embedded, path or download")
    longest = max(config["stimuli"]["durations_ms"])
    if longest > config["stimuli"]["window_ms"]:
        raise InputError(f"config: stimuli.window_ms = {config['stimuli']['window_ms']}: shorter than the longest stimulus; hint: at least {longest}")
    if longest > 1000 * config["clips"]["duration_s"]:
        raise InputError(f"config: clips.duration_s = {config['clips']['duration_s']}: shorter than the longest stimulus; hint: at least {longest / 1000}")
    if config["splits"]["dev_fraction"] + config["splits"]["test_fraction"] >= 1:
        raise InputError("config: splits: dev_fraction + test_fraction leave nothing to train on; hint: keep their sum below 1")
    recipes = config["finetuning"]["recipes"]
    for arm in config["finetuning"]["arms"]:
        if arm["recipe"] not in recipes:
            raise InputError(f"config: finetuning.arms: recipe {arm['recipe']!r} is not defined; hint: one of {', '.join(recipes)}")
    for name, recipe in recipes.items():
        if recipe["batch_size"] % recipe["micro_batch_size"]:
            raise InputError(f"config: finetuning.recipes.{name}.micro_batch_size = {recipe['micro_batch_size']}: does not divide batch_size; hint: {recipe['batch_size']} is a multiple of it")


def option_table() -> str:
    """Every option as a Markdown table: key, type, default, meaning; generated from the schema."""
    schema = load_schema()
    lines = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for key, node in _leaves(schema, schema, ""):
        default = "" if "default" not in node else f"`{yaml.safe_dump(node['default'], default_flow_style=True, width=10_000).splitlines()[0]}`"
        lines.append(f"| `{key}` | {_type_name(node)} | {default} | {node.get('description', '')} |")
    return "\n".join(lines) + "\n"


def _leaves(node: dict[str, Any], schema: dict[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, child in node.get("properties", {}).items():
        child = _resolve(child, schema)
        name = f"{prefix}{key}"
        if "properties" in child:
            yield from _leaves(child, schema, f"{name}.")
            continue
        yield name, child
        if isinstance(child.get("additionalProperties"), dict):
            yield from _leaves(child["additionalProperties"], schema, f"{name}.NAME.")
        elif isinstance(child.get("items"), dict) and "properties" in child["items"]:
            yield from _leaves(child["items"], schema, f"{name}[].")


def _type_name(node: dict[str, Any]) -> str:
    if "enum" in node:
        return " \\| ".join(map(str, node["enum"]))
    kind = node.get("type", "any")
    bounds = [f"{symbol} {node[word]}" for word, symbol in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<")) if word in node]
    return " or ".join(kind if isinstance(kind, list) else [kind]) + (f" ({', '.join(bounds)})" if bounds else "")
