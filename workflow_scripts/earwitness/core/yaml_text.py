"""YAML read strictly: keys given twice, and values that YAML reads as something else than they look like, are refused."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from earwitness.core.errors import InputError
from earwitness.core.files import read_text
from earwitness.core.json_files import strict_json

MOST_NODES = 100_000
"""More values than any configuration has, and few enough to read."""

_OCTAL = re.compile(r"[-+]?0[0-9_]+")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")


def load_yaml(path: Path) -> Any:
    """What a YAML or JSON file holds, which is what its author sees in it.

    Raises InputError naming file and line where the text is not UTF-8 or no YAML, a value is more than text, numbers and dates, a key is
    given twice in one section, a plain number starts with 0 (YAML reads 010 as 8) or holds a colon (1:00 as 60), a plain key is a truth
    value (yes, no, on, off), nothing, or a number that is written in
    another way than it is read (1.50 as 1.5), or an alias stands inside what it names, or stands for more than MOST_NODES values. JSON,
    which may be indented with tabs, is refused as `strict_json` refuses it.
    """
    text = read_text(path)
    try:
        # JSON is not all YAML: tabs indent it, and 1e-4 is a number. Snakemake reads a file as JSON first, too.
        return strict_json(text)
    except json.JSONDecodeError:
        pass  # it is YAML, or neither, which is told below
    except ValueError as error:
        raise InputError(f"{path}: {error}; correct it") from error
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply for YAML; write it flatter") from error
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        if _size(root, path, {}) > MOST_NODES:
            raise InputError(f"{path}: its aliases stand for more than {MOST_NODES} values; write what is meant")
        for node in _nodes(root, set()):
            _check(node, path)
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"{where}: not valid YAML ({' '.join(problem.split())}); correct the line") from error
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply for YAML; write it flatter") from error


def _size(node: yaml.Node, path: Path, sizes: dict[int, int | None]) -> int:
    """How many values a node stands for, aliases resolved."""
    if id(node) in sizes:
        known = sizes[id(node)]
        if known is None:
            raise InputError(f"{path}:{node.start_mark.line + 1}: holds an alias of itself; write what is meant")
        return known
    sizes[id(node)] = None
    inner = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    size = 1 if isinstance(node, yaml.ScalarNode) else 1 + sum(_size(part, path, sizes) for part in inner)
    sizes[id(node)] = size
    return size


def _nodes(node: yaml.Node | None, seen: set[int]) -> Iterator[yaml.Node]:
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    yield node
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _nodes(key, seen)
            yield from _nodes(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _nodes(value, seen)


def _check(node: yaml.Node, path: Path) -> None:
    if isinstance(node, yaml.ScalarNode):
        _construct_alone(node, path)
        where, number = f"{path}:{node.start_mark.line + 1}", node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
        if number and node.style is None and (_OCTAL.fullmatch(node.value) or _SEXAGESIMAL.fullmatch(node.value)):
            read = yaml.safe_load(node.value)
            raise InputError(f'{where}: YAML reads {node.value} as {read}; write {read}, or "{node.value}" in quotes for text')
    elif isinstance(node, yaml.MappingNode):
        lines: dict[object, int] = {}
        for key, _ in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            value = _construct_alone(key, path) if isinstance(key, yaml.ScalarNode) else None
            if key.tag == "tag:yaml.org,2002:bool":
                raise InputError(f'{path}:{line}: YAML reads the key {name} as a truth value; write "{name}" in quotes')
            if value is not None and not isinstance(value, str) and str(value) != name:
                raise InputError(f'{path}:{line}: YAML reads the key {name} as {value}; write "{name}" in quotes')
            if key.tag == "tag:yaml.org,2002:null":
                raise InputError(f'{path}:{line}: YAML reads the key {name} as nothing; write "{name}" in quotes')
            if value in lines and name not in lines:
                raise InputError(
                    f"{path}:{line}: {name} is the same key as in line {lines[value]}, and YAML keeps one of the two; write them in quotes"
                )
            if name in lines:
                raise InputError(f"{path}:{line}: {name} is given twice, first in line {lines[name]}; YAML keeps the last alone: join the two")
            lines[name] = line
            if value is not None:
                lines[value] = line


def _construct_alone(node: yaml.ScalarNode, path: Path) -> object:
    """What a value is read as; None for a merge key.

    Raises InputError where it cannot be what it is said or seems to be, such as the 31st of February.
    """
    if node.tag.rpartition(":")[2] not in ("merge", "value"):
        try:
            value = yaml.SafeLoader("").construct_object(node)
            str(value).encode()
        except (ValueError, TypeError, OverflowError, LookupError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path}:{node.start_mark.line + 1}: {node.value[:40]!r} cannot be read ({reason}); write it in quotes") from error
        return value
    return None
