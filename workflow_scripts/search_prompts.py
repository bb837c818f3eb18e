"""Search for a better question to ask the base model or an adapter, on sources that neither it nor the test part has."""

import argparse
import json
from pathlib import Path

from earwitness.core.arguments import add_model_arguments, add_prompt_arguments, add_system_arguments, batch_size, json_object
from earwitness.core.errors import one_line_errors
from earwitness.core.files import atomic, sha256_of, write_json
from earwitness.core.randomness import stream
from earwitness.leakage.tuning_records import tuning_record
from earwitness.prompt_search.chosen_question import asked_prompt
from earwitness.prompt_search.edits import DIRECT_QUESTIONS, Edits, Paraphrases
from earwitness.prompt_search.proposers import Proposer
from earwitness.prompt_search.stimulus_sampling import draw_stimuli, split_for_adapter
from earwitness.runtime.devices import leased_devices
from earwitness.tables.files import read_table, write_table
from earwitness.tables.prompts import PROMPT_SCORES
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI

STREAM = "search_prompts"


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
    parser.add_argument("--writer-quantisation", choices=["none", "nf4"], default="none")
    parser.add_argument("--scores", type=Path, required=True, help="where every question with its scores goes (CSV)")
    parser.add_argument("--archive", type=Path, required=True, help="where every proposal and request goes (JSON lines)")
    parser.add_argument("--best", type=Path, required=True, help="where the chosen question goes (text)")
    parser.add_argument("--tuning", type=Path, required=True, help="where it goes what was chosen, and on what (JSON)")
    add_prompt_arguments(parser)
    parser.add_argument("--settings", type=json_object, required=True, help="config prompt_search: sizes (JSON)")
    parser.add_argument("--batch-size", type=batch_size, required=True, help="stimuli at a time, or auto")
    parser.add_argument("--search-seed", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    add_model_arguments(parser)
    args = parser.parse_args()
    if args.proposer == "opro" and len(args.writer) != 2:
        parser.error("--proposer opro needs --writer FOLDER IDENTITY")

    names = (STREAM, args.search_seed)
    index, split = read_table(args.index, STIMULI), read_table(args.split, SPLIT)
    asked, sizes = asked_prompt(args.prompt, args.question), dict(args.settings)
    parts = split if args.adapter is None else split_for_adapter(split, args.seed)
    draw = draw_stimuli(index, parts, "train", sizes.pop("stimuli"), args.seed, *names, "train")
    development = draw_stimuli(index, parts, "dev", sizes.pop("development_stimuli"), args.seed, STREAM, "dev")
    with leased_devices():
        # torch looks at the visible devices when it is imported.
        import torch

        from earwitness.audio.levels import Level
        from earwitness.model.engine.batching import Batches
        from earwitness.model.engine.prompting import Prompt
        from earwitness.model.identity import recorded
        from earwitness.model.prediction import from_audio, from_features
        from earwitness.model.prediction_jobs import available_devices, load_system
        from earwitness.prompt_search.model_switch import ModelSwitch
        from earwitness.prompt_search.opro import Opro, load_writer
        from earwitness.prompt_search.question_scorer import QuestionScorer
        from earwitness.prompt_search.search import Settings, score_table, search
        from earwitness.runtime.saved_state import SavedState, code_digest

        torch.set_num_threads(args.threads)
        prompt, settings = Prompt(**asked), Settings(**sizes)
        device, base = available_devices()[0], recorded(args.base, args.identity)
        adapter = args.adapter and args.adapter.parent
        switch = ModelSwitch(one_at_a_time=args.memory == "compact")
        ask = QuestionScorer(
            lambda: switch.get("asked", lambda: load_system(base, adapter, args.quantisation, device, args.memory)),
            lambda loaded: from_features(loaded, args.features) if args.features else from_audio(loaded, args.shards, Level(**args.level)),
            {*draw.ids, *development.ids},
            prompt,
            Batches(args.batch_size, device, args.memory),
        )
        proposer: Proposer
        if args.proposer == "opro":
            proposer = Opro(
                lambda *request: switch.get("writer", lambda: load_writer(args.writer[0], args.writer_quantisation, device))(*request),
                settings.most_characters,
            )
        else:
            proposer = Edits(prompt.question) if args.proposer == "edits" else Paraphrases(prompt.question)
        stamp = {
            "proposer": args.proposer,
            "writer": recorded(*args.writer).sha256 if args.writer else None,
            "quantisation": [args.quantisation, args.writer_quantisation],
            "memory": args.memory,
            "prompt": asked,
            "settings": args.settings,
            "seeds": [args.seed, args.search_seed],
            "base": base.sha256,
            "adapter": sorted(sha256_of(path) for path in adapter.glob("*.safetensors")) if adapter else [],
            "level": args.level,
            "data": [sha256_of(path) for path in (*args.features, *args.shards, args.index, args.split)],
            "code": code_digest(),
        }
        resume = SavedState(args.scores.with_name(".in-progress"), stamp)
        found = search(
            proposer,
            ask,
            draw,
            development,
            prompt.question,
            DIRECT_QUESTIONS,
            settings,
            ask.special_tokens,
            lambda iteration: stream(args.seed, *names, args.proposer, iteration),
            resume,
        )
        table = score_table(found, draw, development, ask.prompt_id, ask.n_tokens)

    chosen = found.trials[found.best].question
    value = {
        "prompt_id": ask.prompt_id(chosen),
        "question": chosen,
        "search_optimism": found.optimism,
        "development_optimism": found.development_optimism,
    }
    used = split[split.stimulus_id.isin([*draw.ids, *development.ids])]
    write_table(args.scores, table, PROMPT_SCORES)
    for path, text in ((args.archive, "".join(json.dumps(record) + "\n" for record in found.archive)), (args.best, chosen + "\n")):
        with atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    name = f"{args.system}-{args.proposer}-seed-{args.search_seed}"
    write_json(args.tuning, tuning_record(name, ["prompt"], value, args.split, used, drawn=True))
    resume.remove()


if __name__ == "__main__":
    main()
