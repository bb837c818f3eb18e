"""Ask the base model or an adapter the initial and every chosen question about the test part."""

import argparse
from pathlib import Path

from earwitness.core.arguments import add_model_arguments, add_prompt_arguments, add_system_arguments, batch_size, settings_of
from earwitness.core.errors import one_line_errors
from earwitness.prompt_search.chosen_question import asked_prompt, questions_to_test
from earwitness.runtime.devices import leased_devices
from earwitness.runtime.imports import garbage_collection_paused
from earwitness.systems import System
from earwitness.tables.files import read_table, write_table
from earwitness.tables.predictions import PREDICTIONS
from earwitness.tables.prompts import PROMPT_SCORES
from earwitness.tables.splits import SPLIT


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_system_arguments(parser)
    parser.add_argument(
        "--searches", type=Path, nargs="+", required=True, help="the questions of every search over this system, of which one is chosen (CSV)"
    )
    parser.add_argument("--split", type=Path, required=True, help="split whose test part is asked about (CSV)")
    parser.add_argument("--output", type=Path, required=True, help="where the predictions go (Parquet)")
    add_prompt_arguments(parser)
    parser.add_argument("--batch-size", type=batch_size, required=True, help="stimuli at a time, or auto")
    add_model_arguments(parser)
    args = parser.parse_args()

    searches = [read_table(path, PROMPT_SCORES) for path in args.searches]
    prompt = asked_prompt(args.prompt, args.question)
    questions = questions_to_test(prompt["question"], searches)
    split = read_table(args.split, SPLIT)
    with leased_devices():
        with garbage_collection_paused():
            # torch looks at the visible devices when it is imported.
            from earwitness.audio.window import Level
            from earwitness.model.engine.prompting import Prompt
            from earwitness.model.identity import given
            from earwitness.model.prediction_jobs import Asked, ModelSpec, PredictionJob, StimulusFiles, available_devices, predict

        model = ModelSpec(given(args.base, args.identity), args.adapter and args.adapter.parent, args.quantisation, args.memory)
        job = PredictionJob(
            asked=(Asked(model, System.parse(args.system), frozenset(split.stimulus_id[split.part == "test"])),),
            stimuli=StimulusFiles(tuple(args.features or args.shards), encoded=bool(args.features), level=settings_of(Level, "--level", args.level)),
            prompts=tuple(Prompt(**(prompt | {"question": question})) for question in questions),
            batch_size=args.batch_size,
            threads=args.threads,
        )
        [predictions] = predict(job, available_devices()[:1])
    write_table(args.output, predictions, PREDICTIONS, model.identity())


if __name__ == "__main__":
    main()
