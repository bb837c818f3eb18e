"""The model engine: loading, exact features of short clips, prompts, scores, losses, adapters.

It knows no model by name: what differs between models is in earwitness.model.families.
"""
