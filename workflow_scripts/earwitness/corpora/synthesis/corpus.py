"""The embedded corpora, and how two of them are written in VoxConverse's and ESC-50's layouts.

The base corpus trains the tiny base model; the study corpus is what the study measures and fine-tunes on; the baseline corpus
(`earwitness.corpora.synthesis.fsd50k`) is what the psychoacoustic baseline measures. No two share a language, voice variant, room
size, reverberation time or channel. The base shares no sound category with the others; the baseline's are the study's,
from other draws.
"""

import csv
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import soxr

from earwitness.audio.acoustics import amplitude
from earwitness.core.errors import InputError
from earwitness.core.progress import Progress
from earwitness.core.randomness import stream
from earwitness.corpora.rttm import Turn
from earwitness.corpora.synthesis import Samples, rooms, sounds, voices
from earwitness.runtime.workers import end_with_parent

CORPORA = ("study", "base", "baseline")

SPEECH_RATE = 16_000
"""Hz; VoxConverse's sample rate."""

MOST_SPEAKERS = 200
"""Main speakers; the numbers above are for those who talk with them, so that nobody is heard in two recordings."""

TAKE_S = 5.0
_FOLDS = 5
_FIRST_SRC_FILE = {"study": 900_001, "base": 800_001, "baseline": 700_001}
_DIALOGUE_SHARE = {"study": 0.4, "base": 0.4, "baseline": 0.0}
_SECOND_TAKE_SHARE = 0.35

_STREAM = "make_embedded_corpus"


@dataclass(frozen=True)
class SoundSource:
    """One sound source: its number in ESC-50's sense, its category, and how many takes of five seconds it has."""

    src_file: int
    category: str
    takes: int


def sound_source(corpus: str, index: int, seed: int) -> SoundSource:
    """The sound source with this number; it does not depend on how many others there are."""
    categories = list(sounds.SOUNDS[corpus])
    takes = 2 if stream(seed, _STREAM, corpus, "takes", index).uniform() < _SECOND_TAKE_SHARE else 1
    return SoundSource(_FIRST_SRC_FILE[corpus] + index, categories[index % len(categories)], takes)


def synthesise_recording(corpus: str, index: int, seed: int) -> tuple[Samples, list[Turn]]:
    """One speaker's recording of about 8 to 12 s at 16 kHz; in four of ten a second speaker answers and interrupts,
    in none of the baseline corpus.

    Returns the samples, and the turns of every speaker in order of their start, measured on the dry voices.
    """
    rng = stream(seed, _STREAM, corpus, "recording", index)
    acoustics = rooms.ACOUSTICS[corpus]
    room = rooms.draw_room(acoustics, rng)
    dialogue = rng.uniform() < _DIALOGUE_SHARE[corpus]
    speakers = [voices.speaker(corpus, index, seed)]
    if dialogue:
        speakers.append(voices.speaker(corpus, MOST_SPEAKERS + index, seed))
    spoken = [iter(_sentences(who, rng.uniform(-3, 3) if k else 0.0, seed)) for k, who in enumerate(speakers)]

    tracks: list[list[tuple[int, Samples]]] = [[] for _ in speakers]
    order = [0, 1, 0, 1, 0, 1, 0] if dialogue else [0] * 7
    wanted, end, interrupted = rng.uniform(7.8, 10.0) * SPEECH_RATE, round(rng.uniform(0.1, 0.5) * SPEECH_RATE), False
    for turn, k in enumerate(order):
        sentence = next(spoken[k])
        pause = rng.uniform(0.3, 0.8)
        if dialogue and turn and (rng.uniform() < 0.3 or not interrupted):
            pause, interrupted = -min(rng.uniform(0.4, 1.2), 0.4 * len(sentence) / SPEECH_RATE), True
        start = end + (round(pause * SPEECH_RATE) if turn else 0)
        tracks[k].append((start, sentence))
        end = max(end, start + len(sentence))
        if turn and end > wanted:
            break

    mixed = np.zeros(end + round(0.3 * SPEECH_RATE))
    turns: list[Turn] = []
    for k, track in enumerate(tracks):
        dry = np.zeros(len(mixed))
        for start, sentence in track:
            dry[start : start + len(sentence)] += sentence
        turns += [Turn(first, last, f"spk{k:02d}") for first, last in voices.active_stretches(dry, SPEECH_RATE)]
        response = rooms.impulse_response(room, rng.uniform(*acoustics.distance_m), SPEECH_RATE, rng)
        mixed += rooms.reverberate(dry, response)
    return rooms.record(mixed, SPEECH_RATE, acoustics, rng), sorted(turns, key=lambda turn: (turn.start_s, turn.speaker))


