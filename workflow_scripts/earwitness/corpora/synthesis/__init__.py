"""The embedded corpus: voices, sounds, rooms, written in the layouts of the real data sets."""

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]
"""Mono audio, full scale 1, shape (n_samples,)."""
