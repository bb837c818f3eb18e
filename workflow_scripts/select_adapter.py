"""Put the adapter chosen on development sources into one folder, with prompt and calibration: a detector that nobody has audited yet."""

import argparse
from pathlib import Path

from earwitness.core.arguments import QUANTISATIONS, add_prompt_arguments, by_name, json_object
from earwitness.core.errors import one_line_errors
from earwitness.detectors.hand_over import Detector, select_adapter, selected_folder, write_detector_folder
from earwitness.detectors.presentation import presentation_of
from earwitness.evaluation.calibration import chosen_calibration
from earwitness.leakage.gate import verify_gate
from earwitness.model.identity import load_identity
from earwitness.prompt_search.chosen_question import asked_prompt
from earwitness.systems import System
from earwitness.tables.calibration import CALIBRATION_FITS
from earwitness.tables.files import read_table
from earwitness.tables.predictions import read_predictions
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the detector goes")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="predictions of the adapters to choose from (Parquet)")
    parser.add_argument("--adapters", type=Path, nargs="+", required=True, help="their adapter_config.json files")
    parser.add_argument("--systems", type=System.parse, nargs="+", required=True, help="the adapters with their seeds, in the order of --adapters")
    parser.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="split whose dev part chooses (CSV)")
    parser.add_argument("--study", type=Path, nargs="+", required=True, help="the stimuli that the split divides and the gate vouches for (Parquet)")
    parser.add_argument("--gate", type=Path, required=True, help="the split's gate (JSON)")
    parser.add_argument("--fits", type=Path, required=True, help="calibrations (CSV)")
    parser.add_argument("--base", type=Path, required=True, help="the base model's identity (JSON)")
    parser.add_argument("--base-folder", type=Path, required=True, help="where the base model lies")
    parser.add_argument("--quantisation", choices=QUANTISATIONS, required=True)
    parser.add_argument("--recipes", type=json_object, required=True, help="config finetuning.recipes (JSON)")
    add_prompt_arguments(parser)
    parser.add_argument("--stimuli", type=json_object, required=True, help="config stimuli (JSON)")
    args = parser.parse_args()

    verify_gate(args.gate, args.split, args.study)
    predictions = read_predictions(args.predictions)
    selection = select_adapter(predictions, read_table(args.index, STIMULI), read_table(args.split, SPLIT))
    method, calibration = chosen_calibration(read_table(args.fits, CALIBRATION_FITS), selection.system)
    detector = Detector(
        selection=selection,
        adapter=selected_folder(selection, by_name("--systems", args.systems, args.adapters)),
        base=load_identity(args.base),
        base_folder=args.base_folder,
        quantisation=args.quantisation,
        presentation=presentation_of(args.stimuli, args.recipes[selection.system.name]),
        prompt=asked_prompt(args.prompt, args.question),
        method=method,
        calibration=calibration,
    )
    write_detector_folder(args.folder, detector, args.split)


if __name__ == "__main__":
    main()
