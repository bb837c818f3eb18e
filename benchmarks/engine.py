"""How fast the engine is, against the library's own way, in one run.

On a GPU: the full-size architecture with random weights, built from its configuration; nothing is downloaded. On a CPU:
a checkpoint folder, such as the tiny base. Prints Markdown tables.
"""

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from full_size import write_full_size
from recipe import RECIPE

from earwitness.audio.io import SAMPLE_RATE
from earwitness.model.engine.adapters import adapted, attach_adapter
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.features import encode_waveforms
from earwitness.model.engine.loading import Memory, load_model
from earwitness.model.engine.prompting import Prompt, tokenise
from earwitness.model.engine.scoring import Scorer
from earwitness.model.families.loaded_model import LORA_MATRIX, LoadedModel, Scope
from earwitness.model.finetuning import TrainingBatch, train_adapter, training_set
from earwitness.model.identity import identified
from earwitness.model.prediction import StimulusSource
from earwitness.model.tiny_base_questions import QUESTIONS
from earwitness.runtime.saved_state import SavedState

PROMPT = Prompt(QUESTIONS[0])
WINDOW_S = 1.2
"""Of the studies' stimuli."""


def release() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def stimuli(count: int, seconds: float) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [(0.1 * rng.standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32) for _ in range(count)]


def seconds(work: Callable[[], Any], repeats: int) -> list[float]:
    """Wall time of each repeat after one that warms up."""
    times = []
    for repeat in range(repeats + 1):
        synchronise()
        started = time.perf_counter()
        work()
        synchronise()
        if repeat:
            times.append(time.perf_counter() - started)
    return times


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_gib() -> float:
    return torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else float("nan")


def row(*cells: object) -> None:
    print("| " + " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |", flush=True)


def table(*heads: str) -> None:
    print()
    row(*heads)
    row(*["---"] + ["---:"] * (len(heads) - 1))


def matrix_product_ceiling() -> float:
    """TFLOP/s of a large bfloat16 matrix product on this device."""
    left, right = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2 * 8192**3 / statistics.median(seconds(lambda: left @ right, 20)) / 1e12


def stock_inputs(loaded: LoadedModel, waveforms: Sequence[np.ndarray]) -> dict[str, Any]:
    """What the library's processor makes of the prompt and the sounds, for its own audio path."""
    processor, order = loaded.processor, tokenise(loaded, PROMPT)[0]
    decode = processor.tokenizer.decode
    text = decode(order.before) + processor.audio_token + decode(order.after)
    inputs = processor(text=[text] * len(waveforms), audio=list(waveforms), sampling_rate=SAMPLE_RATE, return_tensors="pt", padding=True)
    return {name: tensor.to(loaded.device) for name, tensor in inputs.items()}


@torch.inference_mode()
def stock_generate(loaded: LoadedModel, waveforms: Sequence[np.ndarray]) -> None:
    generate: Any = loaded.model.generate
    generate(**stock_inputs(loaded, waveforms), max_new_tokens=4, min_new_tokens=4, do_sample=False)


@torch.inference_mode()
def stock_forward(loaded: LoadedModel, waveforms: Sequence[np.ndarray]) -> np.ndarray:
    logits = loaded.model(**stock_inputs(loaded, waveforms)).logits[:, -1].float().log_softmax(-1)
    order = tokenise(loaded, PROMPT)[0]
    return (logits[:, order.speech[0]] - logits[:, order.nonspeech[0]]).cpu().numpy()


def engine(loaded: LoadedModel, waveforms: Sequence[np.ndarray], batches: Batches, orders: int) -> np.ndarray:
    scorer = Scorer(loaded, [tokenise(loaded, PROMPT)[:orders]])
    return np.concatenate([scores[0].log_odds for scores in batches.run(lambda batch: scorer(encode_waveforms(loaded, batch)), waveforms)])