def _sentences(who: voices.Speaker, gain_db: float, seed: int) -> list[Samples]:
    """Seven sentences at 16 kHz, without silence around them, all at one level."""
    spoken = []
    for samples in voices.speak(who, voices.pseudo_sentences(who, 7, seed), seed):
        stretches = voices.active_stretches(samples, voices.RATE)
        trimmed = samples[round(stretches[0][0] * voices.RATE) : round(stretches[-1][1] * voices.RATE)]
        level = np.sqrt(np.mean(np.square(trimmed)))
        spoken.append(soxr.resample(trimmed / level * amplitude(gain_db), voices.RATE, SPEECH_RATE, quality="HQ"))
    return spoken


def synthesise_sound(corpus: str, index: int, seed: int) -> list[Samples]:
    """The takes of one sound source, each 5 s at 44.1 kHz, cut from one longer recording."""
    source = sound_source(corpus, index, seed)
    rng = stream(seed, _STREAM, corpus, "sound", index)
    acoustics = rooms.ACOUSTICS[corpus]
    room = rooms.draw_room(acoustics, rng)
    length = round(TAKE_S * sounds.RATE)
    dry = sounds.SOUNDS[corpus][source.category](rng, length * source.takes)
    response = rooms.impulse_response(room, rng.uniform(*acoustics.distance_m), sounds.RATE, rng)
    recorded = rooms.record(rooms.reverberate(dry, response), sounds.RATE, acoustics, rng)
    return [recorded[take * length : (take + 1) * length] for take in range(source.takes)]


def rttm_line(recording: str, turn: Turn) -> str:
    """One SPEAKER line of an RTTM file."""
    return f"SPEAKER {recording} 1 {turn.start_s:.3f} {turn.end_s - turn.start_s:.3f} <NA> <NA> {turn.speaker} <NA> <NA>\n"


def _write_recording(folder: Path, corpus: str, seed: int, index: int) -> None:
    name = f"{corpus}{index:03d}"
    samples, turns = synthesise_recording(corpus, index, seed)
    soundfile.write(folder / "audio" / f"{name}.wav", samples, SPEECH_RATE, subtype="PCM_16")
    (folder / "rttm" / f"{name}.rttm").write_text("".join(rttm_line(name, turn) for turn in turns), encoding="utf-8")


def _sound_rows(corpus: str, seed: int, index: int) -> list[dict[str, str | int | bool]]:
    """The rows of meta/esc50.csv for one source."""
    source = sound_source(corpus, index, seed)
    fold, target = index % _FOLDS + 1, sounds.TARGETS[source.category]
    return [
        {
            "filename": f"{fold}-{source.src_file}-{take}-{target}.wav",
            "fold": fold,
            "target": target,
            "category": source.category,
            "esc10": source.category in sounds.ESC10,
            "src_file": source.src_file,
            "take": take,
        }
        for take in "AB"[: source.takes]
    ]


def _write_sound(folder: Path, corpus: str, seed: int, index: int) -> None:
    for row, samples in zip(_sound_rows(corpus, seed, index), synthesise_sound(corpus, index, seed), strict=True):
        soundfile.write(folder / "audio" / str(row["filename"]), samples, sounds.RATE, subtype="PCM_16")


def write_corpus(corpus: str, speech: Path, sound: Path, speakers: int, sources: int, seed: int, threads: int) -> None:
    """Write a corpus into two existing, empty folders.

    speech: gets audio/*.wav and rttm/*.rttm, one recording per speaker (at most 200).
    sound: gets audio/*.wav and meta/esc50.csv, one or two files per source.
    Raises InputError where more speakers are asked for than there are voices.
    """
    refuse_too_many(speakers)
    for folder in (speech / "audio", speech / "rttm", sound / "audio", sound / "meta"):
        folder.mkdir()
    jobs: list[Callable[[], None]] = [partial(_write_recording, speech, corpus, seed, index) for index in range(speakers)]
    jobs += [partial(_write_sound, sound, corpus, seed, index) for index in range(sources)]
    run_jobs(jobs, threads, f"{corpus} corpus")

    rows = [row for index in range(sources) for row in _sound_rows(corpus, seed, index)]
    with (sound / "meta" / "esc50.csv").open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: str(row["filename"])))


def refuse_too_many(speakers: int) -> None:
    """Raise InputError where more speakers are asked for than there are voices."""
    if speakers > MOST_SPEAKERS:
        raise InputError(f"embedded: {speakers} speakers asked for, at most {MOST_SPEAKERS} differ; lower the number")


def _call(job: Callable[[], None]) -> None:
    job()


def run_jobs(jobs: list[Callable[[], None]], threads: int, what: str) -> None:
    """Run jobs in processes, since espeak-ng is not safe in threads."""
    if threads == 1:
        for job in Progress(jobs, total=len(jobs), desc=f"synthesising the {what}", unit="recordings"):
            job()
        return
    with multiprocessing.get_context("spawn").Pool(min(threads, len(jobs)), end_with_parent) as pool:
        for _ in Progress(pool.imap_unordered(_call, jobs), total=len(jobs), desc=f"synthesising the {what}", unit="recordings"):
            pass
