"""Names of the report's figures, in the page's order."""

STUDY_FIGURES = ("accuracy", "phases", "conditions", "leakage", "reliability", "training", "test_sizes")
"""Of every study; each is drawn by a rule of its own, plot_NAME."""

MODEL_FIGURES = ("models",)
"""Of a study of several models; drawn likewise."""

BASELINE_FIGURES = ("duration_curves", "snr_curves", "sensitivity", "bands_and_rooms", "duration_by_snr", "hearing_and_saying")
"""Of the baseline stimuli; drawn by plot_psychometrics."""

PROMPT_FIGURES = ("prompt_progress", "prompt_gains", "prompt_length", "prompt_conditions")
"""Of prompt searches; drawn by plot_prompts."""


def figures_of(several_models: bool, baseline: bool, prompts: bool) -> tuple[str, ...]:
    """The figures of a study with these parts."""
    return STUDY_FIGURES + MODEL_FIGURES * several_models + BASELINE_FIGURES * baseline + PROMPT_FIGURES * prompts
