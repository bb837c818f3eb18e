import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.acoustics import (
    coloured_noise,
    loudest_stretch,
    mean_square,
    normalise_peak,
    normalise_rms,
    peak_dbfs,
    power_ratio_db,
    raised_cosine_ramp,
    scale_to_snr,
)
from earshot.audio import SAMPLE_RATE, dbfs
from earshot.errors import InputError

seeds = st.integers(0, 2**32 - 1)


def octave_levels(noise: np.ndarray, bands: list[int]) -> np.ndarray:
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequencies = np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE)
    return np.array([10 * np.log10(power[(frequencies >= low) & (frequencies < 2 * low)].sum()) for low in bands])


def test_loudest_stretch_finds_a_burst_and_takes_the_earliest_of_equals():
    samples = np.zeros(1000)
    samples[400:450] = 0.5
    assert loudest_stretch(samples, 50) == 400
    assert loudest_stretch(np.tile([0.0, 1.0], 20), 10) == 0
    assert loudest_stretch(np.arange(10.0), 10) == 0


@given(st.integers(1, 400), st.integers(0, 200))
def test_a_ramp_rises_monotonically_to_one_and_is_symmetric(length, ramp):
    if 2 * ramp > length:
        with pytest.raises(InputError, match="ramp_ms"):
            raised_cosine_ramp(length, ramp)
        return
    envelope = raised_cosine_ramp(length, ramp)
    assert len(envelope) == length
    assert np.all(envelope > 0)
    assert np.all(np.diff(envelope[:ramp]) > 0)
    assert np.all(envelope[ramp : length - ramp] == 1)
    np.testing.assert_array_equal(envelope, envelope[::-1])


def test_a_ramp_is_half_a_cosine_period():
    rise = raised_cosine_ramp(200, 80)[:80]
    np.testing.assert_allclose(rise + rise[::-1], 1)
    assert rise[19:21].mean() == pytest.approx(np.sin(np.pi / 8) ** 2, abs=1e-3)


@given(st.sampled_from(["white", "pink"]), st.integers(1, 40_000), seeds)
@settings(max_examples=40)
def test_noise_has_unit_rms_at_any_length_and_repeats_with_its_seed(kind, length, seed):
    noise = coloured_noise(kind, length, np.random.default_rng(seed))
    assert noise.shape == (length,)
    assert mean_square(noise) == pytest.approx(1)
    np.testing.assert_array_equal(noise, coloured_noise(kind, length, np.random.default_rng(seed)))


def test_white_noise_gains_3_db_per_octave_band_and_pink_noise_none():
    bands = [125, 250, 500, 1000, 2000, 4000]
    for kind, slope in (("white", 10 * np.log10(2)), ("pink", 0.0)):
        levels = octave_levels(coloured_noise(kind, 20 * SAMPLE_RATE, np.random.default_rng(1)), bands)
        np.testing.assert_allclose(np.diff(levels), slope, atol=0.6)


def test_pink_noise_keeps_its_spectrum_when_short_and_has_nothing_too_low_to_hear():
    short = [coloured_noise("pink", 3200, np.random.default_rng(seed)) for seed in range(200)]
    levels = np.mean([octave_levels(noise, [125, 250, 500, 1000, 2000]) for noise in short], axis=0)
    np.testing.assert_allclose(levels - levels.mean(), 0, atol=1)
    whole = np.abs(np.fft.rfft(coloured_noise("pink", SAMPLE_RATE, np.random.default_rng(1)))) ** 2
    assert whole[:20].sum() < 1e-12 * whole.sum()


@given(seeds, st.floats(-60, 60), st.floats(1e-4, 1), st.integers(10, 2000))
def test_scaled_noise_has_the_snr_asked_for(seed, snr_db, level, length):
    rng = np.random.default_rng(seed)
    signal = level * rng.standard_normal(length)
    assert power_ratio_db(signal, scale_to_snr(rng.standard_normal(length), signal, snr_db)) == pytest.approx(snr_db, abs=1e-6)


@given(seeds, st.floats(-40, 0), st.floats(-90, -40), st.floats(-30, 30), st.integers(1, 500))
def test_both_normalisations_reach_the_level_with_the_floor_in_it_or_say_that_the_floor_is_too_loud(seed, level, floor_level, signal_db, length):
    rng = np.random.default_rng(seed)
    floor = 10 ** (floor_level / 20) * rng.standard_normal(length)
    signal = np.zeros(length)
    signal[length // 3 : length // 3 + 1 + length // 2] = 10 ** (signal_db / 20) * rng.standard_normal(1 + length // 2)[: length - length // 3]
    for normalise, measure in ((normalise_peak, peak_dbfs), (normalise_rms, dbfs)):
        if measure(floor) >= level:
            with pytest.raises(InputError, match="floor_dbfs"):
                normalise(signal, floor, level)
        else:
            gain = normalise(signal, floor, level)
            assert gain > 0
            assert measure(gain * signal + floor) == pytest.approx(level, abs=1e-6)


def test_levels_of_silence_are_minus_infinity():
    silence, tone = np.zeros(10), np.ones(10)
    assert peak_dbfs(silence) == -np.inf
    assert power_ratio_db(silence, tone) == -np.inf
    assert power_ratio_db(tone, silence) == np.inf
    assert np.isnan(power_ratio_db(silence, silence))
