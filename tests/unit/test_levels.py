"""A recipe's level is the level that its adapter hears, in training and when it is asked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shards import write_shard

from earwitness.audio.io import SAMPLE_RATE, dbfs
from earwitness.audio.window import Level
from earwitness.model.engine.loading import load_model
from earwitness.model.identity import identified
from earwitness.model.prediction import from_audio

DURATION_MS = 100


def stimulus(gain: float, crest: float) -> np.ndarray:
    """A tone with one click in the middle of a window with a soft floor."""
    rng = np.random.default_rng(1)
    window = 1e-4 * rng.standard_normal(SAMPLE_RATE // 5)
    middle = slice(len(window) // 2 - 800, len(window) // 2 + 800)
    window[middle] += np.sin(np.arange(1600))
    window[len(window) // 2] += crest
    return (gain * window).astype(np.float32)


@given(st.floats(1e-3, 10), st.floats(0, 20), st.floats(-60, 0))
def test_the_segment_has_the_rms_and_the_window_the_peak_that_was_asked_for(gain, crest, level):
    window = stimulus(gain, crest)
    first = (len(window) - 1600) // 2
    rms = Level("rms", level).applied(window, DURATION_MS)
    assert dbfs(rms[first : first + 1600]) == pytest.approx(level, abs=1e-3)
    peak = Level("peak", level).applied(window, DURATION_MS)
    assert 20 * np.log10(np.abs(peak).max()) == pytest.approx(level, abs=1e-3)
    np.testing.assert_allclose(np.corrcoef(rms, window)[0, 1], 1, atol=1e-6)


def test_the_stimuli_s_own_level_leaves_every_sample_and_silence_stays_silence():
    window = stimulus(0.3, 1.0)
    assert Level("stimuli", -34.0).applied(window, DURATION_MS) is window
    assert not Level("rms", -34.0).applied(np.zeros(1000, np.float32), DURATION_MS).any()


def test_a_model_hears_stimuli_at_the_level_of_the_recipe(folder, tmp_path):
    shard = write_shard(tmp_path / "shard.parquet", ["a", "b"])
    loaded = load_model(identified(folder))
    levels = [dbfs(waveform) for _, waveforms in from_audio(loaded, [shard], Level("rms", -30.0)).blocks(None) for waveform in waveforms]
    assert levels == pytest.approx([-30.0, -30.0], abs=1e-3)
    plain = [dbfs(waveform) for _, waveforms in from_audio(loaded, [shard]).blocks(None) for waveform in waveforms]
    assert max(plain) > -22
