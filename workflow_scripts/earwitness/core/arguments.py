"""Arguments that several programs share."""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

from earwitness.core.errors import InputError
from earwitness.core.json_files import strict_json

QUANTISATIONS = ("none", "bfloat16", "nf4")
"""How the numbers of a model's weights are kept: see earwitness.model.engine.loading.load_model."""


class _Once(argparse.Action):
    """What is given for an option, which is given once: argparse would keep the last and drop the others without a word."""

    _given = False

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        if self._given and option_string is not None:
            parser.error(f"argument {option_string}: is given twice; give it once")
        self._given = True
        setattr(namespace, self.dest, values)


class Arguments(argparse.ArgumentParser):
    """The command line of a program that is called by hand: no option that takes a value is given twice, and no argument is empty."""

    def __init__(self, **settings: Any):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **settings)
        self.register("action", None, _Once)

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """As argparse's, which reads an empty argument as the folder that it is called in."""
        given = sys.argv[1:] if args is None else args
        if empty := [word for word in given if not word or re.fullmatch("--[^=]+=", word)]:
            self.error(f"{empty[0] or 'an argument'} is empty, as a variable that is not set makes it; give it a value, or leave it out")
        return super().parse_known_args(given, namespace)


Name = TypeVar("Name")
Of = TypeVar("Of")


def json_object(text: str) -> dict[str, Any]:
    """Parse a command-line argument that must be a JSON object."""
    try:
        content = strict_json(text)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise argparse.ArgumentTypeError(f"expected a JSON object, got {type(content).__name__}")
    return content


def settings_of(kind: type[Of], where: str, given: Mapping[str, Any]) -> Of:
    """What somebody gave by name as the data class that holds it: `kind(**given)`.

    where: what messages call it, an option of the command line or a place in the configuration.
    Raises InputError where a key is unknown, or one is missing that has no default.
    """
    known = fields(kind)  # type: ignore[arg-type]
    names = [field.name for field in known]
    needed = [field.name for field in known if field.default is MISSING and field.default_factory is MISSING]
    for key in sorted({*given} - {*names} | {*needed} - {*given}):
        raise InputError(f"{where}: {'unknown' if key in given else 'missing'} key {key}; give {', '.join(names)}")
    return kind(**given)


def by_name(option: str, names: Sequence[Name], paths: Sequence[Of]) -> dict[Name, Of]:
    """Files, or their contents, by name.

    option: the command line's name for the names, which stand in the order of the files.
    Raises InputError where there are more or fewer of them than files, or one is named twice.
    """
    if len(names) != len(paths):
        raise InputError(f"{option}: {len(names)} for {len(paths)} files; give one for each, in their order")
    if repeated := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{option}: {repeated[0]} is named twice; give each file its own")
    return dict(zip(names, paths, strict=True))


def count(text: str) -> int:
    """A whole number, at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def batch_size(text: str) -> int | None:
    """A whole number of stimuli, at least 1, or None for "auto"."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a whole number from 1")
    return int(text)


def add_prompt_arguments(parser: argparse.ArgumentParser) -> None:
    """What a program needs that asks the study's question: see earwitness.prompt_search.chosen_question.asked_prompt."""
    parser.add_argument("--prompt", type=json_object, required=True, help="config prompt")
    parser.add_argument("--question", type=Path, nargs="?", help="the searched question that takes the place of the configured one (JSON)")


def add_system_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a program that asks the base model or an adapter: what it hears by features or by audio."""
    parser.add_argument("--system", required=True, help="base, or the adapter's name")
    parser.add_argument("--adapter", type=Path, nargs="?", help="the adapter's adapter_config.json; none for the base")
    parser.add_argument(
        "--features", type=Path, nargs="*", default=[], help="stimuli encoded by the base, for systems with its audio tower (Parquet)"
    )
    parser.add_argument("--shards", type=Path, nargs="*", default=[], help="stimuli with audio, for adapters with a tower of their own (Parquet)")
    parser.add_argument("--level", type=json_object, default={}, help="at which audio is heard: an adapter's normalisation and level_dbfs")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every program that loads a model."""
    parser.add_argument("--base", type=Path, required=True, help="folder of the base model")
    parser.add_argument(
        "--identity", type=Path, help="which model that is, as identify_model wrote it (JSON); without it, its files are read to tell"
    )
    parser.add_argument("--quantisation", choices=QUANTISATIONS, required=True)
    parser.add_argument("--memory", choices=["fast", "compact"], default="fast", help="compact: fit into 8 GB of GPU memory at full size")
    parser.add_argument("--threads", type=count, required=True, help="CPU threads; part of the result's last bits")


def add_half_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a program that joins two halves into a base."""
    for half, what in (("encoder", "a Whisper-class encoder"), ("language-model", "a causal language model")):
        parser.add_argument(f"--{half}", required=True, help=f"folder of {what}, or package for the one that an installed package brings")
