"""Several models in the memory of one device, one at a time where it is small."""

import gc
from collections.abc import Callable
from typing import Any, TypeVar

import torch

Model = TypeVar("Model")


class ModelSwitch:
    """Models that are loaded when they are wanted and kept until another is.

    one_at_a_time: drop what is loaded before another model is, so that no two are ever in memory together; without it,
    everything stays. What `get` returns must not be kept.
    """

    def __init__(self, one_at_a_time: bool):
        self._one_at_a_time = one_at_a_time
        self._loaded: dict[str, Any] = {}

    def get(self, name: str, load: Callable[[], Model]) -> Model:
        """The model of this name, loaded now where it is not."""
        if name not in self._loaded:
            if self._one_at_a_time:
                self._loaded.clear()
                gc.collect()
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
            self._loaded[name] = load()
        return self._loaded[name]
