"""Prompt search: proposers at equal budget, and time and memory at full size. Prints Markdown tables."""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from engine import peak_gib, release, row, seconds, stimuli, table
from full_size import WRITER, write_full_size, write_writer
from transformers import AutoModelForCausalLM, AutoTokenizer

from earwitness.core.randomness import stream
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.features import encode_waveforms
from earwitness.model.engine.loading import Memory, load_model
from earwitness.model.engine.prompting import Prompt
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.families.tiny.qwen2_audio import build_model, build_processor
from earwitness.model.identity import identified
from earwitness.model.prediction import StimulusSource, from_features
from earwitness.model.prediction_jobs import available_devices
from earwitness.model.tiny_base_questions import training_texts
from earwitness.prompt_search.edits import DIRECT_QUESTIONS, Edits, Grammar, Paraphrases, text_of
from earwitness.prompt_search.model_switch import ModelSwitch
from earwitness.prompt_search.opro import NEW_TOKENS, SHOWN, Opro, load_writer, request_for
from earwitness.prompt_search.proposers import Proposer, ScoredQuestion
from earwitness.prompt_search.question_scorer import QuestionScorer
from earwitness.prompt_search.search import QuestionLimits, SearchSettings, SearchTask, accuracy_and_margin, search
from earwitness.prompt_search.stimulus_sampling import sample_stimuli
from earwitness.tables.files import read_table
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI

SETTINGS = SearchSettings(iterations=5, candidates=8, finalists=4)
MOST_CHARACTERS = 500
PROMPT = Prompt("Does this sound contain human speech?")
SMALL_WRITER: dict[str, Any] = WRITER | {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 4096,
}
TINY_WRITER = SMALL_WRITER | {"hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 640}
N_QUESTIONS, N_STIMULI = 40, 120


def compare_proposers(args: argparse.Namespace) -> None:
    """What each proposer finds on its own stimuli, and what is left of it on test sources."""
    index, split = read_table(args.index, STIMULI), read_table(args.split, SPLIT)
    draws = [sample_stimuli(index, split, "train", args.stimuli, 1, "benchmark", seed) for seed in range(args.seeds)]
    development = sample_stimuli(index, split, "dev", args.development, 1, "benchmark")
    test = sample_stimuli(index, split, "test", args.test, 1, "benchmark")
    loaded = load_model(identified(args.base))
    device = loaded.device
    wanted = {name for draw in (*draws, development, test) for name in draw.ids}
    ask = QuestionScorer(lambda: loaded, lambda model: from_features(model, args.features), wanted, PROMPT, Batches(None, device))
    proposers: dict[str, Proposer] = {"edits": Edits(PROMPT.question), "paraphrases": Paraphrases(PROMPT.question)}
    if args.writer is not None:
        proposers["opro"] = Opro(load_writer(args.writer, "none", device), MOST_CHARACTERS)

    rows = []
    for name, proposer in proposers.items():
        for seed, draw in enumerate(draws):

            def rng_of(iteration: int, name: str = name, seed: int = seed) -> np.random.Generator:
                return stream(1, "benchmark", name, seed, iteration)

            started = time.perf_counter()
            task = SearchTask(PROMPT.question, DIRECT_QUESTIONS, draw, development, QuestionLimits(MOST_CHARACTERS, ask.special_tokens))
            found = search(task, proposer, ask, SETTINGS, rng_of)
            elapsed = time.perf_counter() - started
            complete = [trial for trial in found.trials if len(trial.log_odds) == len(draw.ids)]
            scores = [accuracy_and_margin(trial.log_odds, draw.speech)[0] for trial in complete]
            chosen = found.chosen
            tested = (
                [accuracy_and_margin(answers, test.speech)[0] for answers in ask([PROMPT.question, chosen.question], test.ids)]
                if found.best
                else [0.0, 0.0]
            )
            n_answers = sum(len(trial.log_odds) + len(trial.development) for trial in found.trials)
            rows.append([name, len(found.trials), n_answers, max(scores) - scores[0], found.optimism, tested[1] - tested[0], elapsed])
            print(*rows[-1], file=sys.stderr, flush=True)
    columns = ["proposer", "questions", "answers", "best on the search's stimuli", "expected of equal questions", "chosen, on test", "seconds"]
    table(*columns)
    for name, group in pd.DataFrame(rows, columns=columns).groupby("proposer", sort=False):
        mean, deviation = group.mean(numeric_only=True), group.std(numeric_only=True)
        gains = [f"{100 * mean[column]:+.2f} ± {100 * deviation[column]:.2f}" for column in columns[3:6]]
        row(name, f"{mean.questions:.1f}", f"{mean.answers:,.0f}", *gains, f"{mean.seconds:.1f}")


def train_writer(args: argparse.Namespace) -> None:
    """Train a tiny language model from scratch to answer OPRO's requests with questions of the grammar, whatever the scores say."""
    grammar = Grammar(PROMPT.question)
    texts = [text_of(((slot, phrase),)) for slot, phrases in grammar.phrases.items() for phrase in phrases]
    request = request_for([ScoredQuestion(text, 0.7, 0.0, 1.0, N_STIMULI) for text in texts[:SHOWN]], MOST_CHARACTERS)
    write_writer(args.folder, [*texts, request], TINY_WRITER, torch.device("cpu"))
    tokenizer = AutoTokenizer.from_pretrained(args.folder, trust_remote_code=False)
    model = AutoModelForCausalLM.from_pretrained(args.folder, dtype=torch.float32, trust_remote_code=False).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, args.rate, total_steps=args.steps)
    for step in range(args.steps):
        losses = []
        for place in range(args.rows):
            rng = stream(1, "benchmark", "writer", step, place)
            drawn = [text_of(grammar.draw(rng, list(grammar.phrases))) for _ in range(int(rng.integers(5, SHOWN + 2)))]
            history = [ScoredQuestion(text, 0.7, float(rng.normal(0, 0.03)), 1.0, N_STIMULI) for text in drawn[1:]]
            turn = {"role": "user", "content": request_for(history, MOST_CHARACTERS)}
            asked = tokenizer.apply_chat_template([turn], add_generation_prompt=True, return_dict=True)["input_ids"]
            answer = tokenizer.encode(f"<INS>{drawn[0]}</INS><|im_end|>")
            labels = torch.tensor([[-100] * len(asked) + answer])
            losses.append(model(input_ids=torch.tensor([asked + answer]), labels=labels).loss / args.rows)
            losses[-1].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        if step % 50 == 49:
            print(f"step {step + 1}: loss {sum(loss.item() for loss in losses):.3f}", flush=True)
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids("<|im_end|>")
    model.save_pretrained(args.folder)


