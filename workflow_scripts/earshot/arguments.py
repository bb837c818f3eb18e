"""Arguments that several programs share."""

import argparse
import json
from pathlib import Path
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


def batch_size(text: str) -> int | None:
    """A whole number of stimuli, at least 1, or None for "auto"."""
    if text == "auto":
        return None
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a whole number from 1")
    return int(text)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every program that loads a model."""
    parser.add_argument("--base", type=Path, required=True, help="checkpoint folder")
    parser.add_argument("--quantisation", choices=["none", "nf4"], required=True)
    parser.add_argument("--memory", choices=["fast", "compact"], default="fast", help="compact: fit into 8 GB of GPU memory at full size")
    parser.add_argument("--threads", type=int, required=True, help="CPU threads; part of the result's last bits")
