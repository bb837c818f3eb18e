"""Detection error rate and frame ROC, by hand and against pyannote.metrics."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earwitness.core.randomness import stream
from earwitness.evaluation.detection import added, detection_errors, frame_roc, on_grid, shared_boundaries, speech_on_grid

# On a grid of 1/16 s sums are exact.
stretch = st.tuples(st.integers(0, 150), st.integers(1, 40)).map(lambda two: (two[0] / 16, (two[0] + two[1]) / 16))
stretches = st.lists(stretch, max_size=6)


def test_missed_and_false_seconds_by_hand():
    # speech 1-3 and 5-6 (two speakers overlap in 2-3); found 2-5.5 and 9-12, of which 10 s are heard
    errors = detection_errors([(1, 3), (2, 3), (5, 6)], [(2, 5.5), (9, 12)], duration_s=10)
    assert errors == (10, 3, 1.5, 3)
    assert errors.error_rate == 1.5
    # half a second around every boundary of speech is left out: 0.75-1.25, 2.75-3.25, 4.75-5.25, 5.75-6.25
    assert detection_errors([(1, 3), (5, 6)], [(2, 5.5), (9, 12)], 10, collar_s=0.5) == pytest.approx((8, 2, 1, 2.5))


def test_recordings_are_added_not_averaged():
    both = added([detection_errors([(0, 9)], [], 10), detection_errors([(0, 1)], [(0, 1)], 10)])
    assert both.error_rate == pytest.approx(0.9)
    assert math.isnan(detection_errors([], [(0, 1)], 10).error_rate)


@settings(max_examples=60)
@given(stretches, stretches, st.sampled_from([0.0, 0.5]))
def test_it_is_the_error_rate_of_pyannote_metrics(reference, found, collar):
    metrics = pytest.importorskip("pyannote.metrics.detection")
    core = pytest.importorskip("pyannote.core")

    def annotation(stretches):
        result = core.Annotation()
        for number, (start, end) in enumerate(stretches):
            result[core.Segment(start, end), number] = "speech"
        return result

    metric = metrics.DetectionErrorRate(collar=collar, skip_overlap=False)
    inside = [(start, min(end, 10.0)) for start, end in found if start < 10]
    within = [(start, min(end, 10.0)) for start, end in reference if start < 10]
    parts = metric(annotation(within), annotation(inside), uem=core.Timeline([core.Segment(0, 10)]), detailed=True)
    errors = detection_errors(within, found, 10.0, collar)
    assert errors.speech_s == pytest.approx(parts["total"], abs=1e-6)
    assert errors.missed_s == pytest.approx(parts["miss"], abs=1e-6)
    assert errors.false_alarm_s == pytest.approx(parts["false alarm"], abs=1e-6)


def test_frames_of_any_length_are_compared_on_one_grid():
    np.testing.assert_array_equal(on_grid(np.array([0.2, np.nan, 0.8]), 0.02, 0.05), [0.2, 0.2, 0, 0, 0.8])
    np.testing.assert_array_equal(speech_on_grid([(0.01, 0.03)], 0.05), [False, True, True, False, False])


def test_the_area_under_the_roc_is_the_share_of_pairs_in_order():
    roc = frame_roc(np.array([True, True, False, False]), np.array([0.9, 0.4, 0.4, 0.1]))
    assert roc.area == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert math.isnan(frame_roc(np.ones(3, bool), np.ones(3)).area)


def test_a_detector_that_made_the_annotation_is_found_whatever_margin_was_put_around():
    rng = stream(3, "boundaries")
    found = [[(start, start + length)] for start, length in zip(rng.uniform(1, 4, 30), rng.uniform(1, 4, 30), strict=True)]
    padded = [([(start - 0.03, end + 0.05)], stretches, 10.0) for stretches in found for start, end in stretches]
    assert shared_boundaries(padded) == 1
    others = [([(start + rng.normal(0, 0.05), end + rng.normal(0, 0.05))], [(start, end)], 10.0) for [(start, end)] in found]
    assert shared_boundaries(others) < 0.2
    assert shared_boundaries(padded[:15] + others[:15]) == pytest.approx(0.5, abs=0.1)
    assert np.isnan(shared_boundaries(padded[:9])), "too few to tell"
    whole = [([(0.0, 10.0)], [(0.0, 10.0)], 10.0)] * 30
    assert np.isnan(shared_boundaries(whole)), "the ends of recordings are everybody's"
    assert shared_boundaries([(reference, [], 10.0) for reference, _, _ in padded]) == 0