def full_size(args: argparse.Namespace) -> None:
    """Memory and time of the language model that proposes and of the audio model that is asked, of random weights."""
    device = available_devices()[0]
    # On a CPU, bitsandbytes takes only some shapes.
    quantised = "none" if args.small else "nf4"
    questions = drawn_questions(N_QUESTIONS)
    request = request_for([ScoredQuestion(question, 0.7, k / 1000, 1.0, N_STIMULI) for k, question in enumerate(questions[:SHOWN])], MOST_CHARACTERS)
    print(f"{torch.cuda.get_device_name() if device.type == 'cuda' else 'CPU'}; torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as temporary:
        audio, writer = Path(temporary) / "audio", Path(temporary) / "writer"
        if args.small:
            processor = build_processor(training_texts())
            build_model(processor).save_pretrained(audio)
            processor.save_pretrained(audio)
            write_writer(writer, [request], SMALL_WRITER, device)
        else:
            write_full_size(audio)
            write_writer(writer, [request])
        time_writer(writer, request, device, [quantised, "none"], args.repeats)
        time_sweep(audio, questions, device, [(quantised, "fast"), (quantised, "compact"), ("none", "fast")], args.repeats)
        time_turns(audio, writer, request, questions[: SETTINGS.candidates], device, quantised, args.repeats)


def drawn_questions(count: int) -> list[str]:
    """Different questions of the grammar, as long as those that a search asks."""
    grammar, rng = Grammar(PROMPT.question), stream(1, "benchmark", "questions")
    drawn: dict[str, None] = {}
    while len(drawn) < count:
        drawn[text_of(grammar.draw(rng, list(grammar.phrases)))] = None
    return list(drawn)


def time_writer(folder: Path, request: str, device: torch.device, quantisations: list[str], repeats: int) -> None:
    length = len(build_processor([request]).tokenizer.encode(request))
    print(f"\nThe language model: {SETTINGS.candidates} candidates of {NEW_TOKENS} tokens for one request of {length} tokens")
    table("weights", "seconds to load", "GiB loaded", "peak GiB", "seconds to write", "spread")
    for quantisation in dict.fromkeys(quantisations):
        release()
        started = time.perf_counter()
        write = load_writer(folder, quantisation, device)
        loaded, held = time.perf_counter() - started, held_gib()
        times = seconds(lambda write=write: write(request, SETTINGS.candidates, 1), repeats)
        row(quantisation, loaded, held, peak_gib(), statistics.median(times), f"{min(times):.2f}-{max(times):.2f}")
        del write


def time_sweep(folder: Path, questions: list[str], device: torch.device, variants: list[tuple[str, Memory]], repeats: int) -> None:
    print(f"\nThe audio model: {len(questions)} questions about {N_STIMULI} stimuli of 1 s, the letters in both orders")
    table("weights", "memory", "seconds to load and hear", "peak GiB", "seconds to ask", "spread", "ms per answer")
    for quantisation, memory in dict.fromkeys(variants):
        release()
        started = time.perf_counter()
        loaded = load_model(identified(folder), quantisation, device, memory)
        ask, names = questioner(lambda loaded=loaded: loaded, device, memory)
        loaded = time.perf_counter() - started
        times = seconds(lambda ask=ask, names=names: ask(questions, names), repeats)
        middle = statistics.median(times)
        row(quantisation, memory, loaded, peak_gib(), middle, f"{min(times):.2f}-{max(times):.2f}", 1000 * middle / len(questions) / len(names))
        del ask, loaded


def time_turns(audio: Path, writer: Path, request: str, questions: list[str], device: torch.device, quantisation: str, repeats: int) -> None:
    """One iteration of a search with compact memory: the models are loaded by turns."""
    release()
    switch = ModelSwitch(one_at_a_time=True)
    ask, names = questioner(lambda: switch.get("audio", lambda: load_model(identified(audio), quantisation, device, "compact")), device, "compact")

    def iteration() -> None:
        switch.get("writer", lambda: load_writer(writer, quantisation, device))(request, len(questions), 1)
        ask(questions, names)

    times = seconds(iteration, repeats)
    print(f"\nOne iteration with compact memory, weights {quantisation}, both models loaded by turns")
    table("peak GiB", "seconds", "spread")
    row(peak_gib(), statistics.median(times), f"{min(times):.2f}-{max(times):.2f}")


def questioner(model: Callable[[], LoadedModel], device: torch.device, memory: Memory) -> tuple[QuestionScorer, list[str]]:
    """Who asks about noise of 1 s, and the names of the stimuli."""
    names = [f"{k:03d}" for k in range(N_STIMULI)]
    noise = stimuli(N_STIMULI, 1.0)

    def sounds(loaded: LoadedModel) -> StimulusSource:
        return StimulusSource(lambda only: iter([(names, noise)]), lambda waveforms: encode_waveforms(loaded, waveforms))

    return QuestionScorer(model, sounds, set(names), PROMPT, Batches(None, device, memory)), names


def held_gib() -> float:
    return torch.cuda.memory_allocated() / 2**30 if torch.cuda.is_available() else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    proposers = commands.add_parser("proposers", help=compare_proposers.__doc__)
    proposers.set_defaults(run=compare_proposers)
    proposers.add_argument("features", type=Path, nargs="+", help="stimuli encoded by the base model (Parquet)")
    proposers.add_argument("--base", type=Path, required=True, help="checkpoint folder")
    proposers.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    proposers.add_argument("--split", type=Path, required=True, help="split by source (CSV)")
    proposers.add_argument("--writer", type=Path, help="checkpoint folder of a language model; without one, OPRO is left out")
    proposers.add_argument("--seeds", type=int, default=5)
    proposers.add_argument("--stimuli", type=int, default=120)
    proposers.add_argument("--development", type=int, default=400)
    proposers.add_argument("--test", type=int, default=1000)
    writer = commands.add_parser("writer", help=train_writer.__doc__)
    writer.set_defaults(run=train_writer)
    writer.add_argument("folder", type=Path, help="where the language model goes")
    writer.add_argument("--steps", type=int, default=300)
    writer.add_argument("--rows", type=int, default=8, help="requests per step")
    writer.add_argument("--rate", type=float, default=3e-3, help="peak of the learning rate")
    size = commands.add_parser("full-size", help=full_size.__doc__)
    size.set_defaults(run=full_size)
    size.add_argument("--small", action="store_true", help="small models, to try this program on any machine")
    size.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.run(args)


if __name__ == "__main__":
    main()
