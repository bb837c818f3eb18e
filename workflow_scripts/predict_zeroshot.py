"""Ask the base model about every stimulus."""

import argparse
from pathlib import Path

from earwitness.core.arguments import add_model_arguments, add_prompt_arguments, batch_size
from earwitness.core.errors import one_line_errors
from earwitness.prompt_search.chosen_question import asked_prompt
from earwitness.runtime.devices import leased_devices
from earwitness.runtime.imports import garbage_collection_paused
from earwitness.systems import System
from earwitness.tables.files import write_table
from earwitness.tables.predictions import PREDICTIONS


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("features", type=Path, nargs="+", help="stimuli encoded by the base model (Parquet)")
    parser.add_argument("--model", required=True, help="its name in the configuration's models")
    parser.add_argument("--output", type=Path, required=True, help="where the predictions go (Parquet)")
    add_prompt_arguments(parser)
    parser.add_argument("--batch-size", type=batch_size, required=True, help="stimuli at a time, or auto")
    parser.add_argument("--devices", type=int, default=1, help="GPUs that share the files out among them, if they are free")
    add_model_arguments(parser)
    args = parser.parse_args()

    with leased_devices(args.devices):
        with garbage_collection_paused():
            # torch looks at the visible devices when it is imported.
            from earwitness.model.engine.prompting import Prompt
            from earwitness.model.identity import given
            from earwitness.model.prediction_jobs import Asked, ModelSpec, PredictionJob, StimulusFiles, available_devices, predict

        model = ModelSpec(given(args.base, args.identity), None, args.quantisation, args.memory)
        job = PredictionJob(
            asked=(Asked(model, System("base", "base", model=args.model)),),
            stimuli=StimulusFiles(tuple(args.features), encoded=True),
            prompts=(Prompt(**asked_prompt(args.prompt, args.question)),),
            batch_size=args.batch_size,
            threads=args.threads,
        )
        [predictions] = predict(job, available_devices()[: args.devices])
    write_table(args.output, predictions, PREDICTIONS, model.identity())


if __name__ == "__main__":
    main()
