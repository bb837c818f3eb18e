"""What scoring and training cost with other families, beside the library's own way in the same run.

On a GPU: checkpoints of the published sizes with random weights, built from their configurations; nothing is downloaded. With --tiny, on any
device: tiny ones, to see that it runs. Prints Markdown tables.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from engine import PROMPT, engine, peak_gib, release, row, seconds, stimuli, table, train_once
from family_checkpoints import LIBRARY_FEATURES, TINY, WRITE, Size
from recipe import RECIPE

from earwitness.model.engine.adapters import attach_adapter
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.loading import load_model
from earwitness.model.engine.prompting import tokenise
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.families.registry import FAMILIES
from earwitness.model.identity import identified

STOCK_ROWS = 4
"""Rows per pass of the library's training: what it keeps of 30 s for each fills the memory."""


def stock_inputs(kind: str, loaded: LoadedModel, waveforms: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
    """A batch of sounds of one length with the prompt, as the library's own forward pass takes it."""
    order = tokenise(loaded, PROMPT)[0]
    ids = torch.tensor([[*order.before, *[loaded.model.config.audio_token_id] * loaded.n_tokens(len(waveforms[0])), *order.after]])
    ids = ids.repeat(len(waveforms), 1)
    given = LIBRARY_FEATURES[kind](loaded, waveforms) | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return {name: value.to(loaded.device, loaded.head.weight.dtype if value.is_floating_point() else None) for name, value in given.items()}


@torch.inference_mode()
def stock_generate(kind: str, loaded: LoadedModel, waveforms: Sequence[np.ndarray]) -> None:
    generate: Any = loaded.model.generate
    for waveform in waveforms:
        generate(**stock_inputs(kind, loaded, [waveform]), max_new_tokens=4, min_new_tokens=4, do_sample=False, pad_token_id=0)


@torch.inference_mode()
def stock_log_odds(kind: str, loaded: LoadedModel, waveforms: Sequence[np.ndarray]) -> np.ndarray:
    order = tokenise(loaded, PROMPT)[0]
    logits = loaded.model(**stock_inputs(kind, loaded, waveforms)).logits[:, -1].float()
    return (logits[:, order.speech[0]] - logits[:, order.nonspeech[0]]).cpu().numpy()


def stock_training(kind: str, folder: Path, steps: int) -> list[float]:
    """Milliseconds per stimulus of each step but the first: the published scope by the library's own forward pass and loss."""
    loaded = load_model(identified(folder))
    wrapped = attach_adapter(loaded, RECIPE["target_modules"], "published", RECIPE["rank"], RECIPE["alpha"], RECIPE["dropout"]).train()
    trainable = [parameter for parameter in wrapped.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trainable, lr=RECIPE["learning_rate"])
    waveforms, size = stimuli(RECIPE["batch_size"], 1.0), RECIPE["batch_size"]
    answer = tokenise(loaded, PROMPT)[0].speech[0]

    def step() -> None:
        for start in range(0, size, STOCK_ROWS):
            inputs = stock_inputs(kind, loaded, waveforms[start : start + STOCK_ROWS])
            ids = torch.cat([inputs["input_ids"], torch.full_like(inputs["input_ids"][:, :1], answer)], dim=1)
            labels = torch.full_like(ids, -100)
            labels[:, -1] = answer
            (wrapped(**inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, labels=labels).loss * STOCK_ROWS / size).backward()
        torch.nn.utils.clip_grad_norm_(trainable, RECIPE["max_gradient_norm"])
        optimiser.step()
        optimiser.zero_grad()

    return [1000 * elapsed / size for elapsed in seconds(step, steps)]


def score_benchmark(kind: str, folder: Path, count: int, repeats: int) -> None:
    loaded = load_model(identified(folder))
    waveforms, few = stimuli(count, 1.0), stimuli(4, 1.0)
    together = waveforms[:32]
    table("scoring, 1 s", "ms per stimulus", "spread of repeats", "times faster than generate()", "peak GiB")
    batches = {orders: Batches(None, loaded.device) for orders in (1, 2)}
    routes = (
        ("processor and generate(), batch 1", lambda: stock_generate(kind, loaded, few), len(few)),
        (f"one forward pass of the library, batch {len(together)}", lambda: stock_log_odds(kind, loaded, together), len(together)),
        ("engine, one option order", lambda: engine(loaded, waveforms, batches[1], 1), count),
        ("engine, both option orders", lambda: engine(loaded, waveforms, batches[2], 2), count),
    )
    reference = None
    for name, work, size in routes:
        release()
        times = [1000 * elapsed / size for elapsed in seconds(work, repeats)]
        middle = statistics.median(times)
        reference = reference or middle
        row(name, middle, f"{min(times):.2f}-{max(times):.2f}", reference / middle, peak_gib())
    theirs = stock_log_odds(kind, loaded, together)
    ours = engine(loaded, together, Batches(len(together), loaded.device), 1)
    apart = np.abs(theirs - ours).max()
    print(f"log-odds of the library and of the engine differ by {apart:.4f} at most; among stimuli they spread by {theirs.std():.4f}")


def training_benchmark(kind: str, folder: Path, steps: int) -> None:
    table("training, 16 stimuli of 1 s a step, attention, rank 16", "ms per stimulus", "spread of steps", "peak GiB, loading included")
    release()
    times = stock_training(kind, folder, steps)
    spread = f"{min(times):.1f}-{max(times):.1f}"
    row(f"the library's forward and backward pass, {STOCK_ROWS} rows a pass", statistics.median(times), spread, peak_gib())
    for scope in ("published", "language_model"):
        release()
        measured, _ = train_once(folder, "none", scope, "fast", steps + 5)
        row(f"engine, scope {scope}", float(np.median(measured)), f"{measured.min():.1f}-{measured.max():.1f}", peak_gib())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", nargs="+", default=["audioflamingo3", "voxtral"], choices=list(FAMILIES), help="by their model_type")
    parser.add_argument("--tiny", action="store_true", help="tiny checkpoints, on any device")
    parser.add_argument("--stimuli", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()

    on_gpu = torch.cuda.is_available()
    if not on_gpu:
        torch.set_num_threads(1)
    if not on_gpu and not args.tiny:
        parser.error("checkpoints of the published sizes need a CUDA GPU; pass --tiny")
    print(f"{torch.cuda.get_device_name() if on_gpu else 'CPU, one thread'}; torch {torch.__version__}")
    for kind in args.families:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            WRITE[kind](folder, TINY if args.tiny else Size(), torch.device("cuda" if on_gpu else "cpu"))
            gigabytes = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e9
            print(f"\n{FAMILIES[kind].name}: {gigabytes:.1f} GB of weights")
            score_benchmark(kind, folder, args.stimuli, args.repeats)
            release()
            training_benchmark(kind, folder, args.repeats)
            release()


if __name__ == "__main__":
    main()
