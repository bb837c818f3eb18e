"""Detectors on recordings where speech and sounds take turns, in noise, or annotated by others; everything tuned on one half, measured on the other.

    PYTHONPATH=workflow_scripts python benchmarks/detection_conditions.py VOXCONVERSE ESC50 --detectors silero --zero-shot BASE --turns --snr-db 0

VOXCONVERSE, ESC50: as for benchmarks/detection.py. --zero-shot: folders of base models, asked "Does this sound contain human speech?" in letters
about the stretches that follow_recordings tries; stretch, smoothing and rule are chosen on every other recording by detection error rate and
measured on the rest, both ways. Classic detectors appear with their own rule, and with one chosen likewise.

--folders    folders of detectors that were handed over, as results/detector (--base: their base, where they do not find it): with the rule that
             they were handed over with, and tuned as a base is
--develop    other recordings of speech, in folders as VOXCONVERSE has: everything is chosen on them and on every other sound, and measured on
             VOXCONVERSE and the other sounds
--turns      new recordings: each takes turns between a recording of speech and a sound, of one level, 0.5 to 3 s at a time
--snr-db     white noise over everything, the speech (or the sound) so much above it
--annotators the annotation is what most of these detectors find in the recordings of speech as they are, instead of the RTTM
--pauses     what the annotation leaves out of recordings of speech counts; without it, it is not scored, since only its annotator says that
             nobody speaks there
--tracks     a folder where tracks are kept: what lies there is not asked for again
"""

import argparse
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from detection import recordings_in

from earwitness.audio.acoustics import raised_cosine_ramp, samples_of
from earwitness.audio.io import SAMPLE_RATE, read_mono
from earwitness.config import complete_config
from earwitness.core.randomness import stream
from earwitness.corpora.annotated import AnnotatedRecording, balanced
from earwitness.detectors.folder import load_detector_folder
from earwitness.detectors.following import Following
from earwitness.detectors.frames import frame_detector
from earwitness.detectors.listener import CPU_STRETCHES, Listener, trained_listener
from earwitness.detectors.listener_tuning import SMOOTHED, STRETCH_SHARES
from earwitness.detectors.measuring import error_rate_interval
from earwitness.detectors.presentation import presentation_of
from earwitness.detectors.segments import SegmentRule, segments_of
from earwitness.detectors.tracks import FrameDetector
from earwitness.detectors.tuning import Followed, Tuned, follow_all, tune_rule
from earwitness.evaluation.detection import GRID_S, DetectionErrors, added, detection_errors, intersection, speech_on_grid, united
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.loading import load_model
from earwitness.model.engine.prompting import Prompt
from earwitness.model.identity import identified

QUESTION = "Does this sound contain human speech?"
STEP_MS = 100
TURNS_S = 0.5, 3.0
LEVEL = 0.05

Stretches = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Scene:
    """A recording, and what of it is scored."""

    recording: AnnotatedRecording
    scored: Stretches


@dataclass(frozen=True)
class FollowedScenes(Followed):
    """scored: of each recording."""

    scored: Sequence[Stretches] = ()

    def errors(self, rule: SegmentRule) -> list[DetectionErrors]:
        found = []
        for recording, track, scored in zip(self.recordings, self.tracks, self.scored, strict=True):
            answer = [(one.start_s, one.end_s) for one in segments_of([track], self.step_s, rule, recording.duration_s)]
            found.append(detection_errors(recording.speech, intersection(united(answer), scored), recording.duration_s))
        return found

    def part(self, places: Sequence[int]) -> "FollowedScenes":
        return replace(
            self,
            recordings=[self.recordings[k] for k in places],
            tracks=[self.tracks[k] for k in places],
            scored=[self.scored[k] for k in places],
        )


def scene_of(recording: AnnotatedRecording, pauses: bool) -> Scene:
    speech = tuple(united(recording.speech, recording.duration_s))
    return Scene(recording, speech if speech and not pauses else ((0.0, recording.duration_s),))


def written(scene: Scene, samples: np.ndarray, folder: Path) -> Scene:
    path = folder / f"{scene.recording.recording_id}.wav"
    soundfile.write(path, samples / max(1.0, float(np.abs(samples).max())), SAMPLE_RATE, subtype="PCM_16")
    return replace(scene, recording=replace(scene.recording, path=path))


