"""Procedural environmental sounds in ESC-50's categories.

Each function draws the parameters of one source (a dog's size, a bell's pitch) and then that source's events, and
returns a dry recording at 44.1 kHz of any length. Levels are free: the recorder sets them later.
"""

from collections.abc import Callable

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from earwitness.audio.acoustics import amplitude
from earwitness.corpora.synthesis import Samples

RATE = 44_100
"""Hz; ESC-50's sample rate."""

Rng = np.random.Generator
Maker = Callable[[Rng, int], Samples]

TARGETS = {
    "dog": 0,
    "rooster": 1,
    "pig": 2,
    "cow": 3,
    "frog": 4,
    "cat": 5,
    "hen": 6,
    "insects": 7,
    "sheep": 8,
    "crow": 9,
    "rain": 10,
    "sea_waves": 11,
    "crackling_fire": 12,
    "crickets": 13,
    "chirping_birds": 14,
    "water_drops": 15,
    "wind": 16,
    "pouring_water": 17,
    "thunderstorm": 19,
    "footsteps": 25,
    "door_wood_knock": 30,
    "mouse_click": 31,
    "keyboard_typing": 32,
    "washing_machine": 35,
    "vacuum_cleaner": 36,
    "clock_alarm": 37,
    "clock_tick": 38,
    "glass_breaking": 39,
    "helicopter": 40,
    "chainsaw": 41,
    "siren": 42,
    "car_horn": 43,
    "engine": 44,
    "train": 45,
    "church_bells": 46,
    "airplane": 47,
    "fireworks": 48,
    "hand_saw": 49,
}
"""ESC-50's class numbers of the categories made here."""

ESC10 = frozenset({"dog", "rooster", "rain", "sea_waves", "crackling_fire", "clock_tick", "helicopter", "chainsaw"})
"""Those of them that are in the subset ESC-10."""


def _seconds(duration_s: float) -> Samples:
    return np.arange(max(round(duration_s * RATE), 2)) / RATE


def _noise(rng: Rng, n_samples: int, low_hz: float = 20.0, high_hz: float = 16_000.0, order: int = 2) -> Samples:
    """Band-passed Gaussian noise of RMS 1."""
    sections = butter(order, [low_hz, high_hz], "bandpass", fs=RATE, output="sos")
    noise = sosfilt(sections, rng.normal(size=n_samples))
    return noise / np.std(noise)


def _drift(rng: Rng, n_samples: int, rate_hz: float) -> Samples:
    """A smooth random curve of mean 0 and standard deviation near 1 that changes about `rate_hz` times a second."""
    knots = rng.normal(size=int(n_samples / RATE * rate_hz) + 3)
    positions = np.linspace(0, len(knots) - 1.001, n_samples)
    whole = positions.astype(int)
    weight = 0.5 - 0.5 * np.cos(np.pi * (positions - whole))
    return knots[whole] * (1 - weight) + knots[whole + 1] * weight


def _envelope(n_samples: int, attack_s: float, release_s: float) -> Samples:
    """Rises and falls as half a cosine."""
    envelope = np.ones(n_samples)
    for seconds, edge in ((attack_s, slice(None)), (release_s, slice(None, None, -1))):
        length = min(max(round(seconds * RATE), 1), n_samples)
        envelope[edge][:length] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(length) / length)
    return envelope


def _place(n_samples: int, events: list[tuple[float, Samples]]) -> Samples:
    """Add events at their times in seconds; what hangs over the end is cut."""
    out = np.zeros(n_samples)
    for time_s, event in events:
        start = round(time_s * RATE)
        if 0 <= start < n_samples:
            event = event[: n_samples - start]
            out[start : start + len(event)] += event
    return out


def _times(rng: Rng, n_samples: int, mean_gap_s: float, regularity: float) -> list[float]:
    """Event times; regularity 1 is a clock, 0 is a Poisson process."""
    times, now = [], float(rng.uniform(0, min(mean_gap_s, 0.5)))
    while now < n_samples / RATE:
        times.append(now)
        now += mean_gap_s * (regularity + (1 - regularity) * rng.exponential())
    return times


