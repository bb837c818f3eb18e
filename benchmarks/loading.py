"""What a base in 4 bits that is kept beside its files saves of every load, against reading and quantising all of it. Prints a Markdown table.

Both ways take turns, in rounds whose order alternates, on the checkpoint folder that is named or on a full-size one with random weights, which is
drawn on the GPU. Cold: the kernel is told to forget the files before; what was then read from the disk is told by the kernel too.
"""

import argparse
import hashlib
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from engine import PROMPT, release, row, stimuli, table
from full_size import write_full_size, write_small

from earwitness.model.engine import four_bits
from earwitness.model.engine.features import encode_waveforms
from earwitness.model.engine.loading import Memory, keep_in_4_bits, load_model
from earwitness.model.engine.prompting import tokenise
from earwitness.model.engine.scoring import Scorer
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.identity import ModelFolder
from earwitness.runtime.determinism import compute_deterministically, reserve_workspace

NUMBERS_AT_ONCE = 2**26


def forget(base: Path) -> None:
    """Let the kernel's memory go of what a load of a base reads: its copy in 4 bits, or where there is none its own files."""
    os.sync()
    folder = base / four_bits.COPY
    for path in (folder if folder.is_dir() else base).iterdir():
        if path.is_file():
            with path.open("rb") as stream:
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_bytes() -> int:
    """What this process has had read from disks."""
    return int(re.findall(r"^read_bytes: (\d+)", Path("/proc/self/io").read_text(), re.MULTILINE)[0])


@torch.no_grad()
def digest_of_weights(loaded: LoadedModel) -> str:
    """Of every bit of the weights and of what unpacks them, in their order."""
    digest = hashlib.sha256()
    for name, tensor in loaded.model.state_dict().items():
        flat = tensor.contiguous().view(-1).view(torch.uint8) if tensor.dim() else tensor.reshape(1).view(torch.uint8)
        flat = torch.nn.functional.pad(flat, (0, -len(flat) % 4)).view(torch.int32)
        places = torch.arange(1, 1 + min(len(flat), NUMBERS_AT_ONCE), device=flat.device)
        sums = [int((part.long() * places[: len(part)]).sum()) for part in flat.split(NUMBERS_AT_ONCE)]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} {sums}\n".encode())
    return digest.hexdigest()[:8]


def digest_of_answers(loaded: LoadedModel, count: int) -> str:
    waveforms, scorer = stimuli(count, 1.0), Scorer(loaded, [tokenise(loaded, PROMPT)])
    answers = [scorer(encode_waveforms(loaded, waveforms[start : start + 16]))[0].log_odds for start in range(0, count, 16)]
    return hashlib.sha256(np.concatenate(answers).tobytes()).hexdigest()[:8]


def measure(way: str, base: ModelFolder, cold: bool, memory: Memory, device: torch.device, count: int) -> None:
    """One line of the table."""
    release()
    if cold:
        forget(base.path)
    before, started = read_bytes(), time.perf_counter()
    loaded = load_model(base, "nf4", device, memory)
    if device.type == "cuda":
        torch.cuda.synchronize()
    elapsed, read = time.perf_counter() - started, (read_bytes() - before) / 1e9
    most = torch.cuda.max_memory_reserved() / 2**30 if device.type == "cuda" else float("nan")
    digests = digest_of_answers(loaded, count), digest_of_weights(loaded)
    row(way, "cold" if cold else "warm", memory, elapsed, read, most, *digests)


def without_copy(base: Path, folder: Path) -> Path:
    """A folder of links to a base's files."""
    folder.mkdir()
    for path in base.iterdir():
        if path.is_file():
            (folder / path.name).symlink_to(path.resolve())
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, help="checkpoint folder; without it, the full-size architecture with random weights (CUDA)")
    parser.add_argument("--memory", nargs="+", choices=["fast", "compact"], default=["fast", "compact"])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--stimuli", type=int, default=64)
    args = parser.parse_args()
    reserve_workspace()
    compute_deterministically()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{torch.cuda.get_device_name() if device.type == 'cuda' else 'CPU'}; torch {torch.__version__}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = args.base or Path(temporary) / "full"
        if args.base is None:
            write_full_size(folder) if device.type == "cuda" else write_small(folder)
        four_bits.PAYS_FROM_BYTES = 0
        kept = ModelFolder(folder, "of this benchmark")
        started = time.perf_counter()
        done, told = keep_in_4_bits(kept, device)
        print(f"{told}: loading and writing took {time.perf_counter() - started:.1f} s", flush=True)
        if not done:
            sys.exit(1)
        ways = [("all of it", ModelFolder(without_copy(folder, Path(temporary) / "links"), kept.sha256)), ("4 bits", kept)]
        table("read", "files", "memory", "s", "GB from disk", "most reserved, GiB", "answers", "weights")
        for memory in args.memory:
            for turn in range(args.rounds):
                for cold in (True, False):
                    for way, base in ways if turn % 2 == 0 else ways[::-1]:
                        measure(way, base, cold, memory, device, args.stimuli)


if __name__ == "__main__":
    main()
