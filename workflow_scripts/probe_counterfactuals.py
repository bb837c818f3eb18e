"""Ask the base model about test stimuli changed in what should not matter, and about noise in their place."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from earwitness.core.arguments import add_model_arguments, add_prompt_arguments, batch_size
from earwitness.core.errors import one_line_errors
from earwitness.prompt_search.chosen_question import asked_prompt
from earwitness.runtime.devices import leased_devices
from earwitness.stimuli.counterfactuals import probed, variants
from earwitness.tables.audio import iterate_audio
from earwitness.tables.counterfactuals import COUNTERFACTUALS
from earwitness.tables.files import read_table, write_table
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


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
    wanted = set(probed(split[split.part == "test"], args.seed).stimulus_id)
    with leased_devices():
        # torch looks at the visible devices when it is imported.
        import torch

        from earwitness.model.engine.batching import Batches
        from earwitness.model.engine.features import encode_waveforms
        from earwitness.model.engine.loading import load_model
        from earwitness.model.engine.prompting import Prompt, tokenise
        from earwitness.model.engine.scoring import Scorer
        from earwitness.model.identity import recorded

        torch.set_num_threads(args.threads)
        loaded = load_model(recorded(args.base, args.identity), args.quantisation, memory=args.memory)
        scorer = Scorer(loaded.model, [tokenise(loaded.processor, Prompt(**asked_prompt(args.prompt, args.question)))])
        longest = loaded.longest_waveform
        batches = Batches(args.batch_size, loaded.device, args.memory)
        answers = []
        for shard in args.shards:
            for rows, waveforms in iterate_audio(shard, STIMULI, keep=lambda rows: rows.stimulus_id.isin(wanted)):
                stimuli = zip(rows.stimulus_id, waveforms, rows.duration_ms, strict=True)
                made = [variants(name, waveform, duration_ms, args.seed, longest) for name, waveform, duration_ms in stimuli]
                for variant in made[0] if made else []:
                    scores = batches.run(lambda batch: scorer(encode_waveforms(loaded, batch))[0].log_odds, [of_one[variant] for of_one in made])
                    answers.append(rows[["stimulus_id", "source_id", "label"]].assign(variant=variant, log_odds=np.concatenate(scores)))
    table = pd.concat(answers, ignore_index=True).sort_values(["stimulus_id", "variant"])
    write_table(args.output, table, COUNTERFACTUALS)


if __name__ == "__main__":
    main()