def _modes(frequencies: Samples, decays_s: Samples, amplitudes: Samples, duration_s: float) -> Samples:
    """Sum of decaying sinusoids, as of a struck body; decays to 1/e."""
    t = _seconds(duration_s)
    out = np.zeros(len(t))
    for frequency, decay, height in zip(frequencies, decays_s, amplitudes, strict=True):
        if frequency < RATE / 2:
            out += height * np.exp(-t / decay) * np.sin(2 * np.pi * frequency * t)
    return out


def _contour(points: list[float], n_samples: int) -> Samples:
    """A curve through equally spaced points."""
    return np.interp(np.linspace(0, len(points) - 1, n_samples), np.arange(len(points)), points)


def _harmonics(f0: Samples, rolloff_db: float, highest_hz: float = 9_000.0) -> Samples:
    """Harmonic complex that follows f0 in Hz; each octave is `rolloff_db` weaker."""
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    out = np.zeros(len(f0))
    for k in range(1, min(int(highest_hz / float(np.min(f0))), 60) + 1):
        out += amplitude(-rolloff_db * np.log2(k)) * np.sin(k * phase) * (k * f0 < highest_hz)
    return out


def _resonances(samples: Samples, centres_hz: list[float], widths_hz: list[float]) -> Samples:
    """Parallel two-pole resonators, as of a vocal tract; RMS 1."""
    out = np.zeros(len(samples))
    for k, (centre, width) in enumerate(zip(centres_hz, widths_hz, strict=True)):
        radius = np.exp(-np.pi * width / RATE)
        band = lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * centre / RATE), radius**2], samples)
        out += band * 0.7**k
    return out / max(float(np.std(out)), 1e-12)


def _cry(
    rng: Rng,
    duration_s: float,
    f0_points: list[float],
    first_mouth_hz: list[float],
    last_mouth_hz: list[float],
    breath: float,
    roughness: float = 0.0,
    rolloff_db: float = 6.0,
) -> Samples:
    """An animal's call: a harmonic and breathy source through a mouth that moves from one shape to another."""
    n = len(_seconds(duration_s))
    f0 = _contour(f0_points, n) * (1 + 0.01 * _drift(rng, n, 25.0))
    if roughness:
        f0 = f0 * np.exp(roughness * _drift(rng, n, 90.0))
    source = _harmonics(f0, rolloff_db) + breath * rng.normal(size=n)
    moving = _contour([0.0, 1.0], n)
    widths = [80 + 0.06 * centre for centre in first_mouth_hz]
    sound = _resonances(source, first_mouth_hz, widths) * (1 - moving) + _resonances(source, last_mouth_hz, widths) * moving
    return sound * _envelope(n, 0.04, 0.3 * duration_s)


def _thump(rng: Rng, low_hz: float, high_hz: float, decay_s: float) -> Samples:
    """A short noise burst that dies away exponentially."""
    t = _seconds(6 * decay_s)
    return _noise(rng, len(t), low_hz, high_hz) * np.exp(-t / decay_s)


def _rooster(rng: Rng, n: int) -> Samples:
    f0, size = rng.uniform(380, 620), rng.uniform(0.9, 1.2)
    mouth, wide = [900 * size, 1_900 * size, 3_300 * size], [1_300 * size, 2_300 * size, 3_600 * size]
    events = []
    for start in _times(rng, n, rng.uniform(2.6, 3.6), 0.9):
        at = start
        for length, shape in ((0.16, [0.8, 1.0]), (0.14, [0.9, 1.1]), (0.22, [0.95, 1.2]), (0.85, [1.1, 1.35, 1.3, 0.8])):
            length *= rng.uniform(0.85, 1.2)
            events.append((at, _cry(rng, length, [f0 * x for x in shape], mouth, wide, 0.1, 0.02, 4.0)))
            at += length + 0.04
    return _place(n, events)


def _cow(rng: Rng, n: int) -> Samples:
    f0, size = rng.uniform(85, 170), rng.uniform(0.85, 1.15)
    closed, opened = [260 * size, 780 * size, 2_000 * size], [560 * size, 1_050 * size, 2_300 * size]
    events = []
    for start in _times(rng, n, rng.uniform(2.2, 3.4), 0.8):
        shape = [0.85, 1.0, rng.uniform(1.05, 1.35), rng.uniform(0.8, 1.0)]
        events.append((start, _cry(rng, rng.uniform(1.1, 2.0), [f0 * x for x in shape], closed, opened, 0.3, 0.02, 5.0)))
    return _place(n, events)


