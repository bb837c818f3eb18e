"""Ask the base model the baseline's and every chosen question about the test part."""

import argparse
from pathlib import Path

from earshot.arguments import add_model_arguments, batch_size, json_object
from earshot.errors import one_line_errors
from earshot.runtime.devices import leased_devices
from earshot.tables.files import read_table, write_table
from earshot.tables.predictions import PREDICTIONS
from earshot.tables.prompts import PROMPT_SCORES
from earshot.tables.splits import SPLIT


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("features", type=Path, nargs="+", help="stimuli encoded by the base model (Parquet)")
    parser.add_argument("--searches", type=Path, nargs="+", required=True, help="every search's questions, of which one is chosen (CSV)")
    parser.add_argument("--split", type=Path, required=True, help="split whose test part is asked about (CSV)")
    parser.add_argument("--output", type=Path, required=True, help="where the predictions go (Parquet)")
    parser.add_argument("--prompt", type=json_object, required=True, help="config prompt")
    parser.add_argument("--batch-size", type=batch_size, required=True, help="stimuli at a time, or auto")
    add_model_arguments(parser)
    args = parser.parse_args()

    searches = [read_table(path, PROMPT_SCORES) for path in args.searches]
    questions = dict.fromkeys([args.prompt["question"], *(question for scores in searches for question in scores.question[scores.chosen])])
    split = read_table(args.split, SPLIT)
    with leased_devices():
        # torch looks at the visible devices when it is imported.
        import torch

        from earshot.asking import ask, from_features
        from earshot.engine.batching import Batches
        from earshot.engine.checkpoint import load_checkpoint
        from earshot.engine.prompting import Prompt

        torch.set_num_threads(args.threads)
        checkpoint = load_checkpoint(args.base, args.quantisation, memory=args.memory)
        batches = Batches(args.batch_size, checkpoint.model.lm_head.weight.device, args.memory)
        prompts = [Prompt(**(args.prompt | {"question": question})) for question in questions]
        tested = set(split.stimulus_id[split.part == "test"])
        predictions = ask(checkpoint, from_features(checkpoint, args.features), prompts, "base", None, batches, tested)
    write_table(args.output, predictions, PREDICTIONS)


if __name__ == "__main__":
    main()
