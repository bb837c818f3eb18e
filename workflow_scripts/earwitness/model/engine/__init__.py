"""The model engine: checkpoints, exact short-clip features, prompts, scores, adapters."""
