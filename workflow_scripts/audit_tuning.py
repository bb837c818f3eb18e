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
from earwitness.leakage.checks.tuning import TuningInput
from earwitness.leakage.registry import CHECK_IDS
from earwitness.leakage.tuning_audit import audit_tuning, checks
from earwitness.leakage.tuning_records import load_tuning_record
from earwitness.leakage.verdict import subject_of
from earwitness.leakage.waivers import iso_day, read_waivers
from earwitness.systems import System
from earwitness.tables.audit_evidence import EVIDENCE
from earwitness.tables.counterfactuals import COUNTERFACTUALS
from earwitness.tables.files import read_table, validate, write_table
from earwitness.tables.pretraining import PRETRAINING_CORPORA
from earwitness.tables.recordings import RECORDINGS
from earwitness.tables.splits import SPLIT

FITS = classic.FITS | encoder_probe.FITS


def fits_of(system: System) -> tuple[str, ...]:
    """What a detector or probe fits. Raises InputError where it is neither."""
    if system.name not in FITS:
        raise InputError(f"--systems: {system} fits nothing that is known; name any of {', '.join(sorted(FITS))}")
    return FITS[system.name]


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
    parser.add_argument("--waivers", type=json_object, default={"waivers": []}, help="the configuration's audit, of which the waivers count (JSON)")
    parser.add_argument("--today", default=date.today().isoformat(), help="the day on which waivers must not have expired (default: today)")
    parser.add_argument("--certificate", type=Path, required=True, help="where the certificate goes (JSON)")
    parser.add_argument("--evidence", type=Path, required=True, help="where the evidence goes (CSV)")
    args = parser.parse_args()

    recordings = pd.concat([read_table(path, RECORDINGS) for path in args.recordings], ignore_index=True)
    answers = [read_table(path, COUNTERFACTUALS) for path in args.counterfactuals]
    evidence = TuningInput(
        split=read_table(args.split, SPLIT),
        split_sha256=sha256_of(args.split),
        records=[load_tuning_record(path) for path in args.tuning],
        needed={str(system): fits_of(system) for system in args.systems}
        | dict.fromkeys(args.searches, ("prompt",))
        | dict.fromkeys(map(calibration_name, args.calibrated), CALIBRATED_KINDS),
        datasets=recordings.dataset,
        corpora=validate(read_text_table(args.corpora, PRETRAINING_CORPORA.columns), PRETRAINING_CORPORA),
        declared=by_name("--models", args.models, args.declared),
        counterfactuals=by_name("--models", args.models, answers) if answers else {},
    )
    files = {
        "split": [args.split],
        "tuning": args.tuning,
        "recordings": args.recordings,
        "corpora": [args.corpora],
        "counterfactuals": args.counterfactuals,
    }
    ours = {check.id for check in checks()}
    waivers = [waiver for waiver in read_waivers(args.waivers["waivers"], CHECK_IDS, iso_day(args.today, "--today")) if waiver.check in ours]
    certificate, table = audit_tuning(evidence, subject_of(files), waivers)
    write_table(args.evidence, table, EVIDENCE)
    write_json(args.certificate, certificate)


if __name__ == "__main__":
    main()