def score_benchmark(nf4: LoadedModel | None, fast: LoadedModel, count: int, repeats: int) -> None:
    waveforms = stimuli(count, WINDOW_S)
    device = fast.device
    before, after = (len(part) for part in (tokenise(fast, PROMPT)[0].before, tokenise(fast, PROMPT)[0].after))
    print(f"\nScoring: windows of {WINDOW_S} s; {before} + {fast.n_tokens(len(waveforms[0]))} + {after} tokens")
    table("route", "ms per stimulus", "spread of repeats", "times faster than the naive route", "peak GiB")
    naive = nf4 or fast
    routes: list[tuple[str, Callable[[], Any], int]] = []
    few = waveforms[: 8 if nf4 else 4]
    routes.append(("stock processor and generate(), batch 1", lambda: [stock_generate(naive, [waveform]) for waveform in few], len(few)))
    routes.append(("stock forward, batch 32", lambda: stock_forward(naive, waveforms[:32]), 32))
    batches = {orders: Batches(None, device) for orders in (1, 2)}
    for orders in (1, 2):
        name = f"engine, {'one option order' if orders == 1 else 'both option orders'}"
        routes.append((name, lambda orders=orders: engine(fast, waveforms, batches[orders], orders), len(waveforms)))
    reference = None
    for name, work, size in routes:
        release()
        times = [1000 * elapsed / size for elapsed in seconds(work, repeats)]
        middle = statistics.median(times)
        reference = reference or middle
        row(name, middle, f"{min(times):.2f}-{max(times):.2f}", reference / middle, peak_gib())
    print(f"batches that the engine chose by measuring: {batches[1].size} in one order, {batches[2].size} in both")


def parts_benchmark(fast: LoadedModel, ceiling: float, repeats: int, batch: int) -> None:
    """Where the time goes, and what share of the ceiling each part reaches."""
    waveforms = stimuli(batch, WINDOW_S)
    audio = encode_waveforms(fast, waveforms)
    order = tokenise(fast, PROMPT)[0]
    scorer = Scorer(fast, [[order]])
    table("part", "ms per stimulus", "GFLOP per stimulus", "share of the ceiling")
    linear, tower = (
        sum(module.in_features * module.out_features for module in part.modules() if isinstance(module, torch.nn.Linear))
        for part in (fast.language_model, fast.tower)
    )
    tokens = audio.n_tokens[0] + len(order.after)
    for name, work, gflop in (
        ("features and tower", lambda: encode_waveforms(fast, waveforms), 2 * tower * 50 / 1e9),
        (f"language model on {tokens} tokens", lambda: scorer(audio), (2 * linear * tokens + 2 * fast.head.weight.numel()) / 1e9),
    ):
        elapsed = statistics.median(seconds(work, repeats)) / batch
        row(name, 1000 * elapsed, gflop, gflop / 1000 / elapsed / ceiling)


def sweep_benchmark(fast: LoadedModel, n_prompts: int, n_stimuli: int, repeats: int) -> None:
    questions = [f"{QUESTIONS[k % len(QUESTIONS)]} Attempt {k}." for k in range(n_prompts)]
    waveforms = stimuli(n_stimuli, WINDOW_S)
    both = [tokenise(fast, Prompt(question)) for question in questions]
    for name, prompts in (("one option order", [orders[:1] for orders in both]), ("both option orders", both)):
        length = statistics.mean(len(order.after) for orders in prompts for order in orders)
        print(f"\nSweep: {n_prompts} prompts x {n_stimuli} stimuli, {name}, {length:.0f} tokens after the sound")
        table("route", "ms per (prompt, stimulus)", "seconds in all", "largest difference in log-odds")

        def separate(prompts: Sequence[Any] = prompts) -> list[np.ndarray]:
            return [Scorer(fast, [orders])(encode_waveforms(fast, waveforms))[0].log_odds for orders in prompts]

        def sweep(prompts: Sequence[Any] = prompts) -> list[np.ndarray]:
            return [scores.log_odds for scores in Scorer(fast, prompts)(encode_waveforms(fast, waveforms))]

        difference = float(np.abs(np.array(separate()) - np.array(sweep())).max())
        for route, work in (("a pass per prompt", separate), ("one sweep", sweep)):
            elapsed = statistics.median(seconds(work, repeats))
            row(route, 1000 * elapsed / n_prompts / n_stimuli, elapsed, difference)


