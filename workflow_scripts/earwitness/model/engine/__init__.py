"""The model engine: loading, exact features of short clips, prompts, scores, losses, adapters.

The classes of a model family are named here and in earwitness.model.tiny_base alone.
"""
