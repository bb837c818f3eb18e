"""What must hold of a base before GPU hours go into it, looked at on the device, in minutes."""

import contextlib
import gc
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from transformers.masking_utils import create_bidirectional_mask

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.core.errors import InputError
from earwitness.core.randomness import stream
from earwitness.model.checkpoint import INDEX, WEIGHTS, json_object_in, read_config, tensors_in, verify_checkpoint
from earwitness.model.engine.features import encode_waveforms
from earwitness.model.engine.generation import compare_with_scores
from earwitness.model.engine.loading import HEADROOM_BYTES, keep_in_4_bits
from earwitness.model.engine.prompting import Prompt, tokenise
from earwitness.model.engine.scoring import Scorer
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.families.whisper import PooledWhisper, log_mel
from earwitness.model.finetuning import train_adapter, training_set
from earwitness.model.hub import differences_from_hub
from earwitness.model.prediction import StimulusSource
from earwitness.model.prediction_jobs import ModelSpec
from earwitness.runtime.determinism import compute_deterministically
from earwitness.runtime.device_memory import free_bytes
from earwitness.runtime.saved_state import SavedState

Status = Literal["holds", "fails", "look", "not told"]
"""look: the run goes on, but you should know; not told: it could not be checked here, with the reason beside it."""

QUESTION = "Does this sound contain human speech?"
DURATIONS_MS = (20, 30, 40, 41, 60, 61, 80, 100, 150, 200, 250, 300, 400, 500, 600, 750, 1000, 1250, 1500, 2000)
"""Those of the clips that hearing and answers are looked at with; up to 60 ms the library's own audio path fails."""

BATCHES_TIMED, ROWS, STEPS = 2, 16, 6
RANK = 16
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
WITH_MLP = [*ATTENTION, "gate_proj", "up_proj", "down_proj"]

PUBLISHED_VOCABULARY = 156032
PUBLISHED_WEIGHTS = 8_397_094_912
"""Of Qwen2-Audio-7B-Instruct."""
PUBLISHED_LORA = {"attention": 20_709_376, "attention and MLP": 43_909_120}
"""Trained weights of rank 16, as the published study states them."""

BEFORE = (151644, 8948, 198, 2610, 525, 264, 10950, 17847, 13, 151645, 198, 151644, 872, 198, 14755, 220, 16, 25, 220, 151647)
AFTER = (151645, 198, 151644, 77091, 198)
WORDS = {"A": (32,), "B": (33,), "Yes": (9454,), "No": (2753,), "SPEECH": (50, 1740, 92033), "NON-SPEECH": (29563, 6222, 1740, 92033)}
"""Tokens of Qwen2-Audio's chat template around the user's turn, and of the answers (transformers' integration test of the model)."""

NEAR_TIE = 0.25
"""Log-odds, in nats, within which generate() may answer otherwise: 16 bits round differently in other kernels."""
LOW_COVERAGE = 0.5
EXACT = 1e-3
"""Largest difference of features in float32, relative to their size, that counts as none."""


@dataclass(frozen=True)
class Line:
    """What was looked at, whether it holds, what was found, and what to do where it does not."""

    what: str
    status: Status
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Costs:
    """Milliseconds, and bytes of what is kept of a stimulus of the longest of DURATIONS_MS; None where it could not be measured."""

    load_s: float | None = None
    encode_and_ask_ms: float | None = None
    train_row_ms: float | None = None
    feature_bytes: int | None = None
    most_reserved_bytes: int | None = None


def preflight(spec: ModelSpec, name: Sequence[str], results: Path, device: torch.device) -> dict[str, Any]:
    """Look at everything.

    name: the base's repository and revision on the hub, or its folder alone. results: a folder on the disk that features go to.

    Returns what was looked at and where, lines (Line) and costs (Costs) as plain values, and `passed`: no line fails.
    """
    look = _Look(spec, name, results, device)
    lines = list(look.lines())
    processor = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return {
        "name": name[0],
        "folder": str(spec.base.path),
        "identity": spec.base.sha256,
        "processor": processor,
        "quantisation": spec.quantisation,
        "memory": spec.memory,
        "passed": all(line.status != "fails" for line in lines),
        "lines": list(map(asdict, lines)),
        "costs": asdict(look.costs),
    }