def taking_turns(speech: Scene, sound: Scene, pauses: bool, folder: Path) -> Scene:
    """Turns between both, from the first to the last sample of the speech; the sound begins again where it ends."""
    rng = stream(0, "turns", speech.recording.recording_id)
    talk, noise = (read_mono(one.recording.path).astype(np.float64) for one in (speech, sound))
    talk, noise = (LEVEL * one / np.sqrt(np.mean(one[one != 0] ** 2)) for one in (talk, noise))
    turns, scored, pieces = [], [], []
    used, heard, now, talking = 0, 0, 0, bool(rng.integers(2))
    while used < len(talk):
        length = round(rng.uniform(*TURNS_S) * SAMPLE_RATE)
        if talking:
            length = min(length, len(talk) - used)
            piece, shift = talk[used : used + length], (now - used) / SAMPLE_RATE
            here = intersection(speech.recording.speech, [(used / SAMPLE_RATE, (used + length) / SAMPLE_RATE)])
            turns += [(start + shift, end + shift) for start, end in here]
            scored += [(now / SAMPLE_RATE, (now + length) / SAMPLE_RATE)] if pauses else [(start + shift, end + shift) for start, end in here]
            used += length
        else:
            piece = np.take(noise, range(heard, heard + length), mode="wrap")
            scored.append((now / SAMPLE_RATE, (now + length) / SAMPLE_RATE))
            heard += length
        if length > 2 * samples_of(5):
            piece = piece * raised_cosine_ramp(length, samples_of(5))
        pieces.append(piece)
        now, talking = now + length, not talking
    recording = replace(speech.recording, duration_s=now / SAMPLE_RATE, speech=tuple(turns))
    return written(Scene(recording, tuple(united(scored))), np.concatenate(pieces), folder)


def in_noise(scene: Scene, snr_db: float, folder: Path) -> Scene:
    samples = read_mono(scene.recording.path).astype(np.float64)
    of_speech = speech_on_grid(scene.recording.speech, scene.recording.duration_s).repeat(round(GRID_S * SAMPLE_RATE))[: len(samples)]
    signal = samples[: len(of_speech)][of_speech] if of_speech.any() else samples[samples != 0]
    level = np.sqrt(np.mean(signal**2)) * 10 ** (-snr_db / 20)
    return written(scene, samples + level * stream(0, "noise", scene.recording.recording_id).standard_normal(len(samples)), folder)


def annotated_by(names: Sequence[str], recordings: Sequence[AnnotatedRecording]) -> list[AnnotatedRecording]:
    """Recordings of speech with what most of these detectors find in them, in steps of GRID_S."""
    votes = [np.zeros(int(round(one.duration_s / GRID_S, 6)), dtype=int) for one in recordings]
    for name in names:
        detector = frame_detector(name)
        for vote, one, track in zip(votes, recordings, follow_all(detector, recordings).tracks, strict=True):
            vote += speech_on_grid([found[:2] for found in segments_of([track], detector.step_s, detector.rule, one.duration_s)], one.duration_s)
    result = []
    for vote, one in zip(votes, recordings, strict=True):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], 2 * vote > len(names), [0]]).astype(int))) * GRID_S
        result.append(replace(one, speech=tuple(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))) if one.speech else one)
    return result


def followed(detector: FrameDetector, scenes: Sequence[Scene], kept: Path | None) -> FollowedScenes:
    recordings = [scene.recording for scene in scenes]
    if kept and kept.exists():
        stored = np.load(kept)
        heard = Followed(recordings, [stored[one.recording_id] for one in recordings], detector.step_s)
    else:
        heard = follow_all(detector, recordings)
        if kept:
            np.savez_compressed(kept, **{one.recording_id: track for one, track in zip(recordings, heard.tracks, strict=True)})
    return FollowedScenes(recordings, heard.tracks, heard.step_s, [scene.scored for scene in scenes])


def zero_shot(base: Path) -> Listener:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = complete_config({})
    presentation = presentation_of(config["stimuli"], config["finetuning"]["recipe"])
    batches = Batches(CPU_STRETCHES if device.type == "cpu" else None, device)
    return Listener(load_model(identified(base), device=device), Prompt(QUESTION), presentation, batches)


def line(name: str, recordings: Sequence[AnnotatedRecording], errors: Sequence[DetectionErrors], how: str) -> None:
    total = added(errors)
    low, high = error_rate_interval([one.recording_id for one in recordings], errors, 0.95)
    missed, false = (f"{100 * part / total.speech_s:.1f}" for part in (total.missed_s, total.false_alarm_s))
    print(f"| {name} | {100 * total.error_rate:.1f} [{100 * low:.1f}, {100 * high:.1f}] | {missed} | {false} | {how} |", flush=True)


def halves(scenes: Sequence[Scene]) -> list[list[int]]:
    """Every other recording of speech and every other sound, and the rest."""
    kinds = [[k for k, one in enumerate(scenes) if bool(one.recording.speech) == speech] for speech in (True, False)]
    return [sorted(kinds[0][part::2] + kinds[1][part::2]) for part in (0, 1)]


def chosen_and_measured(scenes: Sequence[Scene], developed: Collection[str]) -> list[tuple[list[int], list[int]]]:
    """Where everything is chosen and where it is measured: either half and the other, or `developed` and every other recording of speech."""
    first, second = halves(scenes)
    if not developed:
        return [(first, second), (second, first)]
    speech = [k for k, one in enumerate(scenes) if one.recording.speech]
    apart = [k for k in speech if scenes[k].recording.recording_id in developed]
    sounds = ([k for k in half if k not in speech] for half in (first, second))
    return [(apart + next(sounds), [k for k in speech if k not in apart] + next(sounds))]


