"""Audit what was fitted, and the base model: certificate and evidence, written whatever the verdict."""

import argparse
from datetime import date
from pathlib import Path

import pandas as pd

from earwitness.core.arguments import by_name, json_object
from earwitness.core.errors import InputError, one_line_errors
from earwitness.core.files import sha256_of, write_json
from earwitness.corpora.text_tables import read_text_table
from earwitness.detectors import classic, encoder_probe
from earwitness.evaluation.calibration import CALIBRATED_KINDS, calibration_name
from earwitness.leakage.checks.tuning import TuningInput, Untrained
from earwitness.leakage.registry import CHECK_IDS
from earwitness.leakage.tuning_audit import audit_tuning, checks
from earwitness.leakage.tuning_records import load_tuning_record
from earwitness.leakage.verdict import subject_of
from earwitness.leakage.waivers import iso_day, read_waivers
from earwitness.leakage.workers import one_thread_each
from earwitness.splits.study import with_origins
from earwitness.systems import System
from earwitness.tables.audit_evidence import EVIDENCE
from earwitness.tables.counterfactuals import COUNTERFACTUALS
from earwitness.tables.files import read_table, validate, write_table
from earwitness.tables.pretraining import PRETRAINING_CORPORA
from earwitness.tables.recordings import RECORDINGS
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI

FITS = classic.FITS | encoder_probe.FITS


def fits_of(system: System) -> tuple[str, ...]:
    """What a detector or probe fits. Raises InputError where it is neither."""
    if system.name not in FITS:
        raise InputError(f"--systems: {system} fits nothing that is known; name any of {', '.join(sorted(FITS))}")
    return FITS[system.name]


def heard_untrained(args: argparse.Namespace, split: pd.DataFrame, recordings: pd.DataFrame) -> Untrained:
    """What untrained towers hear of the split's stimuli. Raises InputError where --index or --auc-warn is missing, or a stimulus is in no file."""
    if args.index is None or args.auc_warn is None:
        raise InputError("--untrained: name the index of its stimuli with --index, and the limit with --auc-warn")
    index = read_table(args.index, STIMULI)
    stimuli = with_origins(index.merge(split[["stimulus_id", "part"]], on="stimulus_id", validate="one_to_one"), [recordings])
    heard = by_name("--models", args.models, [encoder_probe.read_vectors([path], "untrained") for path in args.untrained])
    for model, path in zip(args.models, args.untrained, strict=True):
        if absent := sorted(set(split.stimulus_id) - set(heard[model].index) | set(split.stimulus_id) - set(index.stimulus_id)):
            raise InputError(f"{path}: it or {args.index} lacks stimulus {absent[0]} ({len(absent)} such); run encode_controls again")
    return Untrained(stimuli, heard, args.auc_warn)


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("split", type=Path, help="the split whose test part nothing may be fitted on (CSV)")
    parser.add_argument("--tuning", type=Path, nargs="*", default=[], help="what every system fitted (JSON)")
    parser.add_argument("--systems", type=System.parse, nargs="*", default=[], help="detectors and probes that must tell what they fitted")
    parser.add_argument("--searches", nargs="*", default=[], help="prompt searches that must tell what they chose, and on what")
    parser.add_argument("--calibrated", type=System.parse, nargs="*", default=[], help="systems that must tell what their calibration was fitted on")
    parser.add_argument("--recordings", type=Path, nargs="+", required=True, help="tables of recordings (Parquet)")
    parser.add_argument("--corpora", type=Path, required=True, help="what is publicly known about the training data of base models (CSV)")
    parser.add_argument("--models", nargs="+", required=True, help="the models under study, as the configuration names them")
    parser.add_argument("--declared", nargs="+", required=True, help="their names in the table of corpora, in the same order")
    parser.add_argument("--counterfactuals", type=Path, nargs="*", default=[], help="what each answered to changed stimuli, in that order (CSV)")
    parser.add_argument("--untrained", type=Path, nargs="*", default=[], help="what an untrained tower of each hears, in that order (Parquet)")
    parser.add_argument("--index", type=Path, help="index of the stimuli that it heard (Parquet); needed with --untrained")
    parser.add_argument("--auc-warn", type=float, help="AUC above which L19 warns; needed with --untrained")
    parser.add_argument("--waivers", type=json_object, default={"waivers": []}, help="the configuration's audit, of which the waivers count (JSON)")
    parser.add_argument("--today", default=date.today().isoformat(), help="the day on which waivers must not have expired (default: today)")
    parser.add_argument("--certificate", type=Path, required=True, help="where the certificate goes (JSON)")
    parser.add_argument("--evidence", type=Path, required=True, help="where the evidence goes (CSV)")
    args = parser.parse_args()

    recordings = pd.concat([read_table(path, RECORDINGS) for path in args.recordings], ignore_index=True)
    answers = [read_table(path, COUNTERFACTUALS) for path in args.counterfactuals]
    split = read_table(args.split, SPLIT)
    evidence = TuningInput(
        split=split,
        split_sha256=sha256_of(args.split),
        records=[load_tuning_record(path) for path in args.tuning],
        needed={str(system): fits_of(system) for system in args.systems}
        | dict.fromkeys(args.searches, ("prompt",))
        | dict.fromkeys(map(calibration_name, args.calibrated), CALIBRATED_KINDS),
        datasets=recordings.dataset,
        corpora=validate(read_text_table(args.corpora, PRETRAINING_CORPORA.columns), PRETRAINING_CORPORA),
        declared=by_name("--models", args.models, args.declared),
        counterfactuals=by_name("--models", args.models, answers) if answers else {},
        untrained=heard_untrained(args, split, recordings) if args.untrained else None,
    )
    files = {
        "split": [args.split],
        "tuning": args.tuning,
        "recordings": args.recordings,
        "corpora": [args.corpora],
        "counterfactuals": args.counterfactuals,
        "index": [args.index] * bool(args.untrained),
        "untrained": args.untrained,
    }
    ours = {check.id for check in checks()}
    waivers = [waiver for waiver in read_waivers(args.waivers["waivers"], CHECK_IDS, iso_day(args.today, "--today")) if waiver.check in ours]
    with one_thread_each():
        certificate, table = audit_tuning(evidence, subject_of(files), waivers)
    write_table(args.evidence, table, EVIDENCE)
    write_json(args.certificate, certificate)


if __name__ == "__main__":
    main()