class _Look:
    def __init__(self, spec: ModelSpec, name: Sequence[str], results: Path, device: torch.device):
        self._spec, self._name, self._results, self._device = spec, name, results, device
        self._config = read_config(spec.base.path)
        self._trained = self._config.get("earwitness_stand_in") is not True
        self._published = self._stated("text_config", "vocab_size") == PUBLISHED_VOCABULARY
        self._found: dict[str, Any] = {}
        self._clips = noise_clips(DURATIONS_MS)

    def _stated(self, part: str, key: str) -> Any:
        """What config.json says in one of its parts; None where it has no such part or key."""
        content = self._config.get(part)
        return content.get(key) if isinstance(content, dict) else None

    @property
    def costs(self) -> Costs:
        return Costs(**self._found)

    def lines(self) -> Iterator[Line]:
        yield self._guarded("files", self._files)
        yield self._guarded("against the hub", self._hub)
        yield self._guarded("weights", self._weights)
        if self._spec.quantisation == "nf4":
            yield self._guarded("copy in 4 bits", self._keep)
        loading = self._guarded("loading", self._load)
        yield loading
        if loading.status != "fails":
            parts: list[tuple[str, Callable[[LoadedModel], Line]]] = [
                ("tokens", self._tokens),
                ("hearing", self._hearing),
                ("score and generate()", self._generation),
                ("the answers' share", self._coverage),
                ("time to ask", self._asking),
                ("size of adapters", self._adapters),
                ("training", self._training),
                ("memory", self._memory),
            ]
            for what, part in parts:
                yield self._guarded(what, partial(part, self._loaded))
        yield self._guarded("disk", self._disk)

    def _guarded(self, what: str, look: Callable[[], Line]) -> Line:
        """Run one check and keep its failure as a line, so that the other checks still run."""
        started = time.perf_counter()
        try:
            line = look()
        except InputError as error:
            line = Line(what, "fails", str(error), "see there")
        except torch.OutOfMemoryError:
            line = Line(what, "fails", "the device's memory does not hold it", "set resources.memory to compact, or use a larger device")
        except Exception as error:
            line = Line(what, "fails", f"{type(error).__name__}: {' '.join(str(error).split())[:200]}", "report it with this page")
        remedy = f"; to do: {line.remedy}" if line.remedy else ""
        print(f"{line.status:>8}  {line.what}: {line.found}{remedy} ({time.perf_counter() - started:.1f} s)", flush=True)
        return line

    # Files.

    def _files(self) -> Line:
        verify_checkpoint(self._spec.base.path)
        return Line("files", "holds", f"all there and of their full length; identity {self._spec.base.sha256[:12]}")

    def _hub(self) -> Line:
        what = "against the hub"
        if len(self._name) < 2:
            return Line(what, "not told", "the base is read from a path, with no repository and revision to compare it with")
        try:
            differences = differences_from_hub(self._name[0], self._name[1], self._spec.base.path, "models")
        except InputError as error:
            return Line(what, "not told", str(error))
        if differences:
            return Line(what, "fails", "; ".join(differences[:3]), "fetch these files again")
        return Line(what, "holds", f"sizes and digests are those of {self._name[0]} at {self._name[1][:12]}")

    def _weights(self) -> Line:
        folder = self._spec.base.path
        names = [WEIGHTS] if (folder / WEIGHTS).is_file() else sorted(set(json_object_in(folder / INDEX)["weight_map"].values()))
        weights = {name: count for file in names for name, count in tensors_in(folder / file).items()}
        total = sum(weights.values())
        found = f"{total:,} weights in {len(weights)} tensors in {len(names)} files"
        full = self._published and self._stated("audio_config", "d_model") == 1280
        if full and total != PUBLISHED_WEIGHTS:
            return Line("weights", "fails", f"{found}, where Qwen2-Audio-7B-Instruct has {PUBLISHED_WEIGHTS:,}", "fetch the model again")
        return Line("weights", "holds", found + (", as published" if full else ""))

    def _keep(self) -> Line:
        kept, found = keep_in_4_bits(self._spec.base, self._device)
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return Line("copy in 4 bits", "holds" if kept else "look", found, "" if kept else "every job reads and quantises the whole base")

    def _load(self) -> Line:
        started = time.perf_counter()
        self._loaded = self._spec.load(self._device)
        self._found["load_s"] = round(time.perf_counter() - started, 1)
        held = [type(module).__name__ for module in self._loaded.language_model.modules() if isinstance(module, torch.nn.Linear)]
        packed = held.count("Linear4bit")
        unpacked = f"{len(held) - packed} of {len(held)} linear layers unpacked"
        mode = {"nf4": unpacked, "bfloat16": "all in bfloat16", "none": "not quantised"}[self._spec.quantisation]
        found = f"every weight has its place and none is left over; {self._found['load_s']} s; memory {self._spec.memory}: {mode}"
        return Line("loading", "holds", found)

    # Asking.

    def _tokens(self, loaded: LoadedModel) -> Line:
        wrong = []
        for kind in ("letters", "words", "yes_no"):
            for order in tokenise(loaded, Prompt(QUESTION, kind)):
                if self._published and (order.before != BEFORE or order.after[-len(AFTER) :] != AFTER):
                    wrong.append(f"the chat template of {kind}")
        wrong += [f"{word} is {loaded.text_ids(word)}" for word, ids in WORDS.items() if self._published and loaded.text_ids(word) != ids]
        if self._config["model_type"] == "qwen2_audio":
            wrong += self._unlike_the_processor(loaded)
        if wrong:
            return Line("tokens", "fails", "; ".join(wrong[:3]), "copy the model's own tokenizer and chat template beside its weights")
        known = ", those that are known of Qwen2-Audio" if self._published else ""
        return Line("tokens", "holds", f"chat template and answers in three formats are tokens that the processor writes{known}")

    def _unlike_the_processor(self, loaded: LoadedModel) -> list[str]:
        clip = self._clips[-4]
        [order, *_] = tokenise(loaded, Prompt(QUESTION, "yes_no"))
        content = [loaded.sound_in_chat(), {"type": "text", "text": f"{QUESTION}\nAnswer Yes or No."}]
        processor: Any = loaded.processor
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)
        [ids] = processor(text=[text], audio=[clip], sampling_rate=SAMPLE_RATE, return_tensors="pt").input_ids.tolist()
        sound = [processor.tokenizer.convert_tokens_to_ids(processor.audio_token)] * loaded.n_tokens(len(clip))
        return [] if [*order.before, *sound, *order.after] == ids else ["a prompt that the processor writes otherwise"]

    def _hearing(self, loaded: LoadedModel) -> Line:
        what = "hearing"
        if not isinstance(loaded, PooledWhisper):
            return Line(what, "not told", "this family hears sounds in full, so there is no cut to compare with the library")
        own, wrong = stock_differences(loaded, [clip for clip in self._clips if len(clip) <= loaded.longest_waveform])
        found = f"{len(self._clips)} clips of 20 to 2000 ms differ from the library's 30 s by {own:.1e} at most; cut too short, by {wrong:.1e}"
        if own <= EXACT and own < 0.1 * wrong:
            return Line(what, "holds", found)
        return Line(what, "fails", found, "the library hears otherwise than this engine: use the versions in envs/requirements.lock")

    def _generation(self, loaded: LoadedModel) -> Line:
        embedded = [encode_waveforms(loaded, self._clips[start : start + 10]) for start in range(0, len(self._clips), 10)]
        table = compare_with_scores(loaded, embedded, Prompt(QUESTION))
        self._coverages = table.median_coverage.tolist()
        furthest = table.largest_disagreeing_log_odds.fillna(0).max()
        found = f"{int(table.n_agreeing.sum())} of {int(table.n_stimuli.sum())} answers are the same"
        if furthest <= NEAR_TIE:
            return Line("score and generate()", "holds", found + (f"; the others within {furthest:.2f} nats of a tie" if furthest else ""))
        return Line("score and generate()", "fails", f"{found}; one differs at {furthest:.2f} nats", "report it with this page")

    def _coverage(self, loaded: LoadedModel) -> Line:
        what, share = "the answers' share", max(self._coverages)
        found = f"A and B together have {100 * share:.1f} % of the probability"
        if not self._trained:
            return Line(what, "not told", f"{found}; the weights are random")
        if share < LOW_COVERAGE:
            return Line(what, "look", f"{found}: the model would rather say something else", "ask otherwise: prompt.answer_format, prompt.template")
        return Line(what, "holds", found)

    def _asking(self, loaded: LoadedModel) -> Line:
        count = 16 if self._spec.memory == "compact" or self._device.type == "cpu" else 128
        scorer = Scorer(loaded, [tokenise(loaded, Prompt(QUESTION))])
        clips = noise_clips([min(2000, 1000 * loaded.longest_waveform // SAMPLE_RATE)] * count)
        times = []
        for _ in range(BATCHES_TIMED + 1):
            started = time.perf_counter()
            [scores] = scorer(audio := encode_waveforms(loaded, clips))
            times.append((time.perf_counter() - started) / count)
        self._found["encode_and_ask_ms"] = round(1000 * min(times[1:]), 3)
        self._found["feature_bytes"] = audio.n_tokens[0] * loaded.embedding_size * loaded.embedding_dtype.itemsize
        if not np.isfinite(scores.log_odds).all():
            return Line("time to ask", "fails", "log-odds that are not finite", "fetch the model again; report it with this page if they stay")
        return Line("time to ask", "holds", f"{self._found['encode_and_ask_ms']} ms for a sound of 2 s, encoding included, in batches of {count}")

    # Training.

    def _adapters(self, loaded: LoadedModel) -> Line:
        counts = {name: _lora_weights(loaded, targets) for name, targets in (("attention", ATTENTION), ("attention and MLP", WITH_MLP))}
        found = "; ".join(f"{name}, rank {RANK}: {count:,} trained weights" for name, count in counts.items())
        full = self._published and loaded.embedding_size == 4096
        if full and counts != PUBLISHED_LORA:
            return Line("size of adapters", "fails", f"{found}, where the published study has {PUBLISHED_LORA}", "report it with this page")
        return Line("size of adapters", "holds", found + (", as published" if full else ""))

    def _training(self, loaded: LoadedModel) -> Line:
        names = [f"{place:02d}" for place in range(ROWS)]
        longest = min(2000, 1000 * loaded.longest_waveform // SAMPLE_RATE)
        clips = [_voiced(longest, place) if place % 2 else clip for place, clip in enumerate(noise_clips([longest] * ROWS))]
        sounds = StimulusSource(lambda _: iter([(names, clips)]), lambda waveforms: encode_waveforms(loaded, waveforms))
        split = pd.DataFrame({"stimulus_id": names, "label": ["NONSPEECH", "SPEECH"] * (ROWS // 2), "part": "train"})
        data = training_set(loaded, sounds, split, "published")
        recipe = {
            "target_modules": ATTENTION, "scope": "published", "rank": RANK, "alpha": 2 * RANK, "dropout": 0.0, "learning_rate": 2e-4,
            "steps": STEPS, "epochs": None, "batch_size": ROWS, "micro_batch_size": None, "warmup_fraction": 0.0, "weight_decay": 0.0,
            "max_gradient_norm": 1.0, "loss_on": "answer", "focal_gamma": 0.0,
        }  # fmt: skip
        shown: list[float] = []
        collect = data.collect

        def timed(chosen: Any) -> Any:
            shown.extend([time.perf_counter()] * len(chosen))
            return collect(chosen)

        compute_deterministically()
        with tempfile.TemporaryDirectory() as folder:
            # One order of the options: every step has the same rows and targets.
            prompt = Prompt(QUESTION, "yes_no")
            state = SavedState(Path(folder) / "state", {})
            model, history = train_adapter(loaded, replace(data, collect=timed), prompt, recipe, 1, state, self._spec.memory)
        self._found["train_row_ms"] = round(1000 * min(np.diff(shown[::ROWS])[1:]) / ROWS, 3)
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        first, second = history.loss.iloc[0], history.loss.iloc[1]
        found = f"one step takes the loss from {first:.3f} to {second:.3f}, {STEPS} to {history.loss.iloc[-1]:.3f}; {trained:,} weights;"
        found += f" {self._found['train_row_ms']} ms a row of 2 s"
        if second < first:
            return Line("training", "holds", found)
        return Line("training", "fails", found, "report it with this page")

    # The machine.

    def _memory(self, loaded: LoadedModel) -> Line:
        if self._device.type != "cuda":
            return Line("memory", "look", "no GPU is used; a base at full size needs one")
        total, most = torch.cuda.get_device_properties(self._device).total_memory, torch.cuda.max_memory_reserved(self._device)
        self._found["most_reserved_bytes"] = most
        found = f"{most / 2**30:.1f} GiB reserved at most, of {total / 2**30:.1f} on {torch.cuda.get_device_name(self._device)}"
        found += f"; {free_bytes(self._device) / 2**30:.1f} still free"
        if self._spec.memory == "fast" and total - most < HEADROOM_BYTES // 8:
            return Line("memory", "look", found, "set resources.memory to compact, which is slower and needs below 7.5 GiB at full size")
        return Line("memory", "holds", found)

    def _disk(self) -> Line:
        free, each = shutil.disk_usage(self._results).free, self._found.get("feature_bytes") or 0
        found = f"{free / 1e9:.1f} GB free for results; features take {each * 10_000 / 1e9:.2f} GB for 10,000 stimuli of 2 s"
        if free < each * 10_000:
            return Line("disk", "fails", found, "make room, or set resources.temporary_features")
        return Line("disk", "holds", found)


def noise_clips(durations_ms: Sequence[int]) -> list[Waveform]:
    """Noise at -20 dBFS, one clip for each duration."""
    return [
        (0.1 * stream(1, "preflight", place).standard_normal(round(milliseconds * SAMPLE_RATE / 1000))).astype(np.float32)
        for place, milliseconds in enumerate(durations_ms)
    ]


def _voiced(milliseconds: int, place: int) -> Waveform:
    """A buzz of 100 to 200 Hz: something that is not noise."""
    seconds = np.arange(round(milliseconds * SAMPLE_RATE / 1000)) / SAMPLE_RATE
    hertz = 100 + 100 * stream(1, "preflight", "voiced", place).random()
    return np.sum([0.1 * np.sin(2 * np.pi * hertz * k * seconds) / k for k in range(1, 9)], axis=0).astype(np.float32)


def _lora_weights(loaded: LoadedModel, targets: Sequence[str]) -> int:
    """Weights that an adapter of rank RANK adds in the published scope."""
    reached = (module for name, module in loaded.model.named_modules() if name.rpartition(".")[2] in targets)
    return sum(RANK * (module.in_features + module.out_features) for module in reached)


# Not torch.inference_mode: the tower's weights come back as new tensors, which are trained beside afterwards.
@torch.no_grad()
def stock_differences(loaded: PooledWhisper, waveforms: Sequence[Waveform]) -> tuple[float, float]:
    """How far what the tower gives for the frames of short sounds is from what the library gives for its whole window, in float32,
    relative to its root mean square: (largest with the frames that are used, largest with two frames fewer, which must differ)."""
    tower, extractor = loaded.tower, loaded.processor.feature_extractor
    precision, device = next(tower.parameters()).dtype, next(tower.parameters()).device
    positions = tower.config.max_source_positions
    largest = [0.0, 0.0]
    with _in_float32(tower, precision):
        for waveform in waveforms:
            whole, [length] = log_mel(extractor, [waveform], device, whole=True)
            if length < 2:
                continue
            mask = create_bidirectional_mask(
                config=tower.config,
                inputs_embeds=torch.zeros(1, positions, 1, device=device),
                attention_mask=(torch.arange(positions, device=device) < length)[None].long(),
            )
            stock = tower(whole, attention_mask=mask).last_hidden_state[:, : length // 2]
            size = stock.square().mean().sqrt()
            for place, mel in enumerate((loaded.spectrograms([waveform], device)[0], whole[..., : 2 * length])):
                difference = (loaded.encode_audio(mel, [length]) - stock).abs().max() / size
                largest[place] = max(largest[place], float(difference))
    return largest[0], largest[1]


@contextlib.contextmanager
def _in_float32(tower: torch.nn.Module, precision: torch.dtype) -> Iterator[None]:
    """A tower in float32 that its kernels keep to; 16 bits come back as they were."""
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    tower.float()
    try:
        yield
    finally:
        tower.to(precision)
        torch.backends.cudnn.allow_tf32 = allowed
