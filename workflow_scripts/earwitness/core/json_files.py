"""Small JSON files that one program writes and others rely on: their schemas, and reading them."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema

from earwitness.core.errors import InputError
from earwitness.core.files import refuse_pipe

TEXT = {"type": "string", "minLength": 1}
DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
COUNT = {"type": "integer", "minimum": 0}


def record_schema(optional: Mapping[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
    """JSON schema of an object with these properties, all but the `optional` ones required, and no other."""
    return {"type": "object", "required": list(properties), "properties": properties | dict(optional or {}), "additionalProperties": False}


class _NoNumber(str):
    """What a text has in the place of a number: NaN, Infinity, or one that is too large."""


def _first_that_is_none(value: Any) -> _NoNumber | None:
    """The first number in a value that JSON has no form for; numbers in objects were checked with the objects."""
    if isinstance(value, list):
        return next(filter(None, map(_first_that_is_none, value)), None)
    return value if isinstance(value, _NoNumber) else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises ValueError naming the first key that is given twice (Python would keep the last) or whose value is no number."""
    content = dict(pairs)
    if len(content) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise ValueError(f"{next(name for name, count in counts.items() if count > 1)} is given twice")
    for name, value in pairs:
        if wrong := _first_that_is_none(value):
            raise ValueError(f"{name}: {wrong} is no number")
    return content


def strict_json(text: str) -> Any:
    """What a JSON text holds; raises ValueError, naming the key, where a name is given twice or a number is NaN, infinite or too large, and where
    a text holds half of a character."""

    def number(written: str) -> float | _NoNumber:
        return value if math.isfinite(value := float(written)) else _NoNumber(written)

    content = json.loads(text, object_pairs_hook=_object, parse_constant=number, parse_float=number)
    if wrong := _first_that_is_none(content):
        raise ValueError(f"{wrong} is no number")
    if "\\ud" in text.lower():
        # Half of a character (a lone surrogate) can be in no file that is written. UnicodeEncodeError is a ValueError.
        json.dumps(content, ensure_ascii=False).encode()
    return content


def load_record(path: Path, schema: dict[str, Any], what: str, remedy: str) -> dict[str, Any]:
    """Read a JSON file of a schema.

    what: is named, with its article, in the error; remedy: what the user does about it.
    Raises InputError where the file is missing, no file (`refuse_pipe`), no JSON, or not of the schema.
    """
    refuse_pipe(path)
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
