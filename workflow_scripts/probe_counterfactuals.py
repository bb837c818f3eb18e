"""Ask the base model about test stimuli changed in what should not matter, and about noise in their place."""

import argparse
from pathlib import Path

from earwitness.core.arguments import add_model_arguments, add_prompt_arguments, batch_size
from earwitness.core.errors import one_line_errors
from earwitness.prompt_search.chosen_question import asked_prompt
from earwitness.runtime.devices import leased_devices
from earwitness.runtime.imports import garbage_collection_paused
from earwitness.tables.counterfactuals import COUNTERFACTUALS
from earwitness.tables.files import read_table, write_table
from earwitness.tables.splits import SPLIT


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path, nargs="+", help="stimuli with audio (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="split whose test part is asked about (CSV)")
    parser.add_argument("--output", type=Path, required=True, help="where the answers go (CSV)")
    add_prompt_arguments(parser)
    parser.add_argument("--batch-size", type=batch_size, required=True, help="stimuli at a time, or auto")
    parser.add_argument("--seed", type=int, required=True, help="draws the stimuli and the noise")
    add_model_arguments(parser)
    args = parser.parse_args()

    split = read_table(args.split, SPLIT)
    with leased_devices():
        with garbage_collection_paused():
            # torch looks at the visible devices when it is imported.
            import torch

            from earwitness.model.counterfactual_answers import probe_counterfactuals
            from earwitness.model.engine.prompting import Prompt
            from earwitness.model.identity import given
            from earwitness.model.prediction_jobs import ModelSpec, available_devices

        torch.set_num_threads(args.threads)
        [device, *_] = available_devices()
        base = ModelSpec(given(args.base, args.identity), None, args.quantisation, args.memory)
        prompt = Prompt(**asked_prompt(args.prompt, args.question))
        table = probe_counterfactuals(base.load(device), args.shards, split, prompt, args.seed, base.batches(args.batch_size, device))
    write_table(args.output, table, COUNTERFACTUALS)


if __name__ == "__main__":
    main()
