"""Which sources have one voice? Scores of speaker embeddings, calibrated on the sources themselves.

The score of two sources is the cosine of their embeddings. How different voices score depends on the length of the audio, on channels, and on
how alike the voices are. All of it is learnt from the data, and no name is believed:

1. Every source is embedded three times: whole, and each half of its audio. Halves differ in what is said and not in who speaks, so directions
   in which they differ are weakened (within-class covariance normalisation: A. Hatch, S. Kajarekar and A. Stolcke, Interspeech 2006).
2. Where halves agree by h, two recordings of the whole length agree by r = 2 h / (1 + h) (the formula of C. Spearman and W. Brown, 1910): the
   score of one voice in two files of one channel.
3. The scores of all pairs are a mixture of two normal distributions. That of one voice is known from 2; the share of such pairs, and mean
   and deviation of different voices, are fitted by expectation maximisation. So a voice that hides under several names does not count as
   several.
4. Some voices are much alike, so the upper tail is heavier than normal: its deviation is widened by sqrt(1 + (w^2 - 1) q), where q is the
   share of the variance that the likeness of voices has, and not the shortness of the speech.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from earwitness.statistics.distributions import normal_quantile, normal_tail

FloatArray = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MIN_CALIBRATED = 8
"""Sources from which on it can be told how alike different voices are."""

MOST_CALIBRATED = 1500
"""Most sources whose pairs are all used to calibrate; of more sources, this many are taken at even distances."""

TAIL_WIDENING = 1.3
"""w above; set on all of the 69 recordings that benchmarks/README.md measures, so the figures for them are not held out. `benchmarks/voice.py
held-out` chooses it on half of the recordings and measures on the others."""

FALSE_DISCOVERIES = 0.02
"""Share of the pairs found that may be of different voices; where no voice is shared, the chance that any pair is found."""

SAME_DEVIATIONS = (0.05, 0.25)
"""Least and most that scores of one voice are taken to vary."""

STARTS = ((0.5, 1.0, 0.01), (0.25, 0.5, 0.3), (0.1, 0.5, 0.6))
"""Where the fit starts: quantile for the mean, share of the deviation, and share of pairs of one voice. The likeliest result counts."""

STEPS = 300
BLOCK = 1024
"""Sources that are compared with all others at once."""


class Voices(NamedTuple):
    """Embeddings of n sources: whole of shape (n, d), halves of shape (n, 2, d); unit vectors."""

    whole: FloatArray
    halves: FloatArray


class Pairs(NamedTuple):
    """Pairs of sources that seem to have one voice: places of both, score, and chance of such a score where voices differ; by score."""

    first: Integers
    second: Integers
    score: FloatArray
    chance: FloatArray


@dataclass(frozen=True)
class Scores:
    """How pairs of sources score.

    mean, deviation: of different voices; widening: factor on the deviation in the upper tail; same_mean, same_deviation: of one voice in two
    files of one channel; shared: share of pairs that seem to be of one voice.
    """

    mean: float
    deviation: float
    widening: float
    same_mean: float
    same_deviation: float
    shared: float

    def chance(self, scores: FloatArray) -> FloatArray:
        """The probability that a pair of different voices scores as high."""
        return normal_tail((scores - self.mean) / (self.widening * self.deviation))

    def limit(self, chance: float) -> float:
        """The score that a pair of different voices exceeds with that probability."""
        return float(self.mean - self.widening * self.deviation * normal_quantile(chance))

    def recognised(self, chance: float) -> float:
        """The share of pairs of one voice that exceed that limit."""
        return float(normal_tail((self.limit(chance) - self.same_mean) / self.same_deviation))


def unit(vectors: npt.ArrayLike) -> FloatArray:
    """Vectors along the last axis, divided by their length."""
    values = np.asarray(vectors, dtype=np.float64)
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-12)


def calibrated(voices: Voices, tail: float = TAIL_WIDENING) -> tuple[FloatArray, Scores]:
    """Normalised embeddings, shape (n, d), and how their pairs score; n of at least MIN_CALIBRATED. tail: w above."""
    normalisation = _within_voice_normalisation(voices.halves)
    whole = unit(voices.whole @ normalisation)
    chosen = np.unique(np.linspace(0, len(whole) - 1, min(len(whole), MOST_CALIBRATED)).round().astype(int))
    agreement = np.clip(_agreement_of_halves(voices.halves[chosen]), 1e-6, None)
    predicted = 2 * agreement / (1 + agreement)
    same_mean = float(np.median(predicted))
    same_deviation = float(np.clip(1.4826 * np.median(np.abs(predicted - same_mean)), *SAME_DEVIATIONS))

    pairs = np.triu_indices(len(chosen), 1)
    scores = (whole[chosen] @ whole[chosen].T)[pairs]
    mean, deviation, shared, same = _mixture(scores, same_mean, same_deviation)
    # The likeness of two voices is what the scores of their first halves and of their second halves have in common.
    halves = unit(voices.halves[chosen] @ normalisation)
    by_half = [(halves[:, side] @ halves[:, side].T)[pairs][~same] for side in (0, 1)]
    likeness = float(np.cov(by_half[0], by_half[1])[0, 1]) * (same_mean / float(np.median(agreement))) ** 2
    widening = np.sqrt(1 + (tail**2 - 1) * np.clip(likeness / deviation**2, 0, 1))
    return whole, Scores(mean, deviation, float(widening), same_mean, same_deviation, shared)


def one_voice(whole: FloatArray, scores: Scores, parts: Integers, false_alarms: float) -> tuple[Pairs, int]:
    """Pairs of sources in different parts that seem to have one voice, and how many pairs were compared.

    whole, scores: from `calibrated`; parts: shape (n,), the parts that hold a source as bits of a number; false_alarms: how often a pair of
    different voices may exceed the limit, in (0, 0.5). Of the pairs above the limit only so many remain that a share of FALSE_DISCOVERIES is
    expected to be of different voices (Y. Benjamini and Y. Hochberg 1995), so that many pairs do not make many false alarms. Time grows with n^2
    (0.1 s for 1,000 sources), memory with n.
    """
    limit, compared, found = scores.limit(false_alarms), 0, []
    in_several = (parts & (parts - 1)) != 0
    for start in range(0, len(whole), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(whole)))
        apart = (parts[rows, None] != parts[None, start:]) | (in_several[rows, None] & in_several[None, start:])
        apart &= np.arange(start, len(whole))[None, :] > rows[:, None]
        compared += int(apart.sum())
        block = whole[rows] @ whole[start:].T
        first, second = np.nonzero(apart & (block >= limit))
        found.append((first + start, second + start, block[first, second]))
    first, second, score = (np.concatenate(columns) for columns in zip(*found, strict=True))
    order = np.argsort(-score, kind="stable")
    chance = scores.chance(score[order])
    allowed = FALSE_DISCOVERIES * np.arange(1, len(order) + 1) / max(compared, 1)
    kept = order[: np.flatnonzero(chance <= allowed).max(initial=-1) + 1]
    return Pairs(first[kept], second[kept], score[kept], chance[: len(kept)]), compared


def _within_voice_normalisation(halves: FloatArray) -> FloatArray:
    """A matrix of shape (d, d) after which the differences between halves are alike in all directions, as far as there are enough to tell
    (shrunk by O. Ledoit and M. Wolf 2004)."""
    from sklearn.covariance import ledoit_wolf  # loads slowly

    covariance, _ = ledoit_wolf(halves[:, 0] - halves[:, 1], assume_centered=True)
    variances, directions = np.linalg.eigh(covariance)
    return directions / np.sqrt(np.maximum(variances, 1e-9))


def _agreement_of_halves(halves: FloatArray) -> FloatArray:
    """Cosine of the two halves of each source, normalised as other sources teach; shape (n,)."""
    agreement = np.zeros(len(halves))
    odd = np.arange(len(halves)) % 2 == 1
    for fold in (odd, ~odd):
        normalised = unit(halves[fold] @ _within_voice_normalisation(halves[~fold]))
        agreement[fold] = np.einsum("nd,nd->n", normalised[:, 0], normalised[:, 1])
    return agreement


def _mixture(scores: FloatArray, same_mean: float, same_deviation: float) -> tuple[float, float, float, Mask]:
    """Mean and deviation of different voices, the share of pairs of one voice, and which pairs are likelier of one voice."""
    from scipy.stats import norm  # loads slowly

    same = norm.pdf(scores, same_mean, same_deviation)
    fits = []
    for quantile, narrowing, shared in STARTS:
        mean, deviation = float(np.quantile(scores, quantile)), narrowing * float(scores.std())
        for _ in range(STEPS):
            both = shared * same + (1 - shared) * norm.pdf(scores, mean, deviation)
            # What scores below the mean of different voices is of different voices, however wide the other distribution is.
            of_one = np.where(scores < mean, 0.0, shared * same / np.maximum(both, 1e-300))
            before = mean
            mean = float(np.average(scores, weights=1 - of_one))
            deviation = max(float(np.sqrt(np.average((scores - mean) ** 2, weights=1 - of_one))), 1e-3)
            shared = float(np.clip(of_one.mean(), 1e-6, 1 - 1e-6))
            if abs(mean - before) < 1e-7:
                break
        fits.append((float(np.log(np.maximum(both, 1e-300)).sum()), mean, deviation, shared, of_one > 0.5))
    _, mean, deviation, shared, one = max(fits, key=lambda fit: fit[0])
    return mean, deviation, shared, one
