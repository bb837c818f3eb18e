"""What a full-size base takes on cards of several sizes: one large card whose memory is limited to theirs. Prints a Markdown table."""

import argparse
from pathlib import Path

import numpy as np
import torch
from engine import PROMPT, release, row, seconds, stimuli, table, train

from earwitness.core.errors import InputError
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.features import encode_waveforms
from earwitness.model.engine.loading import Memory, load_model
from earwitness.model.engine.prompting import tokenise
from earwitness.model.engine.scoring import Scorer
from earwitness.model.identity import ModelFolder, identified
from earwitness.runtime.determinism import compute_deterministically, reserve_workspace

CONTEXT_BYTES = 2**29
"""What CUDA itself takes of a card before torch does."""


def measure(base: ModelFolder, gib: float, memory: Memory, steps: int, count: int) -> None:
    """One line: how the base is held, how long it takes, and the most that was reserved."""
    total = torch.cuda.get_device_properties(0).total_memory
    release()
    torch.cuda.set_per_process_memory_fraction(min(1.0, (gib * 2**30 - CONTEXT_BYTES) / total))
    torch.cuda.reset_peak_memory_stats()
    try:
        loaded = load_model(base, "nf4", memory=memory)
    except (torch.OutOfMemoryError, InputError):
        return row(gib, memory, "does not fit", "", "", "")
    linear = [type(module).__name__ for module in loaded.language_model.modules() if isinstance(module, torch.nn.Linear)]
    batches = Batches(None, loaded.device, memory)
    scorer, waveforms = Scorer(loaded, [tokenise(loaded, PROMPT)]), stimuli(count, 1.0)
    torch.use_deterministic_algorithms(False)
    asking = min(seconds(lambda: batches.run(lambda batch: scorer(encode_waveforms(loaded, batch)), waveforms), 2)) / count
    compute_deterministically()
    try:
        training: float | str = float(np.median(train(loaded, "published", memory, steps)[0]))
    except InputError:
        training = "does not fit"
    held = f"{linear.count('Linear')} of {len(linear)} layers unpacked"
    row(gib, memory, held, 1000 * asking, training, torch.cuda.max_memory_reserved() / 2**30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="checkpoint folder")
    parser.add_argument("--gib", type=float, nargs="+", default=[8, 12, 16, 24, 80])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--stimuli", type=int, default=512)
    args = parser.parse_args()
    reserve_workspace()
    base = identified(args.base)
    table("card in GiB", "memory", "held as", "ms per answer", "ms per training row", "most reserved, GiB")
    for gib in args.gib:
        for memory in ("compact", "fast") if gib <= 12 else ("fast",):
            measure(base, gib, memory, args.steps, args.stimuli)


if __name__ == "__main__":
    main()