def _sheep(rng: Rng, n: int) -> Samples:
    f0, size, shake = rng.uniform(170, 380), rng.uniform(0.9, 1.2), rng.uniform(7, 12)
    mouth, wide = [650 * size, 1_600 * size, 2_800 * size], [750 * size, 1_800 * size, 3_000 * size]
    events = []
    for start in _times(rng, n, rng.uniform(1.4, 2.4), 0.8):
        bleat = _cry(rng, rng.uniform(0.7, 1.2), [f0, 1.08 * f0, 0.95 * f0], mouth, wide, 0.3, 0.02, 4.0)
        events.append((start, bleat * (1 + 0.7 * np.sin(2 * np.pi * shake * np.arange(len(bleat)) / RATE))))
    return _place(n, events)


def _cat(rng: Rng, n: int) -> Samples:
    f0, size = rng.uniform(380, 720), rng.uniform(0.85, 1.2)
    closed, opened = [500 * size, 1_300 * size, 3_000 * size], [1_000 * size, 1_900 * size, 3_400 * size]
    events = []
    for start in _times(rng, n, rng.uniform(1.5, 2.5), 0.7):
        shape = [0.8, 1.05, rng.uniform(1.05, 1.3), 0.85]
        length = rng.uniform(0.5, 1.1)
        first = _cry(rng, 0.4 * length, [f0 * x for x in shape[:2]], closed, opened, 0.1)
        events += [(start, first), (start + 0.3 * length, _cry(rng, 0.7 * length, [f0 * x for x in shape[1:]], opened, closed, 0.1))]
    return _place(n, events)


def _crow(rng: Rng, n: int) -> Samples:
    f0, size = rng.uniform(280, 520), rng.uniform(0.9, 1.2)
    mouth = [1_100 * size, 1_700 * size, 2_900 * size]
    events = []
    for start in _times(rng, n, rng.uniform(1.6, 2.6), 0.7):
        for k in range(rng.integers(1, 5)):
            call = _cry(rng, rng.uniform(0.2, 0.35), [f0, 1.1 * f0, 0.85 * f0], mouth, mouth, 1.2, 0.15, 3.0)
            events.append((start + 0.42 * k, call))
    return _place(n, events)


def _dog(rng: Rng, n: int) -> Samples:
    f0, size = rng.uniform(180, 520), rng.uniform(0.8, 1.3)
    mouth, wide = [500 * size, 1_100 * size, 2_400 * size], [850 * size, 1_400 * size, 2_700 * size]
    events = []
    for start in _times(rng, n, rng.uniform(0.5, 1.1), 0.5):
        bark = _cry(rng, rng.uniform(0.12, 0.25), [0.8 * f0, 1.3 * f0, 0.7 * f0], mouth, wide, 1.5, 0.08, 4.0)
        events.append((start, bark * rng.uniform(0.6, 1.0)))
    return _place(n, events)


def _frog(rng: Rng, n: int) -> Samples:
    pulse_hz, centre = rng.uniform(25, 60), rng.uniform(600, 1_600)
    events = []
    for start in _times(rng, n, rng.uniform(0.6, 1.2), 0.7):
        for k in range(rng.integers(6, 16)):
            pulse = _modes(np.array([centre, 1.9 * centre]), np.array([0.008, 0.005]), np.array([1.0, 0.5]), 0.05)
            events.append((start + k / pulse_hz, pulse * np.sin(np.pi * (k + 1) / 17)))
    return _place(n, events)


def _siren(rng: Rng, n: int) -> Samples:
    t = np.arange(n) / RATE
    low, high, rate = rng.uniform(380, 600), rng.uniform(800, 1_500), rng.choice([rng.uniform(0.12, 0.3), rng.uniform(1.5, 3.5)])
    turns = (t * rate + rng.uniform()) % 1
    sweep = (0.5 - 0.5 * np.cos(2 * np.pi * turns)) if rng.uniform() < 0.6 else np.clip(20 * (turns - 0.5) + 0.5, 0, 1)
    sound = _harmonics(low + (high - low) * sweep, rng.uniform(5, 10))
    return sound * (1 + 0.2 * _drift(rng, n, 1.0)) + 0.05 * _noise(rng, n, 50, 2_000)


