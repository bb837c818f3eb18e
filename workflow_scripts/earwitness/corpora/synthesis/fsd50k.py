"""The baseline corpus, written in FSD50K's layout: one talker or one sound per file, every source an uploader of its own."""

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import soundfile
import soxr

from earwitness.corpora.synthesis import Samples, sounds
from earwitness.corpora.synthesis.corpus import SPEECH_RATE, refuse_too_many, run_jobs, sound_source, synthesise_recording, synthesise_sound

CORPUS = "baseline"

RATE = 44_100
"""Hz; FSD50K's sample rate, of speech and sounds alike."""

SPEECH_LABELS = "Speech,Human_voice"
_FIRST_SPEECH = 6_000_010
_EVAL_EVERY = 5


def part(index: int) -> str:
    """The part of FSD50K, "dev" or "eval", that a source is in."""
    return "eval" if index % _EVAL_EVERY == _EVAL_EVERY - 1 else "dev"


def _speech_name(index: int) -> str:
    return str(_FIRST_SPEECH + 10 * index)


def _sound_names(index: int, seed: int) -> list[str]:
    source = sound_source(CORPUS, index, seed)
    return [str(10 * source.src_file + take) for take in range(source.takes)]


def _write(folder: Path, index: int, name: str, samples: Samples) -> None:
    soundfile.write(folder / f"FSD50K.{part(index)}_audio" / f"{name}.wav", samples, RATE, subtype="PCM_16")


def _write_speech(folder: Path, seed: int, index: int) -> None:
    samples, _ = synthesise_recording(CORPUS, index, seed)
    _write(folder, index, _speech_name(index), soxr.resample(samples, SPEECH_RATE, RATE, quality="VHQ"))


def _write_sound(folder: Path, seed: int, index: int) -> None:
    for name, samples in zip(_sound_names(index, seed), synthesise_sound(CORPUS, index, seed), strict=True):
        _write(folder, index, name, samples)


def write_fsd50k(folder: Path, speakers: int, sources: int, seed: int, threads: int) -> None:
    """Write the baseline corpus into an existing, empty folder.

    Gets FSD50K.{dev,eval}_audio/*.wav, FSD50K.ground_truth/{dev,eval}.csv (fname and labels alone) and
    FSD50K.metadata/{dev,eval}_clips_info_FSD50K.json (the uploader alone); every fifth source is in eval.
    speakers: at most 200, one recording each. sources: of sounds, one or two files each.
    Raises InputError where more speakers are asked for than there are voices.
    """
    refuse_too_many(speakers)
    for name in ("dev_audio", "eval_audio", "ground_truth", "metadata"):
        (folder / f"FSD50K.{name}").mkdir()
    jobs: list[Callable[[], None]] = [partial(_write_speech, folder, seed, index) for index in range(speakers)]
    jobs += [partial(_write_sound, folder, seed, index) for index in range(sources)]
    run_jobs(jobs, threads, f"{CORPUS} corpus")

    files = [(part(index), _speech_name(index), SPEECH_LABELS, f"speaker{index:03d}") for index in range(speakers)]
    for index in range(sources):
        labels = sounds.FSD50K_LABELS[sound_source(CORPUS, index, seed).category]
        files += [(part(index), name, labels, f"recordist{index:03d}") for name in _sound_names(index, seed)]
    for wanted in ("dev", "eval"):
        mine = [(name, labels, uploader) for of, name, labels, uploader in files if of == wanted]
        with (folder / "FSD50K.ground_truth" / f"{wanted}.csv").open("w", encoding="utf-8", newline="") as table:
            writer = csv.writer(table, lineterminator="\n")
            writer.writerow(["fname", "labels"])
            writer.writerows((name, labels) for name, labels, _ in mine)
        about = {name: {"uploader": uploader} for name, _, uploader in mine}
        path = folder / "FSD50K.metadata" / f"{wanted}_clips_info_FSD50K.json"
        path.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
