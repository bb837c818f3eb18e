"""The map from log-odds to a probability of speech that a calibration fits. A detector needs the map, but not the code that fits it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]

METHODS = ("temperature", "platt")
LARGEST_TEMPERATURE = 1000.0


@dataclass(frozen=True)
class Calibration:
    """A map of log-odds: calibrated = slope x log-odds + intercept. The temperature is 1 / slope."""

    slope: float = 1.0
    intercept: float = 0.0

    @property
    def informative(self) -> bool:
        """Does the probability rise with the score? It does not where the temperature is at its upper limit, or the slope is negative."""
        return self.slope > 1.01 / LARGEST_TEMPERATURE

    @property
    def threshold(self) -> float:
        """The log-odds at which the probability is one half; nan where the slope is not positive."""
        return 0.0 - self.intercept / self.slope if self.slope > 0 else np.nan

    def probability(self, log_odds: npt.ArrayLike, prevalence: float = 0.5) -> FloatArray:
        """Probability of speech where a share `prevalence`, in (0, 1), of what is heard is speech; any shape."""
        return np.asarray(special.expit(self.slope * np.asarray(log_odds, dtype=np.float64) + self.intercept + special.logit(prevalence)))
