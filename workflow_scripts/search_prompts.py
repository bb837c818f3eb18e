"""Search for better questions to ask the base model or an adapter, on sources that neither it nor the test part has: seed after seed."""

import argparse
from dataclasses import replace
from pathlib import Path

from earwitness.core.arguments import (
    QUANTISATIONS,
    add_model_arguments,
    add_prompt_arguments,
    add_system_arguments,
    batch_size,
    by_name,
    json_object,
    settings_of,
)
from earwitness.core.errors import one_line_errors
from earwitness.prompt_search.chosen_question import asked_prompt
from earwitness.runtime.devices import leased_devices
from earwitness.runtime.imports import garbage_collection_paused
from earwitness.systems import System


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_system_arguments(parser)
    parser.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    parser.add_argument(
        "--split",
        type=Path,
        required=True,
        help="split whose train part is searched on and whose dev part chooses; for an adapter, the two halves of its dev part (CSV)",
    )
    parser.add_argument("--proposer", choices=["edits", "opro", "paraphrases"], required=True)
    parser.add_argument("--writer", type=Path, nargs="*", default=[], help="folder and identity of the language model that proposes (opro)")
    parser.add_argument("--writer-quantisation", choices=QUANTISATIONS, default="none")
    parser.add_argument("--search-seeds", type=int, nargs="+", required=True, help="the searches")
    parser.add_argument(
        "--scores",
        type=Path,
        nargs="+",
        required=True,
        help="where every question of each search with its scores goes, in their order (CSV); all else goes into the same folder",
    )
    add_prompt_arguments(parser)
    parser.add_argument("--settings", type=json_object, required=True, help="config prompt_search: sizes (JSON)")
    parser.add_argument("--batch-size", type=batch_size, required=True, help="stimuli at a time, or auto")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--code", help="the meaning of this program's code, as Snakemake follows it; without it, that of the modules that are loaded")
    add_model_arguments(parser)
    args = parser.parse_args()
    if args.proposer == "opro" and len(args.writer) != 2:
        parser.error("--proposer opro needs --writer FOLDER IDENTITY")
    scores = by_name("--scores", args.search_seeds, args.scores)

    with leased_devices():
        with garbage_collection_paused():
            # torch looks at the visible devices when it is imported.
            import torch

            from earwitness.audio.window import Level
            from earwitness.model.engine.prompting import Prompt
            from earwitness.model.identity import given, recorded
            from earwitness.model.prediction_jobs import ModelSpec, StimulusFiles, available_devices
            from earwitness.prompt_search.search_jobs import ProposerChoice, SearchJob, run_searches

        torch.set_num_threads(args.threads)
        job = SearchJob(
            system=System.parse(args.system),
            asked=ModelSpec(given(args.base, args.identity), args.adapter and args.adapter.parent, args.quantisation, args.memory),
            stimuli=StimulusFiles(tuple(args.features or args.shards), encoded=bool(args.features), level=settings_of(Level, "--level", args.level)),
            prompt=Prompt(**asked_prompt(args.prompt, args.question)),
            proposer=ProposerChoice(args.proposer, recorded(*args.writer) if args.writer else None, args.writer_quantisation),
            index=args.index,
            split=args.split,
            sizes=args.settings,
            search_seed=args.search_seeds[0],
            seed=args.seed,
            batch_size=args.batch_size,
            code=args.code,
        )
        jobs = {path.parent: replace(job, search_seed=seed) for seed, path in scores.items()}
        run_searches(jobs, available_devices()[0])


if __name__ == "__main__":
    main()
