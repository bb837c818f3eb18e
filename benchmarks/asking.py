"""What asking a base costs on a CPU, by precision of its products, and whether its answers stay. Prints a Markdown table.

    make middle
    PYTHONPATH=workflow_scripts python benchmarks/asking.py data/models/assembled/base results/stimuli/factorial/shard-*.parquet

Every setting loads the base in a process of its own, since libraries read their environment when they are imported. Seconds a stimulus, wall and
processor time, are of the quickest batch of 64 that a setting had; the ear's are not in those of the formats. Answers and log-odds are compared
with those of the first setting.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earwitness.runtime.arithmetic import PINNED

FREE = {"ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "DEFAULT", "MKL_CBWR": "AUTO"}
"""All that the processor has, with AVX-512 at least."""

FORMATS = ("letters", "words", "yes_no")
BATCH = 64


@dataclass(frozen=True)
class Setting:
    """quantisation: as in models.NAME.quantisation. products: precision that oneDNN rounds the factors of float32 products to ("bf16"), or none."""

    environment: dict[str, str]
    quantisation: str = "none"
    products: str = "none"


SETTINGS = {
    "float32, as the workflow asks": Setting(PINNED),
    "float32, AVX-512": Setting(FREE),
    "float32, factors in bfloat16": Setting(FREE, products="bf16"),
    "bfloat16, as the workflow asks": Setting(PINNED, "bfloat16"),
    "bfloat16, nothing pinned": Setting(FREE, "bfloat16"),
    "bfloat16 without AMX": Setting(FREE | {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}, "bfloat16"),
}


def ask(base: Path, shards: list[Path], stimuli: int, threads: int, setting: Setting, out: Path) -> None:
    """Ask about stimuli, evenly chosen, and write the log-odds of each format and the seconds that a stimulus took."""
    import torch

    from earwitness.model.engine.features import encode_waveforms
    from earwitness.model.engine.loading import load_model
    from earwitness.model.engine.prompting import Prompt, tokenise
    from earwitness.model.engine.scoring import Scorer
    from earwitness.model.identity import identified
    from earwitness.tables.audio import iterate_audio
    from earwitness.tables.stimuli import STIMULI

    torch.set_num_threads(threads)
    if setting.products != "none":
        torch.backends.mkldnn.matmul.fp32_precision = setting.products
    every = [waveform for shard in shards for _, waveforms in iterate_audio(shard, STIMULI) for waveform in waveforms]
    chosen = [every[place] for place in np.linspace(0, len(every) - 1, min(stimuli, len(every))).astype(int)]
    loaded = load_model(identified(base), setting.quantisation, torch.device("cpu"))
    scorers = {name: Scorer(loaded, [tokenise(loaded, Prompt("Does this sound contain human speech?", name))]) for name in FORMATS}
    times: dict[str, list[tuple[float, float]]] = {"ear": [], **{name: [] for name in FORMATS}}
    odds: dict[str, list[float]] = {name: [] for name in FORMATS}
    size = min(BATCH, len(chosen))
    for at in range(0, len(chosen), size):
        batch = chosen[at : at + size]
        started = time.perf_counter(), time.process_time()
        audio = encode_waveforms(loaded, batch)
        for name in ("ear", *FORMATS):
            if name != "ear":
                started = time.perf_counter(), time.process_time()
                odds[name] += scorers[name](audio)[0].log_odds.tolist()
            took = time.perf_counter() - started[0], time.process_time() - started[1]
            if len(batch) == size:
                times[name].append((took[0] / size, took[1] / size))
    out.write_text(json.dumps({"seconds": {name: [min(column) for column in zip(*took, strict=True)] for name, took in times.items()}, "odds": odds}))


def row(setting: str, found: dict, first: dict) -> str:
    """Seconds a stimulus, wall and processor time, and for each format how many answers stay, and how far log-odds are apart."""
    cells = [" / ".join(f"{seconds:.4f}" for seconds in found["seconds"][name]) for name in ("ear", *FORMATS)]
    for name in FORMATS:
        ours, theirs = np.array(found["odds"][name]), np.array(first["odds"][name])
        apart = np.abs(ours - theirs)
        cells.append(f"{100 * np.mean((ours > 0) == (theirs > 0)):.1f}; {np.median(apart):.3f}, {np.quantile(apart, 0.95):.3f} ({theirs.std():.2f})")
    return f"| {setting} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path, help="folder of the base")
    parser.add_argument("shards", type=Path, nargs="+", help="stimuli with audio (Parquet)")
    parser.add_argument("--stimuli", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.ask:
        ask(args.base, args.shards, args.stimuli, args.threads, SETTINGS[args.settings[0]], args.ask)
        return
    compared = "same answers in %; log-odds apart, median and 95 % (sd)"
    heads = ["products", "ear", *FORMATS, *(f"{name}: {compared}" for name in FORMATS)]
    print(f"| {' | '.join(heads)} |")
    print("| --- " * len(heads) + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        first = None
        for setting in args.settings:
            out = Path(folder) / "found.json"
            command = [sys.executable, __file__, *sys.argv[1:], "--settings", setting, "--ask", str(out)]
            chosen = SETTINGS[setting]
            ended = subprocess.run(command, env=os.environ | chosen.environment)
            if ended.returncode:
                print(f"| {setting} | cannot be asked |", flush=True)
                continue
            found = json.loads(out.read_text())
            first = first or found
            print(row(setting, found, first), flush=True)


if __name__ == "__main__":
    main()
