"""Are results what their provenance says, and are two result folders the same?"""

from collections import Counter
from collections.abc import Set
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from earwitness.core.errors import InputError
from earwitness.core.files import MADE, sha256_of
from earwitness.core.json_files import COUNT, DIGEST, load_record, record_schema
from earwitness.provenance.run import DIGESTS
from earwitness.tables.files import read_table

VARIABLE = (
    "logs/*",
    "benchmarks/*",
    "archive/*",
    "report.html",
    "provenance/run.json",
    "provenance/run.log",
    "provenance/costs.csv",
    "efficiency/*",
    "*/costs.json",
)
"""What differs between two runs of the same study: dates, machines, times, and what shows them."""


RECORD = ("provenance/digests.csv", "provenance/run.json")
"""Files that record what a result folder held."""

RESULTS = "results/"
"""How the path of a result begins in a list of digests."""

RUN_WITH_DIGESTS = {
    "type": "object",
    "required": ["digests"],
    "properties": {"digests": record_schema(files=COUNT, sha256=DIGEST)},
}
"""What of provenance/run.json says whether the list of digests is whole."""


class Verified(NamedTuple):
    """What came of comparing a result folder with the digests in it: differences, a line each; files that were compared; recorded files that were
    not, since they lie elsewhere; and the folder's files that no digest covers, those that vary from run to run (VARIABLE) as one name for each
    pattern."""

    differences: list[str]
    compared: int
    elsewhere: list[str]
    uncovered: list[str]


def differences_from_digests(folder: Path) -> Verified:
    """What of a result folder is not as its provenance recorded it.

    Published folders hold files: a link in the place of one is a difference, whatever it leads to. Files outside `results/` are looked for beside
    the folder, and passed over where they are not there, since a folder that was published holds results and not what they were made of. Nothing
    else is opened, whatever the list says: not by an absolute path, not above the folder that holds the results, and not through a link.

    Raises InputError where the folder records no digests, not the ones that were written, or none of a file that could be compared or missed:
    nothing compared is not a pass.
    """
    rows = _recorded(folder)
    beside = folder.absolute().parent
    differences, compared, elsewhere = [], 0, list[str]()
    covered, linked = {*RECORD}, Counter[str]()
    for row in rows.itertuples():
        recorded = str(row.path)
        within = recorded.startswith(RESULTS)
        if within:
            name = recorded.removeprefix(RESULTS)
            covered.add(name)
            if link := _link_on(folder, name):
                linked[link] += 1
                continue
        path = folder / name if within else beside / recorded
        if not within and (_leads_out(recorded) or _link_on(beside, recorded) or not path.is_file()):
            elsewhere.append(recorded)
        elif not path.is_file():
            differences.append(f"missing: {recorded}")
        else:
            compared += 1
            if path.stat().st_size != row.bytes:
                differences.append(f"differs: {recorded} ({path.stat().st_size} bytes instead of {row.bytes})")
            elif sha256_of(path) != row.sha256:
                differences.append(f"differs: {recorded} (as long, other content)")
    for link, count in linked.items():
        differences.append(f"link: {RESULTS}{link} (in the place of {count} recorded file{'s' * (count > 1)}; nothing is read through it)")
    return Verified(differences, compared, elsewhere, _uncovered(folder, covered | linked.keys()))


def _recorded(folder: Path) -> pd.DataFrame:
    """The digests that a result folder records; raises InputError where they are not those of its run, or not of this folder."""
    record, run = (folder / name for name in RECORD)
    if not record.is_file():
        raise InputError(f"{folder}: no provenance/digests.csv; name the results folder of a finished run")
    if links := [link for name in RECORD if (link := _link_on(folder, name))]:
        raise InputError(f"{folder / links[0]}: a link, in the place of the digests that were published; copy what it leads to")
    written = load_record(run, RUN_WITH_DIGESTS, "the record of a run with its digests", "finish the run, or make its provenance again")["digests"]
    if sha256_of(record) != written["sha256"] or len(rows := read_table(record, DIGESTS)) != written["files"]:
        raise InputError(
            f"{record}: is not the list of {written['files']} digests that the run wrote, so nothing can be verified; publish the list whole"
        )
    if wrong := [path for path in map(str, rows.path) if path.startswith(RESULTS) and (_leads_out(path) or PurePosixPath(path).as_posix() != path)]:
        raise InputError(f"{record}: {wrong[0]!r} leads out of the results, or is not how a run names a file; publish the list as the run wrote it")
    if not rows.path.str.startswith(RESULTS).any():
        raise InputError(f"{record}: records no file of {folder}, so nothing was verified; name the results folder of a finished run")
    return rows


def _leads_out(path: str) -> bool:
    """May a recorded path lead out of the folder that it is looked up in? A null byte leads nowhere."""
    return Path(path).is_absolute() or bool(Path(path).drive) or ".." in Path(path).parts or "\0" in path


def _link_on(folder: Path, name: str) -> str:
    """The first link on the way from a folder to a file below it, as a path from the folder; "" where there is none."""
    way = [name, *(parent.as_posix() for parent in PurePosixPath(name).parents)]
    return next((step for step in reversed(way) if step != "." and (folder / step).is_symlink()), "")


def _uncovered(folder: Path, covered: Set[str]) -> list[str]:
    """Files below a folder that are not covered, hidden ones too but lists of folders that were made; what varies from run to run as
    "pattern (files)"."""
    files = (path for path in folder.rglob("*") if (not path.is_dir() or path.is_symlink()) and path.name != MADE)
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    patterns: dict[str, int] = {}
    others = []
    for name in names:
        if name in covered:
            continue
        pattern = next((pattern for pattern in VARIABLE if fnmatch(name, pattern)), None)
        if pattern is None:
            others.append(name)
        else:
            patterns[pattern] = patterns.get(pattern, 0) + 1
    return others + [f"{pattern} ({count} file{'s' if count > 1 else ''}, which vary from run to run)" for pattern, count in patterns.items()]


def differences_between(folder: Path, other: Path) -> tuple[list[str], int]:
    """What two result folders do not share, but for what varies from run to run (VARIABLE), and the number of files compared.

    Raises InputError where a folder is missing, or neither holds a result.
    """
    ours, theirs = results_of(folder), results_of(other)
    if not ours and not theirs:
        raise InputError(f"{folder} and {other}: neither holds a result, so nothing was compared; name result folders of finished runs")
    differences = [f"only in {folder}: {name}" for name in sorted(ours.keys() - theirs.keys())]
    differences += [f"only in {other}: {name}" for name in sorted(theirs.keys() - ours.keys())]
    links = {name: path for results in (theirs, ours) for name, path in results.items() if path.is_symlink()}
    differences += [f"link: {links[name]}; nothing is read through it" for name in sorted(links)]
    both = sorted((ours.keys() & theirs.keys()) - links.keys())
    differences += [f"differs: {name}" for name in both if sha256_of(ours[name]) != sha256_of(theirs[name])]
    return differences, len(both)


def results_of(folder: Path) -> dict[str, Path]:
    """Name within the folder -> path of every result that is the same in every run, links too; no hidden files."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name the results folder of a finished run")
    names = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file() or path.is_symlink()}
    return {
        name.as_posix(): path
        for name, path in names.items()
        if not any(part.startswith(".") for part in name.parts) and not any(fnmatch(name.as_posix(), pattern) for pattern in VARIABLE)
    }
