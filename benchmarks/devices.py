"""Seeds trained side by side on the visible GPUs, each under a device lease, against one after another on the first of them.

    PYTHONPATH=workflow_scripts python benchmarks/devices.py --seeds 4
    PYTHONPATH=workflow_scripts python benchmarks/devices.py --seeds 4 --full-size --steps 60

Every seed is a process of its own that does what the rule train_adapter does: it waits for a lease, imports torch, loads the base,
trains and saves. The base is the tiny architecture with random weights, a checkpoint folder (--base), or the architecture of
Qwen2-Audio-7B-Instruct with random weights in NF4 (--full-size; 16.8 GB on disk while it runs).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from recipe import RECIPE

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.core.files import sha256_of
from earwitness.runtime.devices import leased_devices, visible_devices

STIMULI = 64


@dataclass(frozen=True)
class Run:
    """One seed's training. devices: what it held; the times are seconds since the epoch: when it got the lease, when
    the base was loaded, when the adapter was saved. weights: SHA-256 of the adapter."""

    seed: int
    devices: list[str]
    leased: float
    loaded: float
    saved: float
    weights: str


def tones() -> list[Waveform]:
    """Sounds of 1.2 s, low and high in turn."""
    time_s = np.arange(round(1.2 * SAMPLE_RATE)) / SAMPLE_RATE
    return [(0.3 * np.sin(2 * np.pi * (200, 3000)[k % 2] * (1 + 0.02 * k) * time_s)).astype(np.float32) for k in range(STIMULI)]


def write_base(folder: Path, full_size: bool) -> None:
    """Save a base with random weights."""
    import torch
    from full_size import write_full_size

    from earwitness.model.families.tiny.qwen2_audio import build_model, build_processor
    from earwitness.model.tiny_base_questions import training_texts

    if full_size:
        write_full_size(folder)
        return
    torch.manual_seed(1)
    processor = build_processor(training_texts())
    build_model(processor).save_pretrained(folder)
    processor.save_pretrained(folder)


def train(base: Path, quantisation: str, steps: int, seed: int, output: Path) -> Run:
    """Train one seed on the device that the lease gives to this process."""
    with leased_devices() as devices:
        leased = time.time()
        # torch looks at the visible devices when it is imported.
        import torch

        from earwitness.model.engine.features import encode_waveforms
        from earwitness.model.engine.loading import load_model
        from earwitness.model.engine.prompting import Prompt
        from earwitness.model.finetuning import train_adapter, training_set
        from earwitness.model.identity import identified
        from earwitness.model.prediction import StimulusSource
        from earwitness.model.tiny_base_questions import QUESTIONS
        from earwitness.runtime.saved_state import SavedState

        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True, warn_only=True)
        loaded = load_model(identified(base), quantisation)
        loaded = time.time()
        names = [f"{number:02d}" for number in range(STIMULI)]
        sounds = StimulusSource(lambda _: iter([(names, tones())]), lambda waveforms: encode_waveforms(loaded, waveforms))
        split = pd.DataFrame({"stimulus_id": names, "label": ["SPEECH", "NONSPEECH"] * (STIMULI // 2), "part": "train"})
        data = training_set(loaded, sounds, split, "published")
        resume = SavedState(output / "in-progress", {"seed": seed})
        model, _ = train_adapter(loaded, data, Prompt(QUESTIONS[0]), {**RECIPE, "steps": steps}, seed, resume)
        model.save_pretrained(str(output))
        return Run(seed, devices, leased, loaded, time.time(), sha256_of(output / "adapter_model.safetensors"))


def start(base: Path, quantisation: str, steps: int, seed: int, output: Path, visible: list[str]) -> subprocess.Popen[str]:
    """A process that trains one seed on one of the visible devices."""
    command = [sys.executable, __file__, "--train", str(base), str(output), quantisation, "--steps", str(steps), "--seeds", str(seed)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ",".join(visible)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def finished(process: subprocess.Popen[str]) -> Run:
    """What a process printed."""
    text, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Run(**json.loads(text.splitlines()[-1]))


def shared(runs: list[Run]) -> int:
    """How often a device was leased to a run before another run had given it back."""
    leases = sorted((device, run.leased, run.saved) for run in runs for device in run.devices)
    return sum(first[0] == second[0] and second[1] < first[2] for first, second in pairwise(leases))


def show(name: str, seconds: float, runs: list[Run]) -> None:
    print(f"\n{name}: {seconds:.1f} s; devices shared: {shared(runs)} times")
    print("| seed | device | waited, s | loading, s | training and saving, s |\n| ---: | --- | ---: | ---: | ---: |")
    begun = min(run.leased for run in runs)
    for run in runs:
        device = ", ".join(run.devices) or "CPU"
        print(f"| {run.seed} | {device} | {run.leased - begun:.1f} | {run.loaded - run.leased:.1f} | {run.saved - run.loaded:.1f} |", flush=True)


def compare(base: Path, quantisation: str, steps: int, seeds: int, folder: Path) -> None:
    """Train the seeds in both ways and print the times and the speed-up."""
    devices = visible_devices()
    print(
        f"{len(devices)} visible GPUs ({', '.join(devices) or 'the CPU instead'}); {seeds} seeds of {steps} steps of {RECIPE['batch_size']}",
        flush=True,
    )
    begun = time.perf_counter()
    alone = [finished(start(base, quantisation, steps, seed, folder / f"alone-{seed}", devices[:1])) for seed in range(seeds)]
    alone_s = time.perf_counter() - begun
    show("One after another", alone_s, alone)
    begun = time.perf_counter()
    processes = [start(base, quantisation, steps, seed, folder / f"together-{seed}", devices) for seed in range(seeds)]
    together = [finished(process) for process in processes]
    together_s = time.perf_counter() - begun
    show("Side by side", together_s, together)
    same = sum(first.weights == second.weights for first, second in zip(alone, together, strict=True))
    print(f"\nspeed-up {alone_s / together_s:.2f} on {max(len(devices), 1)}; {same} of {seeds} adapters are the same bytes both ways")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4, help="how many seeds")
    parser.add_argument("--steps", type=int, default=200, help="steps of training of each")
    parser.add_argument("--base", type=Path, help="a checkpoint folder instead of random weights")
    parser.add_argument("--full-size", action="store_true", help="the full-size architecture in NF4")
    parser.add_argument("--train", nargs=3, metavar=("BASE", "OUTPUT", "QUANTISATION"), help="train the one seed --seeds; what the others start")
    parser.add_argument("--write", type=Path, help="only save the base with random weights; what the others start")
    args = parser.parse_args()
    if args.train:
        base, output, quantisation = args.train
        print(json.dumps(vars(train(Path(base), quantisation, args.steps, args.seeds, Path(output)))))
    elif args.write:
        write_base(args.write, args.full_size)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            if args.base is None:
                # In a process of its own, so that this one never holds a device.
                subprocess.run([sys.executable, __file__, "--write", str(folder / "base"), *["--full-size"] * args.full_size], check=True)
            compare(args.base or folder / "base", "nf4" if args.full_size else "none", args.steps, args.seeds, folder)


if __name__ == "__main__":
    main()