def adapter_benchmark(fast: LoadedModel, count: int, repeats: int) -> None:
    """What an adapter costs when it is asked, merged into the weights and apart from them, and how far the answers agree."""
    waveforms = stimuli(count, WINDOW_S)
    size = Batches(None, fast.device)
    answers = {"the base": engine(fast, waveforms, size, 2)}
    print(f"\nAdapters of {RECIPE['target_modules']}, rank {RECIPE['rank']}, asked in both option orders, batches of {size.size}")
    table("route", "ms per stimulus", "times the base's", "peak GiB")
    base = statistics.median(seconds(lambda: engine(fast, waveforms, size, 2), repeats))
    row("the base", 1000 * base / count, 1.0, peak_gib())
    with tempfile.TemporaryDirectory() as folder:
        save_random_adapter(fast, Path(folder))
        for name, merge in (("adapter, products apart", False), ("adapter, merged", True)):
            with adapted(fast, Path(folder), merge) as asked:
                answers[name] = engine(asked, waveforms, size, 2)
                elapsed = statistics.median(seconds(lambda asked=asked: engine(asked, waveforms, size, 2), repeats))
            row(name, 1000 * elapsed / count, elapsed / base, peak_gib())
    agreement_benchmark({name: answers[name] for name in ("adapter, products apart", "adapter, merged", "the base")})


def save_random_adapter(loaded: LoadedModel, folder: Path) -> None:
    """An adapter of the recipe's shape whose matrices are drawn."""
    torch.manual_seed(1)
    wrapped = attach_adapter(loaded, RECIPE["target_modules"], "published", RECIPE["rank"], RECIPE["alpha"], 0.0)
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    wrapped.save_pretrained(str(folder))
    wrapped.unload()


def training_benchmark(folder: Path, quantisation: str, memories: Sequence[Memory], steps: int) -> None:
    print(f"\nTraining: batches of 16 windows of {WINDOW_S} s, attention projections, rank 16")
    table("scope", "memory", "ms per stimulus", "spread of steps", "peak GiB, loading included", "last loss")
    for scope in ("published", "language_model"):
        for memory in memories:
            release()
            times, loss = train_once(folder, quantisation, scope, memory, steps)
            row(scope, memory, float(np.median(times)), f"{times.min():.1f}-{times.max():.1f}", peak_gib(), loss)


def train_once(folder: Path, quantisation: str, scope: Scope, memory: Memory, steps: int) -> tuple[np.ndarray, float]:
    """Milliseconds per stimulus of each step but the first, and the last loss."""
    loaded = load_model(identified(folder), quantisation, memory=memory)
    times, _, loss = train(loaded, scope, memory, steps)
    return times, loss