def _car_horn(rng: Rng, n: int) -> Samples:
    f0, interval = rng.uniform(300, 460), rng.choice([1.19, 1.26, 1.33])
    events = []
    for start in _times(rng, n, rng.uniform(0.8, 1.8), 0.5):
        length = len(_seconds(rng.uniform(0.2, 1.1)))
        tone = _harmonics(np.full(length, f0), 2.0) + _harmonics(np.full(length, f0 * interval), 2.0)
        events.append((start, _resonances(tone, [700, 1_800, 3_000], [400, 600, 800]) * _envelope(length, 0.02, 0.05)))
    return _place(n, events)


def _church_bells(rng: Rng, n: int) -> Samples:
    partials = np.array([0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 2.66, 3.01, 4.1])
    events = []
    for strike in range(rng.integers(1, 4)):
        pitch = rng.uniform(180, 520)
        decays = rng.uniform(1.0, 2.5) / np.sqrt(partials)
        ring = _modes(pitch * partials * rng.uniform(0.99, 1.01, len(partials)), decays, rng.uniform(0.3, 1.0, len(partials)), 4.0)
        events += [(at, ring * rng.uniform(0.6, 1.0)) for at in _times(rng, n, rng.uniform(0.9, 2.0), 0.95 - 0.1 * strike)]
    return _place(n, events)


def _wind(rng: Rng, n: int) -> Samples:
    centre = rng.uniform(200, 600)
    body = _noise(rng, n, 30, centre) * np.exp(0.6 * _drift(rng, n, 0.8))
    whistle = _harmonics(centre * (2 + 0.4 * _drift(rng, n, 0.7).clip(-2, 2)), 30.0) * np.exp(_drift(rng, n, 0.8))
    howl = _noise(rng, n, centre, 2.2 * centre) * np.exp(_drift(rng, n, 1.0))
    return body + rng.uniform(0.1, 0.6) * howl + rng.uniform(0, 0.3) * whistle


def _washing_machine(rng: Rng, n: int) -> Samples:
    t = np.arange(n) / RATE
    hum = _harmonics(np.full(n, rng.uniform(45, 110)) * (1 + 0.02 * _drift(rng, n, 0.5)), rng.uniform(4, 9), 2_500)
    slosh = _noise(rng, n, 300, rng.uniform(2_000, 5_000)) * (1 + 0.9 * np.sin(2 * np.pi * rng.uniform(0.6, 2.0) * t))
    return hum / np.std(hum) * rng.uniform(0.5, 1.5) + slosh


def _crackling_fire(rng: Rng, n: int) -> Samples:
    roar = 0.03 * _noise(rng, n, 40, rng.uniform(300, 900)) * np.exp(0.4 * _drift(rng, n, 2.0))
    gap = rng.uniform(0.03, 0.12)
    snaps = []
    for at in _times(rng, n, gap, 0):
        snap = _thump(rng, rng.uniform(500, 2_000), rng.uniform(4_000, 14_000), rng.uniform(0.001, 0.008))
        snaps.append((at, snap * rng.pareto(2.5)))
    return roar + 0.5 * _place(n, snaps)


def _glass_breaking(rng: Rng, n: int) -> Samples:
    brightness = rng.uniform(2_000, 4_500)
    events = []
    for start in _times(rng, n, rng.uniform(1.5, 2.5), 0.8):
        events.append((start, 3 * _thump(rng, 300, 12_000, 0.02)))
        for _ in range(rng.integers(15, 50)):
            modes = brightness * rng.uniform(0.5, 4.0, 3)
            shard = _modes(modes, rng.uniform(0.01, 0.08, 3), rng.uniform(0.1, 1.0, 3), 0.3)
            events.append((start + rng.exponential(0.25), shard))
    return _place(n, events)


