"""Ask an adapter about the stimuli that it did not train on."""

import argparse
from pathlib import Path

import pandas as pd

from earwitness.core.arguments import add_model_arguments, add_prompt_arguments, batch_size, json_object
from earwitness.core.errors import InputError, one_line_errors
from earwitness.leakage.gate import verify_gate
from earwitness.prompt_search.chosen_question import asked_prompt
from earwitness.runtime.devices import leased_devices
from earwitness.splits.study import untrained_stimuli
from earwitness.systems import System
from earwitness.tables.files import read_table, write_table
from earwitness.tables.predictions import PREDICTIONS
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path, nargs="+", help="stimuli with audio (Parquet)")
    parser.add_argument("--features", type=Path, nargs="*", default=[], help="the same, encoded by the base, for adapters outside its tower")
    parser.add_argument("--adapter", type=Path, required=True, help="the adapter's adapter_config.json")
    parser.add_argument("--study", type=Path, nargs="+", required=True, help="the stimuli that the splits divide and the gates vouch for (Parquet)")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="the split it trained on, then others to ask about (CSV)")
    parser.add_argument("--gates", type=Path, nargs="+", required=True, help="the gates of these splits, in their order (JSON)")
    parser.add_argument("--system", type=System.parse, required=True, help="the adapter, RECIPE-SPLIT-seed-SEED")
    parser.add_argument("--output", type=Path, required=True, help="where the predictions go (Parquet)")
    add_prompt_arguments(parser)
    parser.add_argument("--level", type=json_object, required=True, help="normalisation and level_dbfs of the adapter's recipe")
    parser.add_argument("--batch-size", type=batch_size, required=True, help="stimuli at a time, or auto")
    parser.add_argument("--devices", type=int, default=1, help="GPUs that share the files out among them, if they are free")
    add_model_arguments(parser)
    args = parser.parse_args()

    if len(args.gates) != len(args.splits):
        raise InputError(f"--gates: {len(args.gates)} for {len(args.splits)} splits; give one for each, in their order")
    for gate, split in zip(args.gates, args.splits, strict=True):
        verify_gate(gate, split, args.study)
    asked = untrained_stimuli(pd.concat([read_table(path, STIMULI) for path in args.shards]), [read_table(path, SPLIT) for path in args.splits])
    with leased_devices(args.devices):
        # torch looks at the visible devices when it is imported.
        from earwitness.audio.window import Level
        from earwitness.model.engine.prompting import Prompt
        from earwitness.model.feature_files import verify_features
        from earwitness.model.identity import given
        from earwitness.model.prediction_jobs import ModelSpec, PredictionJob, StimulusFiles, available_devices, predict

        if args.features:
            verify_features(args.features, args.shards)
        job = PredictionJob(
            asked=ModelSpec(given(args.base, args.identity), args.adapter.parent, args.quantisation, args.memory),
            stimuli=StimulusFiles(tuple(args.features or args.shards), encoded=bool(args.features), level=Level(**args.level)),
            prompts=(Prompt(**asked_prompt(args.prompt, args.question)),),
            system=args.system,
            batch_size=args.batch_size,
            threads=args.threads,
            only=asked,
        )
        predictions = predict(job, available_devices()[: args.devices])
    write_table(args.output, predictions, PREDICTIONS, job.asked.identity())


if __name__ == "__main__":
    main()
