"""An adapter's products beside weights in 16 bits, in 16 bits."""

from typing import TYPE_CHECKING, Any

import torch
from peft.tuners import lora
from torch import nn

if TYPE_CHECKING:
    from peft import PeftModel

SIXTEEN_BITS = (torch.bfloat16, torch.float16)


class Linear16(lora.Linear):
    """The library's linear layer with an adapter, but for the precision of its low-rank products.

    The library computes them in float32, so that what the layer reads and gives is copied to float32 and back, which takes longer than the
    products. Here they are computed in the layer's own precision, as under torch's autocast, with sums in float32. The matrices that are
    trained, and their gradients, stay float32.
    """

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        result: torch.Tensor = self.base_layer(x)
        [name] = self.active_adapters
        down: torch.Tensor = self.lora_A[name].weight.to(x.dtype)  # type: ignore[assignment]
        up: torch.Tensor = self.lora_B[name].weight.to(x.dtype)  # type: ignore[assignment]
        low = nn.functional.linear(self.lora_dropout[name](x), down)
        # One kernel multiplies, scales, adds and rounds.
        return torch.addmm(result.flatten(0, -2), low.flatten(0, -2), up.T, alpha=self.scaling[name]).view_as(result)


def compute_in_16_bits(wrapped: "PeftModel") -> None:
    """Let a model's adapter compute in 16 bits where the weights beside it are; where they are not, it stays the library's own."""
    for module in wrapped.modules():
        if type(module) is lora.Linear and module.base_layer.weight.dtype in SIXTEEN_BITS:
            module.__class__ = Linear16
