"""The family of psychometric functions: psi(x) = guess + (1 - guess - lapse) F((x - location) / scale)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]

MEASURES = ("threshold", "point_of_subjective_equality", "just_noticeable_difference")
"""What a curve is summed up by."""


@dataclass(frozen=True)
class Sigmoid:
    """A distribution function F with its density and its quantile function."""

    value: Callable[[FloatArray], FloatArray]
    density: Callable[[FloatArray], FloatArray]
    quantile: Callable[[FloatArray], FloatArray]


SIGMOIDS = {
    "normal": Sigmoid(special.ndtr, lambda z: np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi), special.ndtri),
    "logistic": Sigmoid(special.expit, lambda z: special.expit(z) * special.expit(-z), special.logit),
    "gumbel": Sigmoid(
        lambda z: -np.expm1(-np.exp(z)),
        lambda z: np.exp(z - np.exp(z)),
        lambda p: np.log(-np.log1p(-p)),
    ),
}
"""Gumbel's function of the logarithm of a stimulus is Weibull's of the stimulus."""


@dataclass(frozen=True)
class Family:
    """What a fit holds fixed: the sigmoid, and guess and lapse rate unless they are to be fitted (None)."""

    sigmoid: str = "normal"
    guess_rate: float | None = 0.5
    lapse_rate: float | None = None

    @property
    def shape(self) -> Sigmoid:
        return SIGMOIDS[self.sigmoid]


@dataclass(frozen=True)
class Curves:
    """Fitted functions, one per entry: location and scale (> 0) in units of the axis, lapse rate in [0, 1]; shape (n_curves,).

    fitted_guess: the guess rate, where the family leaves it free.
    """

    family: Family
    location: FloatArray
    scale: FloatArray
    lapse: FloatArray
    fitted_guess: FloatArray | None = None

    @classmethod
    def of(cls, family: Family, parameters: FloatArray) -> "Curves":
        """The curves of parameters, shape (n_curves, 4), as `parameters` gives them."""
        location, scale, lapse, guess = parameters.T
        return cls(family, location, scale, lapse, guess)

    @property
    def parameters(self) -> FloatArray:
        """Location, scale, lapse and guess rate; shape (n_curves, 4)."""
        return np.column_stack([self.location, self.scale, self.lapse, self.guess])

    @property
    def guess(self) -> FloatArray:
        """Guess rate, shape (n_curves,)."""
        return self.fitted_guess if self.fitted_guess is not None else np.full(len(self.location), self.family.guess_rate)

    def at(self, levels: npt.ArrayLike) -> FloatArray:
        """Probability of a correct answer at every level; shape (n_curves, n_levels)."""
        z = (np.asarray(levels, dtype=np.float64) - self.location[:, None]) / self.scale[:, None]
        return self.guess[:, None] + self._amplitude[:, None] * self.family.shape.value(z)

    def threshold(self, target: float) -> FloatArray:
        """The level at which psi, guess and lapse rate included, is `target`; inf where psi never exceeds it, -inf where it
        always does. Shape (n_curves,)."""
        unscaled = (target - self.guess) / self._amplitude
        reached, exceeded = unscaled < 1, unscaled <= 0
        z = self.family.shape.quantile(np.where(reached & ~exceeded, unscaled, 0.5))
        return np.where(exceeded, -np.inf, np.where(reached, self.location + self.scale * z, np.inf))

    def slope(self, level: float) -> FloatArray:
        """Derivative of psi at a level, per unit of the axis; shape (n_curves,)."""
        return self._amplitude * self.family.shape.density((level - self.location) / self.scale) / self.scale

    @property
    def midpoint(self) -> FloatArray:
        """Where F is 0.5: what psignifit calls the threshold."""
        return self.location + self.scale * self.family.shape.quantile(np.array(0.5))

    @property
    def width(self) -> FloatArray:
        """Distance between the levels where F is 0.05 and 0.95: what psignifit calls the width."""
        low, high = self.family.shape.quantile(np.array([0.05, 0.95]))
        return self.scale * (high - low)

    @property
    def just_noticeable_difference(self) -> FloatArray:
        """Half of the distance between the levels where F is 0.25 and 0.75, in units of the axis."""
        low, high = self.family.shape.quantile(np.array([0.25, 0.75]))
        return self.scale * (high - low) / 2

    @property
    def _amplitude(self) -> FloatArray:
        return 1 - self.guess - self.lapse
