"""Named random streams: adding an item never changes what the others draw."""

import hashlib

import numpy as np


def stream_seed(seed: int, *names: object) -> int:
    """A 64-bit seed that depends on the root seed and on every name, in order."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def stream(seed: int, *names: object) -> np.random.Generator:
    """The generator of the stream called `names` (rule, item, ...) under the root seed."""
    return np.random.default_rng(stream_seed(seed, *names))
