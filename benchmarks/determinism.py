"""What the same bytes twice cost on a GPU: training and asking with torch's deterministic operations and without.

Each line is a process of its own, on a checkpoint folder such as workflow_scripts/make_stand_in.py writes. The two take turns, in rounds whose
order alternates, so that other work on the machine falls on both; what determinism costs is the median over rounds of the ratio within one. Prints
Markdown tables.
"""

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
from pathlib import Path

VARIANTS = ("deterministic", "free")


def measure(base: Path, variant: str, memory: str, steps: int, window_s: float, count: int) -> None:
    """One line of the table."""
    from earwitness.runtime.determinism import WORKSPACE, compute_deterministically, reserve_workspace

    os.environ.pop(WORKSPACE, None)
    if variant == "deterministic":
        reserve_workspace()
        compute_deterministically()
    import numpy as np
    import torch
    from engine import PROMPT, row, seconds, stimuli, train

    from earwitness.model.engine.features import encode_waveforms
    from earwitness.model.engine.loading import load_model
    from earwitness.model.engine.prompting import tokenise
    from earwitness.model.engine.scoring import Scorer
    from earwitness.model.identity import identified

    loaded = load_model(identified(base), "nf4" if torch.cuda.is_available() else "none", memory=memory)
    waveforms, size = stimuli(count, 1.0), 16 if memory == "compact" else 64
    scorer, answers = Scorer(loaded, [tokenise(loaded, PROMPT)]), []

    def ask() -> None:
        answers[:] = [scorer(encode_waveforms(loaded, waveforms[start : start + size]))[0].log_odds for start in range(0, count, size)]

    asking = min(seconds(ask, 3)) / count
    times, weights, _ = train(loaded, "published", memory, steps, window_s)
    digests = (hashlib.sha256(content).hexdigest()[:8] for content in (np.concatenate(answers).tobytes(), weights))
    row(variant, memory, 1000 * asking, float(np.median(times)), *digests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="checkpoint folder")
    parser.add_argument("--memory", nargs="+", default=["fast", "compact"])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--window", type=float, default=1.2, help="seconds of a training row")
    parser.add_argument("--stimuli", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3, help="in each, every variant once")
    parser.add_argument("--variant", choices=VARIANTS, help="this line alone")
    args = parser.parse_args()
    if args.variant:
        [memory] = args.memory
        return measure(args.base, args.variant, memory, args.steps, args.window, args.stimuli)
    print("| operations | memory | ms per answer | ms per training row | answers | adapter |\n|---|---|---:|---:|---|---|", flush=True)
    costs = []
    for memory in args.memory:
        ratios = []
        for turn in range(args.rounds):
            order = VARIANTS if turn % 2 == 0 else VARIANTS[::-1]
            found = {variant: line_of(variant, memory, args) for variant in order}
            ratios.append([slow / fast for slow, fast in zip(found["deterministic"], found["free"], strict=True)])
        costs.append((memory, *zip(*ratios, strict=True)))
    print("\n| memory | asking, deterministic / free | rounds | training | rounds |\n|---|---:|---:|---:|---:|")
    for memory, *kinds in costs:
        cells = [f"{statistics.median(kind):.3f} | {min(kind):.3f} to {max(kind):.3f}" for kind in kinds]
        print(f"| {memory} | {' | '.join(cells)} |")


def line_of(variant: str, memory: str, args: argparse.Namespace) -> tuple[float, float]:
    """Measure in a process of its own and print its line; ms per answer and per training row."""
    given = ["--base", args.base, "--memory", memory, "--steps", args.steps, "--window", args.window, "--stimuli", args.stimuli, "--variant", variant]
    printed = subprocess.run([sys.executable, __file__, *map(str, given)], check=True, stdout=subprocess.PIPE, text=True).stdout
    [line] = [line for line in printed.splitlines() if line.startswith("|")]
    print(line, flush=True)
    _, _, _, asking, training, *_ = line.split("|")
    return float(asking), float(training)


if __name__ == "__main__":
    main()
