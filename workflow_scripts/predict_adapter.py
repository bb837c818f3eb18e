"""Ask adapters of one base about the stimuli that they did not train on, one after the other."""

import argparse
from pathlib import Path

import pandas as pd

from earwitness.core.arguments import add_model_arguments, add_prompt_arguments, batch_size, by_name, json_object, settings_of
from earwitness.core.errors import InputError, one_line_errors
from earwitness.leakage.gate import verify_gate
from earwitness.prompt_search.chosen_question import asked_prompt
from earwitness.runtime.devices import leased_devices
from earwitness.runtime.imports import garbage_collection_paused
from earwitness.splits.study import untrained_stimuli
from earwitness.systems import System, asked_splits
from earwitness.tables.files import read_table, write_table
from earwitness.tables.predictions import PREDICTIONS
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path, nargs="+", help="stimuli with audio (Parquet)")
    parser.add_argument("--features", type=Path, nargs="*", default=[], help="the same, encoded by the base, for adapters outside its tower")
    parser.add_argument("--systems", type=System.parse, nargs="+", required=True, help="the adapters, RECIPE-SPLIT-seed-SEED")
    parser.add_argument("--adapters", type=Path, nargs="+", required=True, help="their adapter_config.json, in their order")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="where the predictions of each go (Parquet)")
    parser.add_argument("--study", type=Path, nargs="+", required=True, help="the stimuli that the splits divide and the gates vouch for (Parquet)")
    parser.add_argument("--names", nargs="+", required=True, help="the splits that they trained on, and grouped where they are asked about it too")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="these splits, in this order (CSV)")
    parser.add_argument("--gates", type=Path, nargs="+", required=True, help="the gates of these splits, in this order (JSON)")
    add_prompt_arguments(parser)
    parser.add_argument("--level", type=json_object, required=True, help="normalisation and level_dbfs of the adapters' recipe")
    parser.add_argument("--batch-size", type=batch_size, required=True, help="stimuli at a time, or auto")
    parser.add_argument("--devices", type=int, default=1, help="GPUs that share the files out among them, if they are free")
    add_model_arguments(parser)
    args = parser.parse_args()

    splits, gates = by_name("--splits", args.names, args.splits), by_name("--gates", args.names, args.gates)
    adapters, outputs = by_name("--adapters", args.systems, args.adapters), by_name("--outputs", args.systems, args.outputs)
    wanted = {system: asked_splits(system.split) for system in args.systems}
    if strangers := {name for names in wanted.values() for name in names} - set(splits):
        raise InputError(f"--names: lacks {min(strangers)}; name every split that an adapter trained on, and grouped but for folds")
    for name in splits:
        verify_gate(gates[name], splits[name], args.study)
    stimuli = pd.concat([read_table(path, STIMULI) for path in args.shards])
    asked = {system: untrained_stimuli(stimuli, [read_table(splits[name], SPLIT) for name in names]) for system, names in wanted.items()}
    with leased_devices(args.devices):
        with garbage_collection_paused():
            # torch looks at the visible devices when it is imported.
            from earwitness.audio.window import Level
            from earwitness.model.engine.prompting import Prompt
            from earwitness.model.feature_files import verify_features
            from earwitness.model.identity import given
            from earwitness.model.prediction_jobs import Asked, ModelSpec, PredictionJob, StimulusFiles, available_devices, predict

        if args.features:
            verify_features(args.features, args.shards)
        base = given(args.base, args.identity)
        models = {system: ModelSpec(base, adapters[system].parent, args.quantisation, args.memory) for system in args.systems}
        job = PredictionJob(
            asked=tuple(Asked(models[system], system, asked[system]) for system in args.systems),
            stimuli=StimulusFiles(tuple(args.features or args.shards), encoded=bool(args.features), level=settings_of(Level, "--level", args.level)),
            prompts=(Prompt(**asked_prompt(args.prompt, args.question)),),
            batch_size=args.batch_size,
            threads=args.threads,
        )
        for system, predictions in zip(args.systems, predict(job, available_devices()[: args.devices]), strict=True):
            write_table(outputs[system], predictions, PREDICTIONS, models[system].identity())


if __name__ == "__main__":
    main()
