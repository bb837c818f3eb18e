"""Put the adapter chosen on development sources into one folder, with prompt, calibration and model card."""

import argparse
import json
import shutil
from pathlib import Path

import pandas as pd

from earwitness.core.arguments import add_prompt_arguments, by_name, json_object
from earwitness.core.errors import InputError, one_line_errors
from earwitness.core.files import atomic_folder, sha256_of, write_json
from earwitness.detectors.folder import adapter_config_for, detector_record, select_adapter
from earwitness.detectors.presentation import presentation_of
from earwitness.evaluation.calibration import chosen_calibration
from earwitness.leakage.certificate import load_certificate
from earwitness.leakage.gate import verify_gate
from earwitness.model.identity import load_identity
from earwitness.prompt_search.chosen_question import asked_prompt
from earwitness.report.model_card import CardInputs, render_card
from earwitness.systems import System
from earwitness.tables.accuracy import ACCURACY
from earwitness.tables.calibration import CALIBRATION, CALIBRATION_FITS
from earwitness.tables.comparisons import COMPARISONS
from earwitness.tables.files import read_table
from earwitness.tables.predictions import PREDICTIONS
from earwitness.tables.recordings import RECORDINGS
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the detector goes")
    parser.add_argument("--template", type=Path, required=True, help="the model card's Jinja template")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="predictions of the adapters to choose from (Parquet)")
    parser.add_argument("--adapters", type=Path, nargs="+", required=True, help="their adapter_config.json files")
    parser.add_argument("--systems", type=System.parse, nargs="+", required=True, help="the adapters with their seeds, in the order of --adapters")
    parser.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="split whose dev part chooses (CSV)")
    parser.add_argument("--certificate", type=Path, required=True, help="the split's leakage certificate (JSON)")
    parser.add_argument("--gate", type=Path, required=True, help="the split's gate (JSON)")
    parser.add_argument("--recordings", type=Path, nargs="+", required=True, help="tables of recordings (Parquet)")
    parser.add_argument("--fits", type=Path, required=True, help="calibrations (CSV)")
    parser.add_argument("--calibration", type=Path, required=True, help="how well probabilities hold (CSV)")
    parser.add_argument("--accuracy", type=Path, required=True, help="accuracy per system (CSV)")
    parser.add_argument("--comparisons", type=Path, required=True, help="paired tests (CSV)")
    parser.add_argument("--base", type=Path, required=True, help="the base model's identity (JSON)")
    parser.add_argument("--terms", type=json_object, required=True, help="licence of the base model, and whether it is the tiny one (JSON)")
    parser.add_argument("--quantisation", choices=["none", "nf4"], required=True)
    parser.add_argument("--origins", type=json_object, required=True, help="data set -> its config sources.<name>.origin (JSON)")
    parser.add_argument("--recipes", type=json_object, required=True, help="config finetuning.recipes (JSON)")
    add_prompt_arguments(parser)
    parser.add_argument("--stimuli", type=json_object, required=True, help="config stimuli (JSON)")
    parser.add_argument("--statistics", type=json_object, required=True, help="config statistics (JSON)")
    args = parser.parse_args()

    certificate = load_certificate(args.certificate)
    verify_gate(args.gate, args.split, [])
    split, prompt = read_table(args.split, SPLIT), asked_prompt(args.prompt, args.question)
    predictions = pd.concat([read_table(path, PREDICTIONS) for path in args.predictions], ignore_index=True)
    selection = select_adapter(predictions, read_table(args.index, STIMULI), split)
    fits = read_table(args.fits, CALIBRATION_FITS)
    method, calibration = chosen_calibration(fits, selection.system)
    recipe = args.recipes[selection.system.name]
    base = load_identity(args.base)
    record = detector_record(base, args.quantisation, presentation_of(args.stimuli, recipe), selection)
    adapters = by_name("--systems", args.systems, args.adapters)
    if selection.system not in adapters:
        raise InputError(f"--systems: {selection.system} is not among them; name all that --predictions are of")
    adapter = adapters[selection.system].parent
    recordings = pd.concat([read_table(path, RECORDINGS) for path in args.recordings], ignore_index=True)
    card = CardInputs(
        detector=record,
        licence=args.terms["licence"],
        tiny=args.terms["tiny"],
        recipe=recipe,
        prompt=prompt,
        stimuli=args.stimuli,
        statistics=args.statistics,
        calibration_method=method,
        informative=calibration.informative,
        split=split,
        recordings=recordings,
        embedded=[name for name, origin in args.origins.items() if origin == "embedded"],
        certificate_sha256=sha256_of(args.certificate),
        checks=len(certificate["checks"]),
        waived=[check["id"] for check in certificate["checks"] if check["waived"]],
        weights_sha256=sha256_of(adapter / "adapter_model.safetensors"),
        accuracy=read_table(args.accuracy, ACCURACY),
        calibration=read_table(args.calibration, CALIBRATION),
        comparisons=read_table(args.comparisons, COMPARISONS),
    )
    with atomic_folder(args.folder) as temporary:
        shutil.copyfile(adapter / "adapter_model.safetensors", temporary / "adapter_model.safetensors")
        config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        write_json(temporary / "adapter_config.json", adapter_config_for(config, base))
        write_json(temporary / "prompt.json", prompt)
        write_json(temporary / "detector.json", record)
        write_json(
            temporary / "calibration.json",
            {
                "method": method,
                "slope": calibration.slope,
                "intercept": calibration.intercept,
                "temperature": 1 / calibration.slope,
                "threshold_log_odds": calibration.threshold,
                "fitted_on": {
                    "part": "dev",
                    "split_sha256": sha256_of(args.split),
                    "sources": sorted(split.source_id[split.part == "dev"].unique()),
                },
            },
        )
        (temporary / "README.md").write_text(render_card(card, args.template), encoding="utf-8")


if __name__ == "__main__":
    main()