def _footsteps(rng: Rng, n: int) -> Samples:
    low, high, scrape = rng.uniform(60, 200), rng.uniform(600, 3_000), rng.uniform(0.05, 0.6)
    events = []
    for at in _times(rng, n, rng.uniform(0.35, 0.65), 0.93):
        events += [(at, _thump(rng, low, high, 0.02)), (at + 0.06, scrape * _thump(rng, 800, 7_000, 0.035))]
    return _place(n, events)


def _keyboard_typing(rng: Rng, n: int) -> Samples:
    low, high = rng.uniform(800, 2_000), rng.uniform(4_000, 9_000)
    events = []
    for at in _times(rng, n, rng.uniform(0.12, 0.22), 0.4):
        press = _thump(rng, low, high, rng.uniform(0.003, 0.008)) * rng.uniform(0.5, 1.2)
        events += [(at, press), (at + rng.uniform(0.05, 0.09), 0.5 * _thump(rng, low, high, 0.004))]
    return _place(n, events)


def _water_drops(rng: Rng, n: int) -> Samples:
    centre, gap, regularity = rng.uniform(600, 1_800), rng.uniform(0.15, 0.6), rng.uniform(0.3, 0.95)
    events = []
    for at in _times(rng, n, gap, regularity):
        t = _seconds(0.18)
        f0 = centre * rng.uniform(0.8, 1.25) * (1 + rng.uniform(1, 4) * t)
        events.append((at, np.sin(2 * np.pi * np.cumsum(f0) / RATE) * np.exp(-t / rng.uniform(0.015, 0.04))))
        events.append((at, 0.2 * _thump(rng, 2_000, 9_000, 0.004)))
    return _place(n, events)


def _hand_saw(rng: Rng, n: int) -> Samples:
    period, teeth, body = rng.uniform(0.35, 0.7), rng.uniform(90, 240), rng.uniform(900, 2_200)
    events = []
    for k, at in enumerate(_times(rng, n, period, 0.95)):
        length = len(_seconds(0.85 * period))
        f0 = teeth * (1.15 if k % 2 else 0.9) * _contour([0.6, 1.0, 1.0, 0.6], length)
        grain = _harmonics(f0, 1.0) / 4 + rng.normal(size=length)
        events.append((at, _resonances(grain, [body, 2.3 * body, 3.9 * body], [500, 900, 1_200]) * _envelope(length, 0.06, 0.08)))
    return _place(n, events)


def _helicopter(rng: Rng, n: int) -> Samples:
    rotor, high = rng.uniform(9, 19), rng.uniform(500, 1_500)
    chops = [(at, _thump(rng, 40, high, 0.018) * rng.uniform(0.8, 1.2)) for at in _times(rng, n, 1 / rotor, 0.99)]
    whine = _harmonics(np.full(n, rng.uniform(300, 900)), 9.0) / 20
    return _place(n, chops) + 0.15 * _noise(rng, n, 60, 3_000) + whine * rng.uniform(0, 1)


def _vacuum_cleaner(rng: Rng, n: int) -> Samples:
    motor = _harmonics(rng.uniform(110, 330) * (1 + 0.004 * _drift(rng, n, 3.0)), rng.uniform(1, 5))
    air = _noise(rng, n, 300, rng.uniform(3_000, 9_000))
    return (rng.uniform(0.3, 1.2) * motor / np.std(motor) + air) * np.exp(0.15 * _drift(rng, n, 1.5))


def _rain(rng: Rng, n: int) -> Samples:
    gap = rng.uniform(0.008, 0.05)
    drops = [(at, _thump(rng, 1_500, 12_000, 0.003) * rng.uniform(0.2, 1.5)) for at in _times(rng, n, gap, 0)]
    return _place(n, drops) + rng.uniform(0.2, 0.8) * _noise(rng, n, rng.uniform(400, 1_500), rng.uniform(6_000, 14_000))


def _sea_waves(rng: Rng, n: int) -> Samples:
    t = np.arange(n) / RATE
    swell = (0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.1, 0.3) * t + rng.uniform(0, 6.3))) ** rng.uniform(1, 3)
    return _noise(rng, n, 50, rng.uniform(600, 1_500)) * (0.2 + swell) + 0.6 * _noise(rng, n, 1_000, 8_000) * swell**2


