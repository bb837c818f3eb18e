"""One training pass, forward and backward; on a GPU recorded once and played again."""

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import torch

from earwitness.model.engine.losses import BatchLoss

PASSES_BEFORE_RECORDING = 2
"""The first passes of a kind choose kernels and allocate gradients, which a recording must not."""


@dataclass(frozen=True)
class PassInputs:
    """What a pass computes its loss from.

    tensors: by name, on the model's device. layout: everything else that decides which kernels run, such as lengths.
    """

    tensors: dict[str, torch.Tensor]
    layout: tuple[Any, ...] = ()


@dataclass(frozen=True)
class _Recording:
    graph: torch.cuda.CUDAGraph
    tensors: dict[str, torch.Tensor]
    result: BatchLoss


class TrainingPass:
    """Adds the gradients of a loss to those of its parameters.

    A full-size pass starts thousands of small kernels, which takes the processor longer than the GPU needs for them. So where
    `recording`, the third pass of one kind (shapes, layout) is captured as a CUDA graph, and all later ones are played from
    it: the same kernels on the same numbers, with random draws of their own (torch's generator feeds the graph). The
    gradients must then never be set to None.
    """

    def __init__(self, loss: Callable[[PassInputs], BatchLoss], recording: bool):
        self._loss, self._recording = loss, recording
        self._seen: Counter[Hashable] = Counter()
        self._recordings: dict[Hashable, _Recording] = {}

    def __call__(self, inputs: PassInputs, share: float) -> BatchLoss:
        """Add the gradients of `share` times the loss; returns the loss itself, valid until the next pass."""
        if not self._recording:
            return self._run(inputs, share)
        kind = (inputs.layout, share, *((name, tensor.shape) for name, tensor in sorted(inputs.tensors.items())))
        if self._seen[kind] < PASSES_BEFORE_RECORDING:
            self._seen[kind] += 1
            return self._run(inputs, share)
        if kind not in self._recordings:
            self._recordings[kind] = self._record(inputs, share)
        recording = self._recordings[kind]
        for name, tensor in inputs.tensors.items():
            recording.tensors[name].copy_(tensor)
        recording.graph.replay()
        return recording.result

    def _run(self, inputs: PassInputs, share: float) -> BatchLoss:
        result = self._loss(inputs)
        (result.loss * share).backward()
        return BatchLoss(result.loss.detach(), result.accuracy)

    def _record(self, inputs: PassInputs, share: float) -> _Recording:
        tensors = {name: tensor.clone() for name, tensor in inputs.tensors.items()}
        graph = torch.cuda.CUDAGraph()
        # All recordings work in one another's memory: only one plays at a time, and its result is read before the next.
        pool = next(iter(self._recordings.values())).graph.pool() if self._recordings else None
        with torch.cuda.graph(graph, pool=pool):
            result = self._run(PassInputs(tensors, inputs.layout), share)
        return _Recording(graph, tensors, result)