def train(loaded: LoadedModel, scope: Scope, memory: Memory, steps: int, window_s: float = WINDOW_S) -> tuple[np.ndarray, bytes, float]:
    """Train an adapter on a loaded base, which it then has: milliseconds per stimulus of each step but the first, weights, last loss.

    A step begins where the processor has begun it; nobody waits for the GPU, which is a step behind at most.
    """
    waveforms = stimuli(64, window_s)
    items = waveforms if scope == "published" else vectors_of(loaded, waveforms)
    names = [str(place) for place in range(len(items))]
    sounds = StimulusSource(lambda _: iter([(names, list(items))]), lambda _: encode_waveforms(loaded, waveforms))
    split = pd.DataFrame({"stimulus_id": names, "label": ["SPEECH", "NONSPEECH"] * (len(names) // 2), "part": "train"})
    starts: list[float] = []
    data = training_set(loaded, sounds, split, scope)
    rows_per_step = RECIPE["batch_size"]

    def timed(chosen: np.ndarray) -> TrainingBatch:
        starts.extend([time.perf_counter()] * len(chosen))
        return data.collect(chosen)

    with tempfile.TemporaryDirectory() as state:
        resume = SavedState(Path(state) / "state", {})
        recipe = {**RECIPE, "scope": scope, "steps": steps}
        model, history = train_adapter(loaded, replace(data, collect=timed), PROMPT, recipe, 3, resume, memory)
    times = np.diff(starts[::rows_per_step])[1:] * 1000 / rows_per_step
    weights = b"".join(weight.detach().cpu().numpy().tobytes() for name, weight in model.named_parameters() if LORA_MATRIX in name)
    return times, weights, float(history.loss.iloc[-1])


def vectors_of(loaded: LoadedModel, waveforms: Sequence[np.ndarray]) -> list[torch.Tensor]:
    audio = encode_waveforms(loaded, waveforms)
    return [row[:n].clone() for row, n in zip(audio.vectors.cpu(), audio.n_tokens, strict=True)]


def agreement_benchmark(references: dict[str, np.ndarray]) -> None:
    """How far the answers of one model's variants are from each other."""
    [(first, base), *others] = references.items()
    table("variant", f"same answer as {first}", "median difference in log-odds", "largest", "spread of log-odds")
    for name, values in others:
        difference = np.abs(values - base)
        row(name, f"{100 * np.mean((values > 0) == (base > 0)):.1f} %", float(np.median(difference)), float(difference.max()), float(base.std()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, help="checkpoint folder; without it, the full-size architecture with random weights (CUDA)")
    parser.add_argument("--quantisation", choices=["none", "nf4"], help="nf4 without --base, else none")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--stimuli", type=int, default=2048)
    parser.add_argument("--only", nargs="*", default=["score", "sweep", "adapters", "train", "agree"], help="which parts")
    parser.add_argument("--tiny", type=Path, help="a small checkpoint whose answers on CPU and GPU are compared")
    args = parser.parse_args()

    on_gpu = torch.cuda.is_available()
    if not on_gpu:
        torch.set_num_threads(1)
    print(f"{torch.cuda.get_device_name() if on_gpu else 'CPU, one thread'}; torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.base
        if folder is None:
            folder = Path(temporary) / "full"
            write_full_size(folder)
        quantised = on_gpu and (args.base is None or args.quantisation == "nf4")
        started = time.perf_counter()
        fast = load_model(identified(folder), "nf4" if quantised else "none")
        print(f"loaded in {time.perf_counter() - started:.1f} s, {peak_gib():.1f} GiB at most")
        if "score" in args.only:
            nf4 = load_model(identified(folder), "nf4", memory="compact") if quantised else None
            if nf4 is not None:
                nf4.model.get_input_embeddings().to("cuda")
            score_benchmark(nf4, fast, args.stimuli, args.repeats)
            del nf4
            release()
            if on_gpu:
                ceiling = matrix_product_ceiling()
                print(f"\nA large bfloat16 matrix product reaches {ceiling:.0f} TFLOP/s")
                parts_benchmark(fast, ceiling, args.repeats, 256)
        if "sweep" in args.only:
            sweep_benchmark(fast, 40, 120, args.repeats)
        if "adapters" in args.only:
            adapter_benchmark(fast, args.stimuli, args.repeats)
        if "agree" in args.only and on_gpu:
            waveforms = stimuli(256, WINDOW_S)
            device = fast.device
            answers = {
                "NF4, dequantised": engine(fast, waveforms, Batches(64, device), 2),
                "the same, batches of 128": engine(fast, waveforms, Batches(128, device), 2),
            }
            del fast
            release()
            fast = load_model(identified(folder), "nf4" if quantised else "none", memory="compact")
            answers["NF4, kept in 4 bits"] = engine(fast, waveforms, Batches(64, device), 2)
            del fast
            release()
            fast = load_model(identified(folder))
            answers["bfloat16"] = engine(fast, waveforms, Batches(64, device), 2)
            agreement_benchmark(answers)
            if args.tiny:
                places = [torch.device("cpu"), torch.device("cuda")]
                small = [engine(load_model(identified(args.tiny), device=place), waveforms, Batches(64, place), 2) for place in places]
                agreement_benchmark(dict(zip(["CPU", "GPU"], small, strict=True)))
        if "train" in args.only:
            del fast
            release()
            training_benchmark(folder, "nf4" if quantised else "none", ["fast", "compact"] if on_gpu else ["fast"], 12)


if __name__ == "__main__":
    main()