def _clock_tick(rng: Rng, n: int) -> Samples:
    body = rng.uniform(1_200, 4_500)
    ticks = []
    for k, at in enumerate(_times(rng, n, rng.choice([0.25, 0.5, 1.0]) * rng.uniform(0.95, 1.05), 1.0)):
        modes = body * (1.0 if k % 2 else 0.85) * np.array([1.0, 1.7, 2.6])
        ticks.append((at, _modes(modes, np.array([0.012, 0.006, 0.004]), np.ones(3), 0.08)))
    return _place(n, ticks)


def _chirps(rng: Rng, n: int, centre: float, pulses: int, pulse_hz: float, gap_s: float) -> Samples:
    events = []
    for start in _times(rng, n, gap_s, 0.85):
        for k in range(pulses):
            t = _seconds(0.6 / pulse_hz)
            events.append((start + k / pulse_hz, np.sin(2 * np.pi * centre * (1 - 0.2 * t) * t) * np.hanning(len(t))))
    return _place(n, events)


def _crickets(rng: Rng, n: int) -> Samples:
    out = 0.03 * _noise(rng, n, 300, 6_000)
    for _ in range(rng.integers(1, 4)):
        chorus = _chirps(rng, n, rng.uniform(3_200, 5_800), int(rng.integers(2, 6)), rng.uniform(25, 60), rng.uniform(0.25, 0.8))
        out = out + rng.uniform(0.3, 1.0) * chorus
    return out


def _insects(rng: Rng, n: int) -> Samples:
    f0 = rng.uniform(130, 320) * np.exp(0.08 * _drift(rng, n, 2.0))
    return _harmonics(f0, rng.uniform(2, 6)) * np.exp(0.7 * _drift(rng, n, 1.5))


def _chirping_birds(rng: Rng, n: int) -> Samples:
    events = []
    for _ in range(rng.integers(1, 4)):
        centre, shape = rng.uniform(2_200, 5_500), rng.uniform(0.75, 1.3, rng.integers(2, 6))
        length = rng.uniform(0.06, 0.25)
        for start in _times(rng, n, rng.uniform(0.5, 1.3), 0.5):
            for k in range(rng.integers(1, 5)):
                count = len(_seconds(length))
                whistle = np.sin(2 * np.pi * np.cumsum(_contour(list(centre * shape), count)) / RATE)
                events.append((start + 1.3 * length * k, whistle * np.hanning(count)))
    return _place(n, events)


def _door_wood_knock(rng: Rng, n: int) -> Samples:
    body = rng.uniform(110, 320)
    events = []
    for start in _times(rng, n, rng.uniform(1.3, 2.2), 0.9):
        for k in range(rng.integers(2, 6)):
            modes = body * np.array([1.0, 1.9, 3.1, 4.6])
            knock = _modes(modes, np.array([0.04, 0.025, 0.015, 0.01]), rng.uniform(0.4, 1.0, 4), 0.25)
            events += [(start + 0.19 * k, knock), (start + 0.19 * k, 0.4 * _thump(rng, 300, 4_000, 0.004))]
    return _place(n, events)


def _mouse_click(rng: Rng, n: int) -> Samples:
    low, high = rng.uniform(1_000, 2_500), rng.uniform(5_000, 12_000)
    events = []
    for at in _times(rng, n, rng.uniform(0.25, 0.7), 0.4):
        events += [(at, _thump(rng, low, high, 0.002)), (at + rng.uniform(0.07, 0.12), 0.6 * _thump(rng, low, high, 0.002))]
    return _place(n, events)


def _airplane(rng: Rng, n: int) -> Samples:
    roar = _noise(rng, n, 40, rng.uniform(400, 1_500)) + 0.3 * _noise(rng, n, 800, 6_000)
    propeller = _harmonics(rng.uniform(60, 140) * (1 + 0.01 * _drift(rng, n, 0.5)), 4.0, 2_500)
    return (roar + rng.uniform(0, 1.2) * propeller / np.std(propeller)) * np.exp(0.3 * _drift(rng, n, 0.5))


