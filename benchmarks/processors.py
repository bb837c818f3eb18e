"""Where the tiny base's training first differs between settings of the processor: vector widths, libraries, threads. Prints a table.

Every setting trains a few steps in a process of its own and writes digests, in the order of the computation. The table names, per
setting, the first digest that is not that of the first setting, and how far weights and answers are apart at the end.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

PINNED = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"}

SETTINGS: dict[str, tuple[dict[str, str], int]] = {
    "as it comes, 2 threads": ({}, 2),
    "the same again": ({}, 2),
    "1 thread": ({}, 1),
    "4 threads": ({}, 4),
    "ATEN_CPU_CAPABILITY=avx2": ({"ATEN_CPU_CAPABILITY": "avx2"}, 2),
    "ATEN_CPU_CAPABILITY=default": ({"ATEN_CPU_CAPABILITY": "default"}, 2),
    "MKL_CBWR=COMPATIBLE": ({"MKL_CBWR": "COMPATIBLE"}, 2),
    "MKL_CBWR=AVX2": ({"MKL_CBWR": "AVX2"}, 2),
    "MKL_CBWR=AVX2,STRICT": ({"MKL_CBWR": "AVX2,STRICT"}, 2),
    "MKL_ENABLE_INSTRUCTIONS=AVX2": ({"MKL_ENABLE_INSTRUCTIONS": "AVX2"}, 2),
    "ONEDNN_MAX_CPU_ISA=AVX2": ({"ONEDNN_MAX_CPU_ISA": "AVX2"}, 2),
    "ONEDNN_MAX_CPU_ISA=SSE41": ({"ONEDNN_MAX_CPU_ISA": "SSE41"}, 2),
    "NumPy without AVX-512": ({"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"}, 2),
    "NumPy without AVX2 and AVX-512": ({"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"}, 2),
    "pinned, MKL AVX2": (PINNED | {"MKL_CBWR": "AVX2"}, 2),
    "pinned, MKL COMPATIBLE": (PINNED | {"MKL_CBWR": "COMPATIBLE"}, 2),
}
"""Environment and threads of each setting."""


def trace(speech: Path, sounds: Path, steps: int, threads: int, out: Path) -> None:
    """Train `steps` steps and write the digests, weights and log-odds."""
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    from earwitness.model import tiny_base_training as training
    from earwitness.model.families.tiny.tiny_base import TINY_BASES
    from earwitness.runtime.saved_state import SavedState

    digests: list[tuple[str, str]] = []

    def note(name: str, tensor: object) -> None:
        while isinstance(tensor, tuple | list) and tensor:
            tensor = tensor[0]
        if isinstance(tensor, torch.Tensor):
            array = tensor.detach().contiguous().numpy()
            digests.append((name, _digest(array.tobytes())))

    family, draw, make_pool = TINY_BASES["qwen2_audio"](), training.draw_stimuli, training.make_pool
    models = []

    def noted_model(processor):
        model = family.model(processor)
        for name, parameter in model.named_parameters():
            note(f"initial weights: {name}", parameter)
        for name, module in model.named_modules():
            if not list(module.children()):
                module.register_forward_hook(lambda _module, _inputs, output, name=name: note(f"forward: {name} ({type(_module).__name__})", output))
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.register_hook(lambda gradient, name=name: note(f"backward: {name}", gradient))
        models.append(model)
        return model

    def noted_draw(*arguments):
        for stimulus in draw(*arguments):
            note("stimuli: waveforms", torch.from_numpy(stimulus.waveform))
            yield stimulus

    def noted_pool(*arguments):
        pool = make_pool(*arguments)
        note("stimuli: log-mel spectrograms", pool.mel)
        return pool

    training.draw_stimuli, training.make_pool = noted_draw, noted_pool
    training.TINY_BASES = {"qwen2_audio": lambda: replace(family, model=noted_model)}
    corpus = training.BaseCorpus(speech, sounds, 1200)
    settings = training.TinyBaseSettings("qwen2_audio", steps=steps, batch_size=32, pool=256, learning_rate=0.002)
    with tempfile.TemporaryDirectory() as folder:
        training.train_tiny_base(corpus, settings, 20260101, SavedState(Path(folder) / "state", {}))
    save_file({name: parameter.detach().contiguous() for name, parameter in models[0].named_parameters()}, out.with_suffix(".safetensors"))
    out.write_text(json.dumps(digests))


def _digest(content: bytes | str) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()[:16]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path, help="data/embedded/base")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--trace", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.trace:
        trace(args.corpus / "voxconverse", args.corpus / "esc50", args.steps, args.threads, args.trace)
        return
    from safetensors.torch import load_file

    print("| setting | first difference | waveforms | log-mel | weights | largest difference of a weight | s |", flush=True)
    print("| --- | --- | --- | --- | --- | ---: | ---: |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        first = None
        for number, (setting, (environment, threads)) in enumerate(SETTINGS.items()):
            out = Path(folder) / f"{number}.json"
            command = [sys.executable, __file__, str(args.corpus), "--steps", str(args.steps), "--trace", str(out), "--threads", str(threads)]
            started = time.monotonic()
            subprocess.run(command, check=True, env=os.environ | environment, stderr=subprocess.DEVNULL)
            took = time.monotonic() - started
            digests, weights = json.loads(out.read_text()), load_file(out.with_suffix(".safetensors"))
            first = first or (digests, weights)
            differs = next((name for (name, a), (_, b) in zip(digests, first[0], strict=False) if a != b), "none")
            apart = max(float((weights[name] - first[1][name]).abs().max()) for name in weights)
            ends = [
                _digest("".join(digest for name, digest in digests if name == f"stimuli: {kind}")) for kind in ("waveforms", "log-mel spectrograms")
            ]
            ends.append(_digest("".join(_digest(weights[name].numpy().tobytes()) for name in sorted(weights))))
            print(f"| {setting} | {differs} | {' | '.join(end[:8] for end in ends)} | {apart:.1e} | {took:.1f} |", flush=True)


if __name__ == "__main__":
    main()
