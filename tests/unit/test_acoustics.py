import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earwitness.audio.acoustics import (
    SPEECH_SPECTRUM_DB,
    active_samples,
    coloured_noise,
    limit_band,
    loudest_stretch,
    mean_square,
    normalise_peak,
    normalise_rms,
    peak_dbfs,
    power_ratio_db,
    raised_cosine_ramp,
    scale_to_snr,
)
from earwitness.audio.io import SAMPLE_RATE, dbfs
from earwitness.core.errors import InputError

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


@given(st.sampled_from(["white", "pink", "speech_shaped"]), st.integers(1, 40_000), seeds)
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
    scaled = scale_to_snr(rng.standard_normal(length), mean_square(signal), snr_db)
    assert power_ratio_db(signal, scaled) == pytest.approx(snr_db, abs=1e-6)


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


def test_speech_shaped_noise_has_the_long_term_average_spectrum_of_speech():
    noise = coloured_noise("speech_shaped", 60 * SAMPLE_RATE, np.random.default_rng(1))
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequencies = np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE)
    centres = [centre for centre in SPEECH_SPECTRUM_DB if 80 <= centre <= 6300]
    levels = np.array([10 * np.log10(power[(frequencies >= c * 2 ** (-1 / 6)) & (frequencies < c * 2 ** (1 / 6))].sum()) for c in centres])
    wanted = np.array([SPEECH_SPECTRUM_DB[c] for c in centres])
    errors = (levels - levels.mean()) - (wanted - wanted.mean())
    # The interpolated density rounds off the steep flank below 100 Hz.
    assert np.abs(errors).max() < 2
    assert np.abs(errors[centres.index(160) :]).max() < 0.8


@given(seeds, st.integers(20, 40_000), st.floats(1e-4, 1))
@settings(max_examples=40)
def test_a_stationary_waveform_is_active_throughout_so_its_level_is_its_rms(seed, length, level):
    assert active_samples(level * np.random.default_rng(seed).standard_normal(length)).all()


@given(seeds, st.integers(320, 16_000), st.floats(1e-3, 1e3))
def test_activity_does_not_depend_on_level_and_silence_around_is_active_only_as_hangover(seed, length, gain):
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal(length) * (rng.random(-(-length // 1600)) ** 3).repeat(1600)[:length]
    active = active_samples(samples)
    np.testing.assert_array_equal(active, active_samples(gain * samples))
    padded = np.concatenate([np.zeros(8000), samples, np.zeros(16_000)])
    active_within = active_samples(padded)
    assert not active_within[:8000].any()
    whole = length // 160 * 160
    assert active_within[8000:][:whole][active[:whole]].all(), "silence lowers the level, so what was active stays so"
    assert not active_within[8000 + length + 3200 + 160 :].any()


def test_speech_with_pauses_is_as_active_as_itu_t_p56_says():
    """A second of noise, a second of silence: active with 200 ms of hangover, so 10 lg(2 / 1.2) dB above the RMS."""
    noise = np.random.default_rng(1).standard_normal(SAMPLE_RATE)
    samples = np.tile(np.concatenate([noise, np.zeros(SAMPLE_RATE)]), 3)
    active = active_samples(samples)
    assert active.mean() == pytest.approx(1.2 / 2, abs=0.005)
    level = 10 * np.log10(mean_square(samples[active]) / mean_square(samples))
    assert level == pytest.approx(10 * np.log10(2 / 1.2), abs=0.05)


@pytest.mark.parametrize(("soft_db", "expected"), [(-15.0, 1.0), (-20.0, 0.6)])
def test_the_margin_of_15_9_db_tells_soft_from_silent(soft_db, expected):
    noise = np.random.default_rng(1).standard_normal(SAMPLE_RATE)
    samples = np.concatenate([noise, 10 ** (soft_db / 20) * noise])
    assert active_samples(samples).mean() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("edges_hz", [(300.0, 3400.0), (100.0, 5000.0)])
def test_a_band_limit_halves_at_its_edges_falls_72_db_per_octave_and_shifts_nothing(edges_hz):
    impulse = np.zeros(4 * SAMPLE_RATE)
    impulse[2 * SAMPLE_RATE] = 1
    limited = limit_band(impulse, *edges_hz)
    np.testing.assert_allclose(limited[2 * SAMPLE_RATE :][:2000], limited[: 2 * SAMPLE_RATE + 1][::-1][:2000], atol=1e-9)
    gain_db = 20 * np.log10(np.abs(np.fft.rfft(limited)) + 1e-12)
    for edge in edges_hz:
        assert gain_db[round(4 * edge)] == pytest.approx(-6.02, abs=0.1)
    assert gain_db[round(2 * edges_hz[0])] < -65
    assert gain_db[round(4 * 1.5 * edges_hz[1])] < -50
    inside = gain_db[round(4 * 1.5 * edges_hz[0]) : round(4 * edges_hz[1] / 1.4)]
    assert np.abs(inside).max() < 0.25
