"""Small JSON files that one program writes and others rely on: their schemas, and reading them."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema

from earwitness.core.errors import InputError

TEXT = {"type": "string", "minLength": 1}
DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
COUNT = {"type": "integer", "minimum": 0}


def record_schema(optional: Mapping[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
    """JSON schema of an object with these properties, all but the `optional` ones required, and no other."""
    return {"type": "object", "required": list(properties), "properties": properties | dict(optional or {}), "additionalProperties": False}


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, for `json.loads`, which keeps the last alone of names that are given twice; raises ValueError where one is."""
    names = Counter(name for name, _ in pairs)
    if double := next((name for name, count in names.items() if count > 1), None):
        raise ValueError(f"{double} is given twice")
    return dict(pairs)


def strict_json(text: str) -> Any:
    """What a JSON text holds; raises ValueError where a name is given twice, or a number is none (NaN, Infinity) or too large."""

    def number(written: str) -> float:
        if not math.isfinite(value := float(written)):
            raise ValueError(f"{written} is no number")
        return value

    return json.loads(text, object_pairs_hook=each_once, parse_constant=number, parse_float=number)


def load_record(path: Path, schema: dict[str, Any], what: str, remedy: str) -> dict[str, Any]:
    """Read a JSON file of a schema.

    what: is named, with its article, in the error; remedy: what the user does about it.
    Raises InputError where the file is missing, no JSON, or not of the schema.
    """
    try:
        content = strict_json(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; {remedy}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not {what} ({error}); {remedy}") from error
    problem = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(content))
    if problem is not None:
        raise InputError(f"{path}: not {what} (at {problem.json_path}: {problem.message[:120]}); {remedy}")
    return content
