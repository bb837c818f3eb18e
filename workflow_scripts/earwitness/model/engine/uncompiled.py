"""Libraries loaded without torch's compiler, which takes longer to load than all the rest, and which nothing here uses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def without_compiler() -> Iterator[None]:
    """For importing bitsandbytes, or what imports it.

    It would have functions compiled for devices that it has no kernels for; what it would compile then runs as it is written.
    """
    library: Any = torch
    compiling = library.compile
    library.compile = lambda function=None, **_: function or (lambda alone: alone)
    try:
        yield
    finally:
        library.compile = compiling
