"""The command line of the programs that audit: which split, how it is stored, what is tolerated."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import NoReturn

from earwitness.config import complete_config
from earwitness.core.arguments import Arguments, json_object
from earwitness.core.errors import InputError
from earwitness.leakage.audit import audited_files, checks
from earwitness.leakage.audit_input import Audited, Policy
from earwitness.leakage.manifests import WHOLE, Columns, audited_manifests
from earwitness.leakage.registry import CHECK_IDS
from earwitness.leakage.verdict import subject_of
from earwitness.leakage.waivers import Waiver, iso_day, read_waivers
from earwitness.leakage.workers import Workers

WORKFLOW_FILES = {
    "index": "table of the stimuli (Parquet)",
    "clips": "tables of clips with audio (Parquet)",
    "recordings": "tables of recordings (Parquet)",
    "shards": "stimuli with audio (Parquet)",
}


class AuditArguments(Arguments):
    """A parser whose errors are InputError, since exit code 2, argparse's own, tells of a failed audit."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see --help")


def add_audit_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `audited_from` reads."""
    ours = parser.add_argument_group("a split of this workflow")
    ours.add_argument("split", type=Path, nargs="?", help="which part each stimulus belongs to (CSV)")
    for name, text in WORKFLOW_FILES.items():
        ours.add_argument(f"--{name}", type=Path, nargs="+", help=text)
    ours.add_argument("--folds", type=Path, nargs="*", default=[], help="where the split is a fold of a cross-validation, all of its folds (CSV)")
    ours.add_argument(
        "--segments", type=Path, nargs="*", default=[], help="where its sources are alone in their recordings, which are then listened to (Parquet)"
    )
    theirs = parser.add_argument_group("manifests (CSV or Parquet; paths are relative to the manifest's folder)")
    for part in ("train", "test", "dev"):
        theirs.add_argument(f"--{part}", type=Path, help=f"the items of the {part} part")
    theirs.add_argument("--manifest", type=Path, help="all items in one; its column part says which is in train, dev or test")
    roles = {
        "path": "the audio file",
        "label": "the class",
        "group": "the speaker, or whatever must stay in one part",
        "part": "the part, of --manifest",
    }
    for role, text in roles.items():
        theirs.add_argument(f"--{role}-column", default=role, help=f"column with {text} (default: {role})")
    theirs.add_argument("--speech-label", default="SPEECH", help="the class that is told from all others (default: SPEECH)")
    theirs.add_argument("--code", type=Path, metavar="FOLDER", help="Python scripts, to look for a fit before a split")
    ids = [check.id for check in checks()]
    theirs.add_argument(
        "--skip", nargs="+", action="extend", choices=ids, default=[], metavar="CHECK", help="leave a check out; the certificate says so"
    )
    parser.add_argument("--policy", type=json_object, help="what the audit tolerates, as the configuration's audit (JSON; default: its defaults)")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the work; the result is the same (default: 1)")
    parser.add_argument("--today", default=date.today().isoformat(), help="the day on which waivers must not have expired (default: today)")


@contextmanager
def audited_from(args: argparse.Namespace, undivided: bool = False, strict: bool = True) -> Iterator[tuple[Audited, list[Waiver]]]:
    """The split that the arguments name, and the waivers that hold; decoded audio of manifests and worker processes are
    kept until the block ends.

    undivided: a manifest may leave open which items are in which part; then the part of all is "". strict: as in
    earwitness.leakage.manifests.audited_manifests.
    Raises InputError where the arguments do not go together, or what they name cannot be audited.
    """
    if args.jobs < 1:
        raise InputError(f"--jobs: {args.jobs}; give at least 1")
    with Workers(args.jobs) as workers, _audited_from(args, strict) as (audited, waivers):
        if not undivided and (audited.data.stimuli.part == WHOLE).any():
            raise InputError(
                f"{args.manifest}: no column {args.part_column} says which items train and which test; "
                "name it with --part-column, or let propose-split divide them"
            )
        yield replace(audited, data=replace(audited.data, workers=workers)), waivers


@contextmanager
def _audited_from(args: argparse.Namespace, strict: bool) -> Iterator[tuple[Audited, list[Waiver]]]:
    settings = complete_config({"audit": args.policy or {}})["audit"]
    ours = {check.id for check in checks()}
    waivers = [waiver for waiver in read_waivers(settings.pop("waivers"), CHECK_IDS, iso_day(args.today, "--today")) if waiver.check in ours]
    policy = Policy.from_settings(settings)
    manifests = {part: getattr(args, part) for part in ("train", "dev", "test") if getattr(args, part) is not None}
    named = [name for name in WORKFLOW_FILES if getattr(args, name) is not None]
    if args.split is not None:
        if manifests or args.skip or args.code or len(named) < len(WORKFLOW_FILES):
            raise InputError(f"{args.split}: a split of this workflow needs {_options(WORKFLOW_FILES)}, and takes no manifest, --skip or --code")
        if len(args.index) != 1:
            raise InputError(f"--index: {len(args.index)} files; give one")
        yield audited_files(args.split, args.index[0], args.clips, args.recordings, args.shards, policy, args.folds, args.segments), waivers
        return
    if args.manifest is not None and not manifests:
        manifests = {WHOLE: args.manifest}
    elif named or args.folds or args.segments or args.manifest or not {"train", "test"} <= set(manifests):
        raise InputError(f"give a split with {_options(WORKFLOW_FILES)}, or manifests with --train and --test, or one with --manifest; see --help")
    named_columns = [args.path_column, args.label_column, args.group_column, *[args.part_column] * (args.manifest is not None)]
    if shared := [name for name in named_columns if named_columns.count(name) > 1]:
        raise InputError(f"column {shared[0]}: is named by two of --path-column, --label-column, --group-column, --part-column; name one for each")
    columns = Columns(args.path_column, args.label_column, args.group_column, args.part_column, args.speech_label)
    skipped = sorted(set(args.skip) - {waiver.check for waiver in waivers})
    waivers += [Waiver(check, "skipped on the command line (--skip)", "command line", "this run only") for check in skipped]
    with tempfile.TemporaryDirectory(prefix="earwitness-audit-") as folder:
        audited = audited_manifests(manifests, columns, policy, Path(folder), strict)
        if args.code is not None:
            if not args.code.is_dir():
                raise InputError(f"--code: {args.code} is no folder; name the folder of the scripts")
            scripts = {"code": sorted(args.code.rglob("*.py"))}
            audited = replace(audited, data=replace(audited.data, code=args.code), subject=audited.subject + subject_of(scripts))
        reasons = dict.fromkeys(args.skip, "skipped on the command line") | dict(audited.impossible)
        yield replace(audited, impossible=reasons), waivers


def _options(names: dict[str, str]) -> str:
    return ", ".join(f"--{name}" for name in names)