def tuned(name: str, candidates: Sequence[tuple[str, FollowedScenes]], parts: Sequence[tuple[list[int], list[int]]]) -> None:
    """The candidate and rule that are best where everything is chosen, where it is measured."""
    recordings: list[AnnotatedRecording] = []
    errors: list[DetectionErrors] = []
    how = []
    for chosen_on, measured_on in parts:
        tried: list[tuple[str, FollowedScenes, Tuned]] = [(label, one, tune_rule(one.part(chosen_on))) for label, one in candidates]
        label, one, best = min(tried, key=lambda candidate: round(candidate[2].errors.error_rate, 9))
        measured = one.part(measured_on)
        recordings += measured.recordings
        errors += measured.errors(best.rule)
        rule = best.rule
        how.append(f"{label} {rule.onset:g} to {rule.offset:.2g}, {rule.min_speech_s:g} and {rule.min_silence_s:g} s".strip())
    line(f"{name}, tuned on {'the other half' if len(parts) > 1 else 'other recordings'}", recordings, errors, "; ".join(how))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("sounds", type=Path)
    parser.add_argument("--detectors", nargs="*", default=[])
    parser.add_argument("--zero-shot", nargs="*", type=Path, default=[])
    parser.add_argument("--folders", nargs="*", type=Path, default=[])
    parser.add_argument("--base", type=Path)
    parser.add_argument("--develop", type=Path)
    parser.add_argument("--turns", action="store_true")
    parser.add_argument("--snr-db", type=float)
    parser.add_argument("--annotators", nargs="*", default=[])
    parser.add_argument("--pauses", action="store_true")
    parser.add_argument("--tracks", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0, help="of either kind")
    args = parser.parse_args()
    torch.set_num_threads(1)
    developed = recordings_in(args.develop, True) if args.develop else []
    recordings = developed + balanced(recordings_in(args.speech, True), recordings_in(args.sounds, False), args.seconds, 1)
    if args.annotators:
        recordings = annotated_by(args.annotators, recordings)
    scenes = [scene_of(one, args.pauses) for one in recordings]
    condition = "".join([" turns" * args.turns, f" {args.snr_db:g} dB" if args.snr_db is not None else ""])
    with tempfile.TemporaryDirectory() as folder:
        if args.turns:
            pairs = zip(*([one for one in scenes if bool(one.recording.speech) == speech] for speech in (True, False)), strict=False)
            scenes = [taking_turns(speech, sound, args.pauses, Path(folder)) for speech, sound in pairs]
        if args.snr_db is not None:
            scenes = [in_noise(scene, args.snr_db, Path(folder)) for scene in scenes]
        total_s = sum(one.recording.duration_s for one in scenes)
        speech_s = sum(end - start for one in scenes for start, end in united(one.recording.speech))
        print(f"{len(scenes)} recordings{condition}, {total_s:.0f} s, {speech_s:.0f} s of speech\n")
        print("| | error rate | missed | false alarms | chosen |\n| --- | ---: | ---: | ---: | --- |")

        def kept(name: str) -> Path | None:
            if args.tracks:
                args.tracks.mkdir(parents=True, exist_ok=True)
            return args.tracks / f"{name}{condition}.npz" if args.tracks else None

        parts = chosen_and_measured(scenes, {one.recording_id for one in developed})
        for name in args.detectors:
            detector = frame_detector(name)
            heard = followed(detector, scenes, kept(name))
            measured = heard.part([k for _, places in parts for k in places])
            line(f"{name}, its own rule", measured.recordings, measured.errors(detector.rule), "")
            tuned(name, [("", heard)], parts)
        for path in args.folders:
            folder = load_detector_folder(path)
            heard = followed(trained_listener(folder, args.base).detector("handed over", folder.following), scenes, kept(f"{path.name} handed over"))
            measured = heard.part([k for _, places in parts for k in places])
            line(f"{path.name}, its own rule", measured.recordings, measured.errors(folder.following.rule), "")
        for path in (*args.folders, *args.zero_shot):
            listener = trained_listener(load_detector_folder(path), args.base) if path in args.folders else zero_shot(path)
            candidates = []
            for share in STRETCH_SHARES:
                stretch_ms = round(share * listener.presentation.longest_ms)
                detector = listener.detector(f"{stretch_ms} ms", Following(stretch_ms, STEP_MS, SegmentRule()))
                heard = followed(detector, scenes, kept(f"{path.name} {stretch_ms} ms"))
                candidates += [(f"{stretch_ms} ms, mean of {width},", heard.smoothed(width)) for width in SMOOTHED]
            tuned(path.name, candidates, parts)


if __name__ == "__main__":
    main()
