"""Where is speech in this sound? The detectors of this project and the well-known ones, behind one class.

from earwitness.detectors.speech_detector import SpeechDetector

detector = SpeechDetector.load("results/detector")        # or "silero", "firered", "pyannote", "webrtc", "energy"
for segment in detector.segments("talk.wav"):             # or an array: detector.segments(samples, 44_100)
    print(segment.start_s, segment.end_s, segment.probability)
track = detector.track("talk.wav")                        # probabilities, one every track.step_s seconds
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.audio.streaming import array_blocks, mono_blocks
from earwitness.core.errors import InputError
from earwitness.detectors.clip_files import why_not_heard
from earwitness.detectors.frames import FRAME_DETECTORS, frame_detector
from earwitness.detectors.segments import Segment, Segmenter, SegmentRule
from earwitness.detectors.tracks import FloatArray, FrameDetector

Sound = str | Path | npt.ArrayLike
"""A file's path, or samples: floats of full scale 1 or signed integers, shape (n_samples,) or (n_samples, n_channels)."""


class Heard(NamedTuple):
    """What became known with one more piece of a recording.

    probabilities: of its frames, shape (n_frames,); nan where there is no sound at all. segments: that nothing later can change. until_s: how much
    of the recording was read.
    """

    probabilities: FloatArray
    segments: list[Segment]
    until_s: float


@dataclass(frozen=True)
class Track:
    """Probabilities of speech, shape (n_frames,); frame k lasts from k to k + 1 times step_s. duration_s: of the recording."""

    step_s: float
    probabilities: FloatArray
    duration_s: float


@dataclass(frozen=True)
class SpeechDetector:
    """A detector that is loaded once and asked often. Raises InputError, in one line, wherever a sound cannot be heard."""

    frames: FrameDetector

    @classmethod
    def load(cls, which: str | Path = "results/detector", base: str | Path | None = None, **options: Any) -> "SpeechDetector":
        """A detector's folder, or the name of a well-known detector (earwitness.detectors.frames).

        base: folder of the base model; without it, it is found from the detector's folder. options, of a folder: quantisation ("none", "bfloat16",
        "nf4"), memory ("fast", "compact"), batch_size, prevalence (share of speech to expect, in (0, 1)).
        Raises InputError where there is no such detector, or something that it needs is missing.
        """
        if str(which) in FRAME_DETECTORS:
            if base is not None or options:
                raise InputError(f"{which} has no base model and no options; leave them out")
            return cls(frame_detector(str(which)))
        # Only a folder needs pandas, torch and all that.
        from earwitness.detectors.folder import load_detector_folder

        folder = load_detector_folder(Path(which))
        from earwitness.detectors.listener import trained_listener

        return cls(trained_listener(folder, Path(base) if base else None, **options).detector(folder.folder.name, folder.following))

    def with_rule(self, **changes: float | None) -> "SpeechDetector":
        """The same with another onset, offset, min_speech_s or min_silence_s; None leaves one as it is.

        An onset below the present offset brings that down with it.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        if "onset" in given and "offset" not in given:
            given["offset"] = min(given["onset"], self.rule.offset)
        return SpeechDetector(replace(self.frames, rule=replace(self.rule, **given)))

    @property
    def rule(self) -> SegmentRule:
        """How frames become segments."""
        return self.frames.rule

    @property
    def step_s(self) -> float:
        """Seconds from frame to frame."""
        return self.frames.step_s

    def listen(self, sound: Sound, sample_rate: int | None = None) -> Iterator[Heard]:
        """Follow a recording; memory does not depend on its length.

        sample_rate: Hz, of samples; files know theirs. The last piece comes when all is read.
        """
        segmenter, samples = Segmenter(self.rule, self.step_s), 0

        def counted(blocks: Iterable[Waveform]) -> Iterator[Waveform]:
            nonlocal samples
            for block in blocks:
                samples += len(block)
                yield block

        for piece in self.frames.follow(counted(_blocks(sound, sample_rate))):
            yield Heard(piece, list(segmenter.add(piece)), samples / SAMPLE_RATE)
        yield Heard(np.zeros(0), list(segmenter.end(samples / SAMPLE_RATE)), samples / SAMPLE_RATE)

    def segments(self, sound: Sound, sample_rate: int | None = None) -> Iterator[Segment]:
        """The segments of speech in a recording, as they are found."""
        for heard in self.listen(sound, sample_rate):
            yield from heard.segments

    def track(self, sound: Sound, sample_rate: int | None = None) -> Track:
        """The probability of speech throughout a recording."""
        pieces = list(self.listen(sound, sample_rate))
        return Track(self.step_s, np.concatenate([piece.probabilities for piece in pieces]), pieces[-1].until_s)

    def probability(self, sound: Sound, sample_rate: int | None = None) -> float:
        """The highest probability of any frame: is there speech anywhere? 0 for silence."""
        return max(float(np.nan_to_num(piece.probabilities).max(initial=0.0)) for piece in self.listen(sound, sample_rate))


def _blocks(sound: Sound, sample_rate: int | None) -> Iterator[Waveform]:
    if isinstance(sound, str | Path):
        if fault := why_not_heard(Path(sound)):
            raise InputError(f"{sound}: {fault}")
        return mono_blocks(Path(sound))
    if sample_rate is None:
        raise InputError("samples come without their rate; give it in Hz, as in detector.segments(samples, 16_000)")
    return array_blocks(sound, sample_rate)