def _train(rng: Rng, n: int) -> Samples:
    gap, low = rng.uniform(0.5, 0.9), rng.uniform(80, 200)
    clacks = []
    for at in _times(rng, n, gap, 0.98):
        clacks += [(at, 2 * _thump(rng, low, 2_500, 0.03)), (at + 0.16, 1.5 * _thump(rng, low, 2_500, 0.03))]
    rumble = _noise(rng, n, 40, 500) + 0.3 * _noise(rng, n, 1_000, 5_000)
    whistles = []
    for at in _times(rng, n, rng.uniform(2.0, 5.0), 0.6) if rng.uniform() < 0.5 else []:
        count = len(_seconds(rng.uniform(0.6, 1.4)))
        chord = sum((_harmonics(np.full(count, f0), 7.0) for f0 in rng.uniform(300, 700, 3)), np.zeros(count))
        whistles.append((at, chord * _envelope(count, 0.1, 0.2)))
    return _place(n, clacks) + 0.5 * rumble + _place(n, whistles)


def _thunderstorm(rng: Rng, n: int) -> Samples:
    claps = []
    for at in _times(rng, n, rng.uniform(1.5, 3.0), 0.5):
        t = _seconds(rng.uniform(1.5, 3.0))
        rolling = np.exp(0.8 * _drift(rng, len(t), 9.0)) * np.exp(-t / rng.uniform(0.4, 0.9))
        claps.append((at, _noise(rng, len(t), 25, rng.uniform(200, 900)) * rolling * 3))
    return _place(n, claps) + rng.uniform(0.1, 0.4) * _noise(rng, n, 1_000, 10_000)


def _chainsaw(rng: Rng, n: int) -> Samples:
    f0 = rng.uniform(70, 160) * np.exp(0.15 * _drift(rng, n, 1.2))
    motor = _resonances(_harmonics(f0, 1.5, 7_000) + 0.6 * rng.normal(size=n), [rng.uniform(500, 900), rng.uniform(1_800, 3_000)], [400, 900])
    return motor * (1 + 0.3 * _drift(rng, n, 20.0))


def _fireworks(rng: Rng, n: int) -> Samples:
    events = []
    for at in _times(rng, n, rng.uniform(0.5, 1.2), 0.2):
        events.append((at, 2 * _thump(rng, 40, rng.uniform(500, 3_000), rng.uniform(0.05, 0.2))))
        events += [(at + 0.2 + rng.exponential(0.3), 0.5 * _thump(rng, 1_500, 12_000, 0.004)) for _ in range(rng.integers(0, 25))]
    return _place(n, events)


def _pouring_water(rng: Rng, n: int) -> Samples:
    start, rise = rng.uniform(400, 900), rng.uniform(1.2, 2.2)
    bubbles = []
    for at in _times(rng, n, 0.02, 0):
        t = _seconds(0.04)
        f0 = start * rise ** (at / (n / RATE)) * rng.uniform(0.7, 2.0)
        bubbles.append((at, rng.uniform(0.2, 1.0) * np.sin(2 * np.pi * f0 * (1 + 3 * t) * t) * np.exp(-t / 0.01)))
    return _place(n, bubbles) + rng.uniform(0.1, 0.4) * _noise(rng, n, 600, 9_000)


def _clock_alarm(rng: Rng, n: int) -> Samples:
    pitch, beep = rng.uniform(900, 3_000), rng.uniform(0.05, 0.15)
    count = len(_seconds(beep))
    tone = _harmonics(np.full(count, pitch), rng.uniform(4, 12)) * _envelope(count, 0.004, 0.004)
    burst = int(rng.integers(2, 5))
    return _place(n, [(at + 2 * beep * k, tone) for at in _times(rng, n, 2 * beep * burst + 0.35, 1.0) for k in range(burst)])


def _pig(rng: Rng, n: int) -> Samples:
    size = rng.uniform(0.85, 1.2)
    mouth, wide = [450 * size, 1_300 * size, 2_500 * size], [700 * size, 1_500 * size, 2_700 * size]
    events = []
    for at in _times(rng, n, rng.uniform(0.4, 0.8), 0.4):
        f0 = rng.uniform(50, 95)
        events.append((at, _cry(rng, rng.uniform(0.15, 0.4), [f0, 1.1 * f0, 0.8 * f0], mouth, wide, 3.0, 0.25, 3.0)))
    return _place(n, events)


