"""Write the nearest split that passes its audit, and what it had to move.

Takes a split as audit_leakage.py does, or one manifest that is not divided yet, and the certificate and evidence of its audit where
there are any. Writes a folder: the manifests train.csv, test.csv (and dev.csv), manifest.csv with a column part where one manifest was
given, or split.csv for a split of this workflow; moves.csv; ties.csv, what had to stay together; certificate.json and evidence.csv, the
audit of what is proposed; report.md. Exit code 0: what is proposed passes; 1: bad input; 2: it does not, and the report says why.
"""

import argparse
import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from earwitness.core.errors import InputError, one_line_errors
from earwitness.core.files import atomic_folder, require_replaceable, write_json
from earwitness.core.terminal_text import printable
from earwitness.leakage.arguments import AuditArguments, add_audit_arguments, audited_from
from earwitness.leakage.audit import audit
from earwitness.leakage.audit_input import Audited
from earwitness.leakage.certificate import load_certificate
from earwitness.leakage.manifests import WHOLE
from earwitness.leakage.proposal import Proposal, propose
from earwitness.leakage.proposal_files import proposal_report, write_manifests, write_split, write_tables
from earwitness.leakage.verdict import parts_of, verdict
from earwitness.splits.components import read_ties
from earwitness.splits.nearest import drawn_parts
from earwitness.tables.audit_evidence import EVIDENCE
from earwitness.tables.columns import LABELS
from earwitness.tables.files import read_table, write_table

DEFAULT_SHARES = {"train": 0.7, "dev": 0.1, "test": 0.2}
"""Of a manifest that is not divided yet."""


def share_of_part(text: str) -> tuple[str, float]:
    """A part and its share, from PART=SHARE."""
    part, _, share = text.partition("=")
    try:
        value = float(share)
    except ValueError:
        value = math.nan
    if part not in DEFAULT_SHARES or not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not PART=SHARE, as in test=0.2, with one of {', '.join(DEFAULT_SHARES)} and a share from 0 to 1"
        )
    return part, value


