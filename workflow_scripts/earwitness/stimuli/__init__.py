"""Stimuli: designs, mixing, what was achieved, and counterfactual variants."""
