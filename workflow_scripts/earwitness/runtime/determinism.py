"""The same bytes twice: what torch must be told for it on a GPU."""

import os

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""Environment variable: the memory that matrix products work in. Of a fixed size, their sums have one order; read when CUDA starts."""


def reserve_workspace() -> None:
    """Fix the memory of matrix products, unless the user has said otherwise; call before importing torch."""
    os.environ.setdefault(WORKSPACE, ":4096:8")


def compute_deterministically() -> None:
    """Let every later operation of this process have one order of its sums, attention's gradients included.

    An operation that has none raises RuntimeError. (Where torch only warns of such operations, it chooses attention by cuDNN, whose
    gradients differ from run to run.)
    """
    import torch

    torch.use_deterministic_algorithms(True)
    # Memory that is about to be written needs no filling, which would take as long as the writing.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