def _hen(rng: Rng, n: int) -> Samples:
    f0, size = rng.uniform(320, 600), rng.uniform(0.9, 1.2)
    mouth = [1_000 * size, 2_000 * size, 3_400 * size]
    events = []
    for at in _times(rng, n, rng.uniform(0.3, 0.6), 0.4):
        length = 0.45 if rng.uniform() < 0.15 else rng.uniform(0.06, 0.12)
        events.append((at, _cry(rng, length, [0.9 * f0, 1.15 * f0, f0], mouth, mouth, 0.4, 0.04, 5.0) * rng.uniform(0.5, 1.0)))
    return _place(n, events)


def _engine(rng: Rng, n: int) -> Samples:
    f0 = rng.uniform(25, 65) * np.exp(0.2 * _drift(rng, n, 0.6))
    strokes = _harmonics(f0, rng.uniform(2, 5), 2_500)
    return strokes / np.std(strokes) * (1 + 0.2 * _drift(rng, n, 30.0)) + rng.uniform(0.1, 0.5) * _noise(rng, n, 100, 4_000)


SOUNDS: dict[str, dict[str, Maker]] = {
    "base": {
        "rain": _rain,
        "hen": _hen,
        "sea_waves": _sea_waves,
        "engine": _engine,
        "clock_tick": _clock_tick,
        "pig": _pig,
        "crickets": _crickets,
        "clock_alarm": _clock_alarm,
        "thunderstorm": _thunderstorm,
        "chirping_birds": _chirping_birds,
        "door_wood_knock": _door_wood_knock,
        "chainsaw": _chainsaw,
        "mouse_click": _mouse_click,
        "airplane": _airplane,
        "insects": _insects,
        "train": _train,
        "fireworks": _fireworks,
        "pouring_water": _pouring_water,
    },
    "study": {
        "rooster": _rooster,
        "wind": _wind,
        "cow": _cow,
        "footsteps": _footsteps,
        "siren": _siren,
        "crackling_fire": _crackling_fire,
        "sheep": _sheep,
        "washing_machine": _washing_machine,
        "cat": _cat,
        "keyboard_typing": _keyboard_typing,
        "car_horn": _car_horn,
        "glass_breaking": _glass_breaking,
        "crow": _crow,
        "helicopter": _helicopter,
        "dog": _dog,
        "water_drops": _water_drops,
        "church_bells": _church_bells,
        "hand_saw": _hand_saw,
        "frog": _frog,
        "vacuum_cleaner": _vacuum_cleaner,
    },
}
"""Corpus -> category -> what makes a source of it. None is a category of human sounds."""

FSD50K_LABELS = {
    "rooster": "Chicken_and_rooster,Fowl,Livestock_and_farm_animals_and_working_animals,Animal",
    "wind": "Wind",
    "footsteps": "Walk_and_footsteps",
    "siren": "Siren,Alarm",
    "crackling_fire": "Crackle,Fire",
    "cat": "Meow,Cat,Domestic_animals_and_pets,Animal",
    "keyboard_typing": "Computer_keyboard,Typing,Domestic_sounds_and_home_sounds",
    "car_horn": "Vehicle_horn_and_car_horn_and_honking,Car,Motor_vehicle_(road),Vehicle",
    "glass_breaking": "Shatter,Glass",
    "crow": "Crow,Bird,Wild_animals,Animal",
    "helicopter": "Aircraft,Vehicle",
    "dog": "Bark,Dog,Domestic_animals_and_pets,Animal",
    "water_drops": "Drip,Liquid",
    "church_bells": "Church_bell,Bell",
    "hand_saw": "Sawing,Tools",
    "frog": "Frog,Wild_animals,Animal",
}
"""Category -> labels of FSD50K, from the most specific to the broadest."""

# Every category of ESC-50 without a human voice is in one of the two other corpora already.
SOUNDS["baseline"] = {category: SOUNDS["study"][category] for category in FSD50K_LABELS}
