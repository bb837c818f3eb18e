"""What YAML would change without a word: keys given twice, and plain values that are not the number or text they look like."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from earwitness.core.errors import InputError
from earwitness.core.files import read_text

_OCTAL = re.compile(r"[-+]?0[0-9_]+")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")


def refuse_yaml_surprises(path: Path) -> None:
    """Check the text of a configuration file, before what a loader made of it is used.

    Raises InputError naming file and line where the text is not UTF-8 or no YAML, a key is given twice in one section, a plain
    number starts with 0 (YAML reads 010 as 8) or holds a colon (1:00 as 60), or a plain key is a truth value (yes, no, on, off).
    """
    text = read_text(path)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        raise InputError(f"{where}: not valid YAML ({' '.join(problem.split())}); correct the line") from error
    for node in _nodes(root, set()):
        _check(node, path)


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
        where, number = f"{path}:{node.start_mark.line + 1}", node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
        if number and node.style is None and (_OCTAL.fullmatch(node.value) or _SEXAGESIMAL.fullmatch(node.value)):
            read = yaml.safe_load(node.value)
            raise InputError(f'{where}: YAML reads {node.value} as {read}; write {read}, or "{node.value}" in quotes for text')
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if key.tag == "tag:yaml.org,2002:bool":
                raise InputError(f'{path}:{line}: YAML reads the key {name} as a truth value; write "{name}" in quotes')
            if name in lines:
                raise InputError(f"{path}:{line}: {name} is given twice, first in line {lines[name]}; YAML keeps the last alone: join the two")
            lines[name] = line
