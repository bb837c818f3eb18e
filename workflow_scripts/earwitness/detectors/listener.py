"""A base model, with an adapter or without, that follows a recording: every few milliseconds it is asked about the stretch around."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from earwitness.audio.acoustics import samples_of
from earwitness.audio.io import Waveform
from earwitness.detectors.folder import DetectorFolder
from earwitness.detectors.following import Following
from earwitness.detectors.presentation import Presentation
from earwitness.detectors.tracks import FloatArray, FrameDetector, smoothed
from earwitness.evaluation.probability import Calibration
from earwitness.model.engine.adapters import can_merge, load_adapter
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.features import encode_waveforms
from earwitness.model.engine.loading import Memory, load_model
from earwitness.model.engine.prompting import Prompt, tokenise
from earwitness.model.engine.scoring import Scorer
from earwitness.model.families.loaded_model import LoadedModel
from earwitness.model.identity import identified
from earwitness.model.measured_sizes import MeasuredSizes

STRETCHES_AT_A_TIME = 256
CPU_STRETCHES = 16
"""In a batch on a CPU: a tenth slower than 64, and 45 MB less with the tiny base."""


def trained_listener(
    folder: DetectorFolder,
    base: Path | None = None,
    quantisation: str | None = None,
    memory: Memory = "fast",
    batch_size: int | None = None,
    prevalence: float = 0.5,
) -> "Listener":
    """The model with the adapter of a detector's folder.

    base: folder of the base model, found from the detector's folder where None. quantisation: the folder's own where None. prevalence: share of
    speech to expect, in (0, 1). Raises InputError where the base is not found or not the adapter's.
    """
    given = identified(base or folder.base_folder())
    folder.verify_base(given)
    loaded = load_model(given, quantisation or folder.quantisation, memory=memory)
    loaded = load_adapter(loaded, folder.folder, can_merge(loaded, memory))
    size = batch_size or (CPU_STRETCHES if loaded.device.type == "cpu" else None)
    measured = MeasuredSizes(given, quantisation or folder.quantisation, memory, loaded.device)
    batches = Batches(size, loaded.device, memory, measured)
    return Listener(loaded, Prompt(**folder.prompt), folder.presentation, batches, folder.calibration, prevalence)


@dataclass(frozen=True)
class Listener:
    """A model and its question, and how sound is presented to it."""

    loaded: LoadedModel
    prompt: Prompt
    presentation: Presentation
    batches: Batches
    calibration: Calibration = field(default_factory=Calibration)
    prevalence: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "_scorer", Scorer(self.loaded, [tokenise(self.loaded, self.prompt)]))

    def detector(self, name: str, following: Following) -> FrameDetector:
        """This as a detector that follows recordings in one way."""
        shortest_s = self.presentation.shortest_ms / 1000
        return FrameDetector(name, following.step_ms / 1000, following.rule, lambda blocks: self.follow(blocks, following), shortest_s)

    def follow(self, blocks: Iterable[Waveform], following: Following) -> Iterator[FloatArray]:
        """The track of a recording: earwitness.detectors.tracks.Follow."""
        return smoothed(self._asked(blocks, following), following.smoothed)

    def _asked(self, blocks: Iterable[Waveform], following: Following) -> Iterator[FloatArray]:
        stretches: list[Waveform] = []
        places: list[int] = []  # of each frame, its stretch
        for stretch, is_new in around_frames(blocks, following):
            if is_new and len(stretches) == STRETCHES_AT_A_TIME:
                yield self.probabilities(stretches)[places]
                stretches, places = [], []
            if is_new or not stretches:
                stretches.append(stretch)
            places.append(len(stretches) - 1)
        if stretches:
            yield self.probabilities(stretches)[places]

    def probabilities(self, stretches: list[Waveform]) -> FloatArray:
        """The probability of speech in each stretch; nan where it is silent."""
        found = np.full(len(stretches), np.nan)
        heard = [place for place, stretch in enumerate(stretches) if not self.presentation.window.is_silent(stretch)]
        if heard:
            windows = [self.presentation.present(stretches[place]) for place in heard]
            answers = self.batches.run(lambda batch: self._scorer(encode_waveforms(self.loaded, batch)), windows, "waveforms")
            found[heard] = self.calibration.probability(np.concatenate([scores.log_odds for (scores,) in answers]), self.prevalence)
        return found

    _scorer: Scorer = field(init=False, repr=False)


def around_frames(blocks: Iterable[Waveform], following: Following) -> Iterator[tuple[Waveform, bool]]:
    """Of every frame the stretch around its middle, and whether it is another than the one before.

    At a recording's ends the stretch is its first or last one; a recording shorter than a stretch is heard whole.
    """
    length, step = samples_of(following.stretch_ms), samples_of(following.step_ms)
    held, first, total, frame, latest = np.zeros(0, np.float32), 0, 0, 0, -1

    def of(frame: int) -> int:
        return frame * step + step // 2 - length // 2

    for block in blocks:
        held, total = np.concatenate([held, block]), total + len(block)
        while (start := max(of(frame), 0)) + length <= total:
            yield held[start - first : start - first + length], start != latest
            frame, latest = frame + 1, start
        keep = min(max(of(frame), 0), max(total - length, 0))
        held, first = held[keep - first :], keep
    while frame * step < total:
        start = min(max(of(frame), 0), max(total - length, 0))
        yield held[start - first : start - first + length], start != latest
        frame, latest = frame + 1, start
