"""Segments from a probability track, by two thresholds and two shortest durations."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.core.errors import InputError
from earwitness.detectors.segments import SegmentRule, segments_of
from earwitness.detectors.tracks import smoothed

probabilities = st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0, float("nan")]), max_size=40)
rules = st.builds(
    lambda two, speech, silence: SegmentRule(max(two), min(two), speech, silence),
    st.tuples(st.sampled_from([0.2, 0.5, 0.8]), st.sampled_from([0.2, 0.5, 0.8])),
    st.sampled_from([0.0, 0.1, 0.25]),
    st.sampled_from([0.0, 0.1, 0.2, 0.3]),
)


def found(track, rule, step_s=0.1, duration_s=None):
    return [tuple(np.round(segment, 6)) for segment in segments_of([track], step_s, rule, step_s * len(track) if duration_s is None else duration_s)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # between the thresholds a segment goes on, but none begins: frame 1 does not begin one, frame 4 does not end one
        (SegmentRule(0.6, 0.4), [(0.2, 0.6, 0.725), (0.8, 0.9, 1.0), (1.2, 1.4, 0.85)]),
        # 0.2 s of silence are filled where shorter ones than 0.25 s are; 0.3 s are not
        (SegmentRule(0.6, 0.4, 0.0, 0.25), [(0.2, 0.9, 0.571429), (1.2, 1.4, 0.85)]),
        # silence is filled before short speech is dropped
        (SegmentRule(0.6, 0.4, 0.3, 0.25), [(0.2, 0.9, 0.571429)]),
        # a silence that is exactly the shortest one stands, and so does speech
        (SegmentRule(0.6, 0.4, 0.2, 0.2), [(0.2, 0.6, 0.725), (1.2, 1.4, 0.85)]),
    ],
)
def test_segments_worked_out_by_hand(rule, expected):
    track = [0.1, 0.5, 0.9, 0.8, 0.5, 0.7, 0.1, 0.0, 1.0, 0.0, 0.1, float("nan"), 0.9, 0.8]
    assert found(track, rule) == expected


def test_a_segment_ends_with_the_recording_within_its_last_frame():
    assert found([0.0, 0.9], SegmentRule(), duration_s=0.13) == [(0.1, 0.13, 0.9)]


@given(probabilities, rules, st.lists(st.integers(0, 40), max_size=4))
def test_pieces_make_no_difference(track, rule, cuts):
    pieces = np.split(np.array(track), sorted(min(cut, len(track)) for cut in cuts))
    whole, duration = np.array(track), 0.1 * len(track)
    assert list(segments_of(pieces, 0.1, rule, duration)) == list(segments_of([whole], 0.1, rule, duration))


@given(probabilities, rules)
def test_segments_are_long_enough_far_enough_apart_and_hold_an_onset(track, rule):
    segments = list(segments_of([track], 0.1, rule, 0.1 * len(track)))
    for segment in segments:
        first, after = round(segment.start_s * 10), round(segment.end_s * 10)
        assert segment.end_s - segment.start_s >= rule.min_speech_s - 1e-9
        assert track[first] >= rule.onset and np.nan_to_num(track[after - 1]) >= rule.offset
    for before, after in pairwise(segments):
        assert after.start_s - before.end_s >= max(rule.min_silence_s, 0.1) - 1e-9


@pytest.mark.parametrize("numbers", [(0.4, 0.5), (1.2, 0.5), (0.5, 0.5, -1.0)])
def test_a_rule_that_cannot_be_is_refused(numbers):
    with pytest.raises(InputError, match=r"offset not above|cannot be negative"):
        SegmentRule(*numbers)


@given(st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=30), st.sampled_from([1, 3, 7]), st.lists(st.integers(0, 30), max_size=4))
def test_smoothing_is_a_mean_over_the_frames_around_however_the_track_comes(track, width, cuts):
    pieces = np.split(np.array(track, dtype=float), sorted(min(cut, len(track)) for cut in cuts))
    result = np.concatenate([*smoothed(pieces, width), np.zeros(0)])
    around = [np.nan_to_num(track[max(frame - width // 2, 0) : frame + width // 2 + 1]).mean() for frame in range(len(track))]
    expected = track if width == 1 else np.where(np.isnan(np.array(track, dtype=float)), np.nan, around)
    np.testing.assert_allclose(result, np.array(expected, dtype=float), atol=1e-12)
