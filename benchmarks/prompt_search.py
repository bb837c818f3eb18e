"""Proposers of questions at equal budget: what each finds on its own stimuli, and what is left on test sources. Prints a Markdown table."""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from earshot.engine.batching import Batches
from earshot.engine.checkpoint import load_checkpoint
from earshot.engine.prompting import Prompt
from earshot.prompt_search.draws import draw_stimuli
from earshot.prompt_search.edits import DIRECT_QUESTIONS, Edits, Paraphrases
from earshot.prompt_search.opro import Opro, load_writer
from earshot.prompt_search.proposers import Proposer
from earshot.prompt_search.questioning import Questioner
from earshot.prompt_search.search import Settings, measure, search
from earshot.randomness import stream
from earshot.tables.files import read_table
from earshot.tables.splits import SPLIT
from earshot.tables.stimuli import STIMULI

SETTINGS = Settings(iterations=5, candidates=8, finalists=4, most_characters=500)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("features", type=Path, nargs="+", help="stimuli encoded by the base model (Parquet)")
    parser.add_argument("--base", type=Path, required=True, help="checkpoint folder")
    parser.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="split by source (CSV)")
    parser.add_argument("--writer", type=Path, help="checkpoint folder of a language model; without one, OPRO is left out")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--stimuli", type=int, default=120)
    parser.add_argument("--development", type=int, default=400)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    index, split = read_table(args.index, STIMULI), read_table(args.split, SPLIT)
    draws = [draw_stimuli(index, split, "train", args.stimuli, 1, "benchmark", seed) for seed in range(args.seeds)]
    development = draw_stimuli(index, split, "dev", args.development, 1, "benchmark")
    test = draw_stimuli(index, split, "test", args.test, 1, "benchmark")
    prompt = Prompt("Does this sound contain human speech?")
    checkpoint = load_checkpoint(args.base)
    device = checkpoint.model.lm_head.weight.device
    wanted = {name for draw in (*draws, development, test) for name in draw.ids}
    ask = Questioner(checkpoint, args.features, wanted, prompt, Batches(None, device))
    proposers: dict[str, Proposer] = {"edits": Edits(prompt.question), "paraphrases": Paraphrases(prompt.question)}
    if args.writer is not None:
        proposers["opro"] = Opro(load_writer(args.writer, "none", device), SETTINGS.most_characters)

    rows = []
    for name, proposer in proposers.items():
        for seed, draw in enumerate(draws):

            def rng_of(iteration: int, name: str = name, seed: int = seed) -> np.random.Generator:
                return stream(1, "benchmark", name, seed, iteration)

            started = time.perf_counter()
            found = search(proposer, ask, draw, development, prompt.question, DIRECT_QUESTIONS, SETTINGS, ask.special_tokens, rng_of)
            seconds = time.perf_counter() - started
            complete = [trial for trial in found.trials if len(trial.log_odds) == len(draw.ids)]
            scores = [measure(trial.log_odds, draw.speech)[0] for trial in complete]
            chosen = found.trials[found.best]
            tested = [measure(row, test.speech)[0] for row in ask([prompt.question, chosen.question], test.ids)] if found.best else [0.0, 0.0]
            answers = sum(len(trial.log_odds) + len(trial.development) for trial in found.trials)
            rows.append([name, len(found.trials), answers, max(scores) - scores[0], found.optimism, tested[1] - tested[0], seconds])
    columns = ["proposer", "questions", "answers", "best on the search's stimuli", "expected of equal questions", "chosen, on test", "seconds"]
    table = pd.DataFrame(rows, columns=columns)
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for name, group in table.groupby("proposer", sort=False):
        mean, deviation = group.mean(numeric_only=True), group.std(numeric_only=True)
        gains = [f"{100 * mean[column]:+.2f} ± {100 * deviation[column]:.2f}" for column in columns[3:6]]
        print(f"| {name} | {mean.questions:.1f} | {mean.answers:,.0f} | {' | '.join(gains)} | {mean.seconds:.1f} |")


if __name__ == "__main__":
    main()
