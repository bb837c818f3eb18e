"""Are results what their provenance says, and are two result folders the same?"""

from fnmatch import fnmatch
from pathlib import Path

from earwitness.core.errors import InputError
from earwitness.core.files import sha256_of
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


def differences_from_digests(folder: Path) -> tuple[list[str], int]:
    """What of a result folder is not as its provenance recorded it: one line per file, and the number of files compared.

    Files outside `results/` are looked for beside the folder and passed over where they are not there: a folder that was
    published holds results, not what they were made of. Raises InputError where the folder records no digests, or none of
    a file that could be compared or missed: nothing compared is not a pass.
    """
    record = folder / "provenance" / "digests.csv"
    if not record.is_file():
        raise InputError(f"{folder}: no provenance/digests.csv; name the results folder of a finished run")
    differences, compared = [], 0
    for row in read_table(record, DIGESTS).itertuples():
        within = str(row.path).startswith("results/")
        path = folder / str(row.path).removeprefix("results/") if within else folder.parent / str(row.path)
        if not path.is_file():
            if within:
                differences.append(f"missing: {row.path}")
            continue
        compared += 1
        if path.stat().st_size != row.bytes:
            differences.append(f"differs: {row.path} ({path.stat().st_size} bytes instead of {row.bytes})")
        elif sha256_of(path) != row.sha256:
            differences.append(f"differs: {row.path} (as long, other content)")
    if not compared and not differences:
        raise InputError(f"{record}: records no file of {folder}, so nothing was verified; name the results folder of a finished run")
    return differences, compared


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
