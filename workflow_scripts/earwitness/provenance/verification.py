"""Are results what their provenance says, and are two result folders the same?"""

from collections.abc import Set
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

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


RUN_WITH_DIGESTS = {
    "type": "object",
    "required": ["digests"],
    "properties": {"digests": record_schema(files=COUNT, sha256=DIGEST)},
}
"""What of provenance/run.json says whether the list of digests is whole."""


def differences_from_digests(folder: Path) -> tuple[list[str], int, list[str]]:
    """What of a result folder is not as its provenance recorded it.

    Returns one line per difference, the number of files compared, and the files of the folder that no digest covers, those
    that vary from run to run (VARIABLE) as one name for each pattern.

    Files outside `results/` are looked for beside the folder and passed over where they are not there: a folder that was
    published holds results, not what they were made of. Raises InputError where the folder records no digests, not the ones
    that were written, or none of a file that could be compared or missed: nothing compared is not a pass.
    """
    record, run = folder / "provenance" / "digests.csv", folder / "provenance" / "run.json"
    if not record.is_file():
        raise InputError(f"{folder}: no provenance/digests.csv; name the results folder of a finished run")
    written = load_record(run, RUN_WITH_DIGESTS, "the record of a run with its digests", "finish the run, or make its provenance again")["digests"]
    if sha256_of(record) != written["sha256"] or len(rows := read_table(record, DIGESTS)) != written["files"]:
        raise InputError(
            f"{record}: is not the list of {written['files']} digests that the run wrote, so nothing can be verified; publish the list whole"
        )
    if wrong := [path for path in map(str, rows.path) if path.startswith("results/") and ".." in PurePosixPath(path).parts]:
        raise InputError(f"{record}: {wrong[0]!r} leads out of the results; publish the list as the run wrote it")
    if not rows.path.str.startswith("results/").any():
        raise InputError(f"{record}: records no file of {folder}, so nothing was verified; name the results folder of a finished run")
    differences, compared, covered = [], 0, {"provenance/digests.csv", "provenance/run.json"}
    for row in rows.itertuples():
        within = str(row.path).startswith("results/")
        name = str(row.path).removeprefix("results/")
        path = folder / name if within else folder.parent / str(row.path)
        if within:
            covered.add(name)
        if not path.is_file():
            if within:
                differences.append(f"missing: {row.path}")
            continue
        compared += 1
        if path.stat().st_size != row.bytes:
            differences.append(f"differs: {row.path} ({path.stat().st_size} bytes instead of {row.bytes})")
        elif sha256_of(path) != row.sha256:
            differences.append(f"differs: {row.path} (as long, other content)")
    return differences, compared, _uncovered(folder, covered)


def _uncovered(folder: Path, covered: Set[str]) -> list[str]:
    """Files below a folder that are not covered, hidden ones too but lists of folders that were made; what varies from run to run as
    "pattern (files)"."""
    files = (path for path in folder.rglob("*") if (path.is_file() or path.is_symlink()) and path.name != MADE)
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
    both = sorted(ours.keys() & theirs.keys())
    differences += [f"differs: {name}" for name in both if sha256_of(ours[name]) != sha256_of(theirs[name])]
    return differences, len(both)


def results_of(folder: Path) -> dict[str, Path]:
    """Name within the folder -> path of every result that is the same in every run; no hidden files."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name the results folder of a finished run")
    names = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        name.as_posix(): path
        for name, path in names.items()
        if not any(part.startswith(".") for part in name.parts) and not any(fnmatch(name.as_posix(), pattern) for pattern in VARIABLE)
    }
