"""How a program loads what takes long to load."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Pause the garbage collector in the block, and exempt what was made there from later collections.

    What a module makes when it is loaded stays, so that looking through it in vain, again and again as it grows, is a quarter of the
    time that torch and transformers take. A collector that was off before the block stays off.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
