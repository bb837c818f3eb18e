"""The recipe that the benchmarks of training share: the attention projections of the published scope, rank 16."""

from typing import Any

RECIPE: dict[str, Any] = {
    "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"],
    "scope": "published",
    "rank": 16,
    "alpha": 32,
    "dropout": 0.05,
    "loss_on": "answer",
    "focal_gamma": 0.0,
    "epochs": None,
    "learning_rate": 1e-4,
    "batch_size": 16,
    "micro_batch_size": None,
    "warmup_fraction": 0.1,
    "weight_decay": 0.0,
    "max_gradient_norm": 1.0,
}
