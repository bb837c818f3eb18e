"""Pairs of items that sound alike, and which of them are copies, alone or together with others of the same two sources."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from earwitness.leakage.fingerprints.alignment import MIN_SUPPORTED_INFORMATION


@dataclass(frozen=True)
class Pair:
    """Two pieces of audio that may be copies.

    correlation: absolute value, in [0, 1]; shift_s: how much later the audio comes in `item_a`; information: nats that support
    the correlation (see MIN_SUPPORTED_INFORMATION); inverted: one is the other times a negative number; speed: how many times as fast as `item_a` the
    audio of `item_b` is.
    """

    item_a: str
    item_b: str
    correlation: float
    shift_s: float
    information: float
    inverted: bool = False
    speed: float = 1.0

    def alone(self, threshold: float) -> bool:
        """Are these copies by themselves, without other pairs of the same sources? threshold: a correlation in [0, 1]."""
        return self.correlation >= threshold and self.information >= MIN_SUPPORTED_INFORMATION


class Origin(NamedTuple):
    """Where audio comes from: its source, and the stretch of it; pieces of one stretch are not independent."""

    source: str
    stretch: str


def copies_among(pairs: Iterable[Pair], origins: Mapping[str, Origin], threshold: float) -> list[Pair]:
    """The pairs that are near duplicates, alone or together with others of the same two sources.

    origins: of every item. Of the pairs of two sources that correlate by the threshold, the best supported come first, and
    every stretch counts once.
    """
    of_sources: dict[tuple[str, ...], list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.correlation >= threshold:
            of_sources[tuple(sorted((origins[pair.item_a].source, origins[pair.item_b].source)))].append(pair)
    found = []
    for alike in of_sources.values():
        counted, used = list[Pair](), set[str]()
        for pair in sorted(alike, key=lambda pair: (-pair.information, pair.item_a, pair.item_b)):
            stretches = {origins[pair.item_a].stretch, origins[pair.item_b].stretch}
            if not stretches & used:
                counted.append(pair)
                used |= stretches
        together = sum(pair.information for pair in counted) >= MIN_SUPPORTED_INFORMATION
        found += [pair for pair in alike if pair.alone(threshold) or (together and pair in counted)]
    return sorted(found, key=lambda pair: (pair.item_a, pair.item_b))
