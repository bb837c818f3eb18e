"""Arguments that several programs share."""

import argparse
import json
from typing import Any


def json_object(text: str) -> dict[str, Any]:
    """Parse a command-line argument that must be a JSON object."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise argparse.ArgumentTypeError(f"expected a JSON object, got {type(content).__name__}")
    return content
