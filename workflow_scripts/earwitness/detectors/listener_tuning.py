"""Choosing on development recordings how a model follows recordings."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from earwitness.corpora.annotated import AnnotatedRecording
from earwitness.detectors.folder import STEP_MS
from earwitness.detectors.following import Following
from earwitness.detectors.listener import Listener
from earwitness.detectors.segments import SegmentRule
from earwitness.detectors.tuning import follow_all, tune_rule

STRETCH_SHARES = (1.0, 0.6, 0.4)
"""Lengths of stretches that are tried, as shares of the longest training stimulus."""
SMOOTHED = (1, 3, 5, 9)
"""Numbers of frames that are averaged, likewise. Recordings of one kind of sound from end to end would favour any number, mixed ones do not."""


def tune_following(listener: Listener, recordings: Sequence[AnnotatedRecording]) -> tuple[Following, list[dict[str, Any]]]:
    """How a listener follows recordings best, by the detection error rate on development recordings; and what every candidate came to.

    Stretches are as long as the longest training stimulus or shorter, but not shorter than the shortest. Raises InputError where a recording cannot
    be read.
    """
    presentation = listener.presentation
    lengths = {max(round(share * presentation.longest_ms), presentation.shortest_ms) for share in STRETCH_SHARES}
    candidates: list[tuple[float, Following]] = []
    for stretch_ms in sorted(lengths, reverse=True):
        plain = Following(stretch_ms, STEP_MS, SegmentRule())
        followed = follow_all(listener.detector(f"stretches of {stretch_ms} ms", plain), recordings)
        for width in SMOOTHED:
            found = tune_rule(followed.smoothed(width))
            candidates.append((found.errors.error_rate, replace(plain, rule=found.rule, smoothed=width)))
    best = min(candidates, key=lambda candidate: round(candidate[0], 9))[1]
    return best, [{"error_rate": rate, **following.record()} for rate, following in candidates]