def sources_of_part(text: str) -> tuple[str, tuple[int, int]]:
    """A part and its sources of SPEECH and NONSPEECH, from PART=SPEECH+NONSPEECH."""
    part, _, numbers = text.partition("=")
    speech, _, other = numbers.partition("+")
    if part not in DEFAULT_SHARES or not (speech.isdecimal() and other.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not PART=SPEECH+NONSPEECH, as in test=1+2")
    return part, (int(speech), int(other))


EXAMPLES = """\
examples:
  earwitness propose-split --train train.csv --test test.csv --out proposal/
  earwitness propose-split --manifest all.csv --out proposal/                                    # not divided yet
"""


def arguments() -> argparse.Namespace:
    """What the command line asks for; raises InputError where options do not go together."""
    parser = AuditArguments(description=__doc__, epilog=EXAMPLES)
    add_audit_arguments(parser)
    parser.add_argument("--certificate", type=Path, help="the certificate of the split's audit (JSON); with --evidence, saves an audit")
    parser.add_argument("--evidence", type=Path, help="the evidence of the split's audit (CSV)")
    parser.add_argument("--ties", type=Path, nargs="*", default=[], help="tables of sources that must be in one part besides (CSV)")
    told = ", ".join(f"{part} {share:g}" for part, share in DEFAULT_SHARES.items())
    wanted = parser.add_mutually_exclusive_group()
    wanted.add_argument(
        "--shares",
        nargs="+",
        type=share_of_part,
        metavar="PART=SHARE",
        help=f"of each class; by default as they are now, {told} where nothing is divided yet",
    )
    wanted.add_argument("--sources", nargs="+", type=sources_of_part, metavar="PART=SPEECH+NONSPEECH", help="how many sources, as in test=1+2")
    parser.add_argument("--seed", type=int, default=0, help="decides between equally near splits (default: 0)")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is proposed")
    args = parser.parse_args()
    if (args.certificate is None) != (args.evidence is None):
        raise InputError("--certificate and --evidence go together; give both, or none to audit anew")
    parts = [part for part, _ in args.shares or args.sources or []]
    if repeated := [part for part in parts if parts.count(part) > 1]:
        raise InputError(f"--{'shares' if args.shares else 'sources'}: {repeated[0]} is named twice; name every part once")
    if args.shares and abs(sum(dict(args.shares).values()) - 1) > 1e-6:
        raise InputError(f"--shares: add up to {sum(dict(args.shares).values()):g}; give shares of all parts that add up to 1")
    require_replaceable(args.out, read=audited_files(args))
    return args


def audited_files(args: argparse.Namespace) -> list[Path]:
    """What is audited: a split, or manifests."""
    return [path for path in (args.split, args.train, args.dev, args.test, args.manifest) if path is not None]


def given_evidence(args: argparse.Namespace, audited: Audited) -> pd.DataFrame | None:
    """The evidence of an audit that was made before; None where the split is to be audited anew. Raises InputError where it is of other data."""
    if args.certificate is None:
        return None
    if load_certificate(args.certificate)["subject"] != audited.subject:
        raise InputError(f"{args.certificate}: is about other data; give the certificate of this split, or none")
    return read_table(args.evidence, EVIDENCE)


def sources_and_shares(
    args: argparse.Namespace, stimuli: pd.DataFrame
) -> tuple[dict[tuple[str, str], int] | None, dict[tuple[str, str], float] | None]:
    """Sources, and shares, that each part is to have of each class, by (part, label); None where nothing asks for them.

    Raises InputError where not all sources are asked for, or more than there are.
    """
    if args.sources is None:
        shares = args.shares or [*DEFAULT_SHARES.items()] * bool((stimuli.part == WHOLE).any())
        return None, {(part, label): share for part, share in shares for label in LABELS} or None
    sources = {(part, label): n for part, numbers in args.sources for label, n in zip(LABELS, numbers, strict=True)}
    there = stimuli.groupby("label").source_id.nunique()
    for label in LABELS:
        if (asked := sum(n for (_, of), n in sources.items() if of == label)) != there.get(label, 0):
            raise InputError(f"--sources: {asked} sources of {label} are asked for, there are {there.get(label, 0)}; every source is in one part")
    return sources, {(part, label): n / there[label] for (part, label), n in sources.items()}


def write_proposal(args: argparse.Namespace, proposal: Proposal, before: Mapping[str, Mapping[str, int]], drawn: bool) -> dict[str, Any]:
    """Write the folder, audit included, and return the certificate; before, drawn: as `proposal_report` takes them."""
    with atomic_folder(args.out, read=audited_files(args)) as folder:
        if args.split is None:
            manifests = {part: getattr(args, part) for part in ("train", "dev", "test", "manifest") if getattr(args, part) is not None}
            written = write_manifests(folder, args.out, proposal, manifests, args.path_column, args.part_column)
        else:
            written = {"split": write_split(folder, proposal)}
        write_tables(folder, proposal)
        with audited_from(argparse.Namespace(**(vars(args) | written))) as (audited, waivers):
            certificate, evidence = audit(audited, waivers)
        write_json(folder / "certificate.json", certificate)
        write_table(folder / "evidence.csv", evidence, EVIDENCE)
        (folder / "report.md").write_text(proposal_report(before, drawn, proposal, certificate), encoding="utf-8")
    return certificate


@one_line_errors
def main() -> None:
    args = arguments()
    with audited_from(args, undivided=True) as (audited, _):
        asked = {part for part, _ in args.shares or args.sources or ()}
        if asked and (absent := set(audited.data.stimuli.part) - {WHOLE} - asked):
            raise InputError(f"--{'shares' if args.shares else 'sources'}: nothing is said of {min(absent)}, which is there; name every part")
        evidence = given_evidence(args, audited)
        stimuli = audited.data.stimuli
        sources, shares = sources_and_shares(args, stimuli)
        if drawn := bool((stimuli.part == WHOLE).any()):
            audited = replace(audited, data=replace(audited.data, stimuli=stimuli.assign(part=drawn_parts(stimuli, shares or {}, args.seed))))
        ties = read_ties(args.ties, [*audited.data.recordings.source_id, *stimuli.source_id])
        proposal = propose(audited, evidence, shares, sources, args.seed, ties)
        before = parts_of(audited.data.stimuli)
    certificate = write_proposal(args, proposal, before, drawn)
    seconds = proposal.moves.seconds.sum()
    moved = f"{len(proposal.moves)} items of {proposal.moves.source.nunique()} sources moved ({seconds:.1f} s)"
    parts = "; ".join(f"{part} {n['speech_sources']}+{n['nonspeech_sources']}" for part, n in certificate["parts"].items())
    print(f"{f'sources divided: {parts}' if drawn else moved}; see {args.out / 'report.md'}")
    print(*[printable(line) for line in [*proposal.impossible, *proposal.unbalanced, verdict(certificate)]], sep="\n")
    sys.exit(0 if certificate["status"] == "pass" else 2)


if __name__ == "__main__":
    main()
