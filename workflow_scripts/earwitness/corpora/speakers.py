"""Who the speakers of annotated recordings are: whether a name means the same person in every file."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from earwitness.core.errors import InputError
from earwitness.core.names import canonical_name, term_key

KINDS_OF_SPEAKER = frozenset(
    {"na", "unknown", "speech", "fem", "mal", "chi", "kchi", "och", "female", "male", "child", "adult", "s", "spk", "speaker"}
)
"""Names, as earwitness.core.names.term_key spells them, that say what kind of speaker is heard, and so never who."""

_NUMBERED = re.compile(r"(?:s|sp|spk|spkr|speaker|talker|voice)?[ _-]?(\d+)")


def identifies(speaker: str) -> bool:
    """Does a name of a speaker stand for somebody, and not for a kind of speaker, or for nobody?"""
    return term_key(speaker) not in KINDS_OF_SPEAKER | {""}


def names_are_local(declared: str, speakers: Mapping[str, Iterable[str]], dataset: str) -> bool:
    """Do the names of speakers mean something within one file only?

    declared: "local" or "global", or "undeclared". speakers: file -> the names in it. Undeclared names are local where every
    file counts its speakers from the first (spk00, spk01, ... or A, B, ...), as VoxConverse's files do. Other names that
    occur in one file each are taken at their word.
    Raises InputError where undeclared names recur in several files, since either answer could be wrong.
    """
    if declared != "undeclared":
        return declared == "local"
    persons = {file: {canonical_name(name) for name in names if identifies(name)} for file, names in speakers.items()}
    if all(_counted_from_the_first(names) for names in persons.values()):
        return True
    files = defaultdict[str, list[str]](list)
    for file in sorted(persons):
        for name in sorted(persons[file]):
            files[name].append(file)
    recurring = {name: where for name, where in files.items() if len(where) > 1}
    if recurring:
        name, where = max(recurring.items(), key=lambda found: len(found[1]))
        listed = ", ".join(where[:2]) + (", ..." if len(where) > 2 else "")
        raise InputError(
            f"sources.{dataset}: speaker {name} is named in {len(where)} files ({listed}): is that one person? "
            f"Set sources.{dataset}.speaker_names to global if it is, or to local if names mean nothing beyond their file"
        )
    return False


def _counted_from_the_first(names: set[str]) -> bool:
    numbers = sorted(int(match.group(1)) for name in names if (match := _NUMBERED.fullmatch(name)))
    if len(numbers) == len(names):
        return numbers in (list(range(len(numbers))), list(range(1, len(numbers) + 1)))
    return sorted(names) == [chr(ord("a") + k) for k in range(len(names))]
