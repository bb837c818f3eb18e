"""How well detectors find the speech in real recordings, and where a handed-over detector loses it.

    PYTHONPATH=workflow_scripts python benchmarks/detection.py VOXCONVERSE ESC50 --folder results/detector --detectors silero webrtc energy

VOXCONVERSE: audio/*.wav with RTTM by the same stem. ESC50: audio/*.wav without a voice. Recordings are heard one by one; error rates are over all
of them together. The rows of the folder change one thing at a time:

as before   one-second stretches every half second, speech from a probability of 0.5 throughout
every 100 ms, every 100 ms in shorter stretches   the stretch around every frame, the same threshold
not the quiet   besides, what is 30 dB below the loudest 20 ms of a recording is no speech
smoothed    besides, the mean over nine frames
tuned       the folder's segments.json, which was tuned on development recordings of its own study
best here   the rule that is best on these very recordings: not a result, but what thresholds could still bring
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from earwitness.audio.acoustics import samples_of
from earwitness.audio.io import SAMPLE_RATE, read_mono
from earwitness.audio.sounding import FRAME, frame_levels
from earwitness.corpora.annotated import AnnotatedRecording, balanced, rttm_of
from earwitness.corpora.rttm import read_rttm
from earwitness.detectors.folder import load_detector_folder
from earwitness.detectors.following import Following
from earwitness.detectors.frames import frame_detector
from earwitness.detectors.listener import Listener, trained_listener
from earwitness.detectors.measuring import error_rate_interval
from earwitness.detectors.segments import SegmentRule
from earwitness.detectors.tuning import Followed, follow_all, tune_rule
from earwitness.evaluation.detection import added, detection_errors

QUIET_DB = 30.0


def recordings_in(folder: Path, annotated: bool) -> list[AnnotatedRecording]:
    found = []
    for path in sorted((folder / "audio").glob("*.wav")):
        annotation = rttm_of(path) if annotated else None
        turns = tuple((turn.start_s, turn.end_s) for turn in read_rttm(annotation).turns) if annotation else ()
        found.append(AnnotatedRecording(path.stem, path, len(read_mono(path)) / SAMPLE_RATE, (path.stem,), turns))
    return found


def line(name: str, followed: Followed, rule: SegmentRule, errors=None) -> None:
    by_recording = errors or followed.errors(rule)
    total = added(by_recording)
    low, high = error_rate_interval([one.recording_id for one in followed.recordings], by_recording, 0.95)
    missed, false = total.missed_s / total.speech_s, total.false_alarm_s / total.speech_s
    rate = f"{100 * total.error_rate:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    print(f"| {name} | {rate} | {100 * missed:.1f} | {100 * false:.1f} | {followed.roc().area:.3f} |", flush=True)


def as_before(listener: Listener, recordings) -> list:
    """Errors of the stretches of the longest stimulus, each half of it after the one before, that answer SPEECH."""
    length, errors = samples_of(listener.presentation.longest_ms), []
    for recording in recordings:
        samples = read_mono(recording.path)
        starts = [*range(0, max(len(samples) - length, 0), length // 2), max(len(samples) - length, 0)]
        speech = np.nan_to_num(listener.probabilities([samples[start : start + length] for start in starts])) >= 0.5
        found = [(start / SAMPLE_RATE, (start + length) / SAMPLE_RATE) for start, is_speech in zip(starts, speech, strict=True) if is_speech]
        errors.append(detection_errors(recording.speech, found, recording.duration_s))
    return errors


def without_quiet(followed: Followed) -> Followed:
    tracks = []
    for recording, track in zip(followed.recordings, followed.tracks, strict=True):
        levels = frame_levels(read_mono(recording.path))
        size = round(followed.step_s * SAMPLE_RATE / FRAME)
        loudest = np.array([levels[k * size : (k + 1) * size].max(initial=-np.inf) for k in range(len(track))])
        tracks.append(np.where(loudest >= levels.max() - QUIET_DB, track, np.nan))
    return replace(followed, tracks=tracks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("sounds", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--detectors", nargs="*", default=[])
    parser.add_argument("--seconds", type=float, default=300.0, help="of either kind")
    args = parser.parse_args()
    torch.set_num_threads(1)
    recordings = balanced(recordings_in(args.speech, True), recordings_in(args.sounds, False), args.seconds, 1)
    speech_s = sum(end - start for recording in recordings for start, end in recording.speech)
    print(f"{len(recordings)} recordings, {sum(one.duration_s for one in recordings):.0f} s, {speech_s:.0f} s of speech (overlaps counted twice)\n")
    print("| | error rate | missed | false alarms | ROC area |\n| --- | ---: | ---: | ---: | ---: |")
    for name in args.detectors:
        detector = frame_detector(name)
        line(name, follow_all(detector, recordings), detector.rule)
    if args.folder:
        folder = load_detector_folder(args.folder)
        listener, longest = trained_listener(folder, args.base), folder.presentation.longest_ms
        half = SegmentRule()
        plain = follow_all(listener.detector("plain", Following(longest, 100, half)), recordings)
        line(f"as before ({longest} ms every {longest // 2} ms)", plain, half, as_before(listener, recordings))
        line(f"every 100 ms, {longest} ms", plain, half)
        shorter = follow_all(listener.detector("shorter", Following(round(0.6 * longest), 100, half)), recordings)
        line(f"every 100 ms, {round(0.6 * longest)} ms", shorter, half)
        line("the same, not the quiet", without_quiet(shorter), half)
        line("the same, smoothed", shorter.smoothed(9), half)
        following = folder.following
        tuned = follow_all(listener.detector("tuned", following), recordings)
        line("tuned on its development recordings", tuned, following.rule)
        line("best here (not a result)", shorter.smoothed(9), tune_rule(shorter.smoothed(9)).rule)


if __name__ == "__main__":
    main()
