"""Where every figure and table of the page comes from: files in results/, and the rule, whose script has its name."""

from dataclasses import dataclass

RULE_FILES = {
    "audit_leakage": "splits",
    "audit_tuning": "tuning",
    "calibrate_systems": "evaluate",
    "catalogue_recordings": "clips",
    "compare_prompts": "prompts",
    "compare_systems": "compare",
    "fit_mixed_model": "psychometrics",
    "fit_psychometrics": "psychometrics",
    "judge_claims": "claims",
    "list_errors": "compare",
    "measure_accuracy": "compare",
    "measure_detection": "handover",
    "measure_efficiency": "compare",
    "measure_experiment": "compare",
    "plot_accuracy": "report",
    "plot_conditions": "report",
    "plot_draws": "report",
    "plot_efficiency": "report",
    "plot_experiment": "report",
    "plot_leakage": "report",
    "plot_models": "report",
    "plot_phases": "report",
    "plot_prompts": "prompts",
    "plot_psychometrics": "psychometrics",
    "plot_reliability": "report",
    "plot_test_sizes": "report",
    "plot_training": "report",
    "predict_zeroshot": "zeroshot",
    "record_provenance": "report",
    "summarise_stimuli": "stimuli",
}
"""Rule -> the file in rules/ that has it."""


@dataclass(frozen=True)
class Origin:
    """Where something on the page comes from. data: paths below results/. rule: who wrote it."""

    data: tuple[str, ...]
    rule: str

    @property
    def rules_file(self) -> str:
        """The path, from results/, of the file with the rule."""
        return f"../rules/{RULE_FILES[self.rule]}.smk"

    @property
    def script(self) -> str:
        """The path, from results/, of the rule's program."""
        return f"../workflow_scripts/{self.rule}.py"


def _tables(rule: str, *names: str) -> Origin:
    return Origin(tuple(f"tables/{name}.csv" for name in names), rule)


_POINTS, _CURVES = "psychometrics/points.csv", "psychometrics/curves.csv"

FIGURES = {
    "accuracy": _tables("plot_accuracy", "accuracy", "sources"),
    "phases": _tables("plot_phases", "phases", "accuracy", "sources"),
    "models": _tables("plot_models", "accuracy", "comparisons", "thresholds"),
    "conditions": _tables("plot_conditions", "conditions"),
    "leakage": _tables("plot_leakage", "leakage", "accuracy", "sources"),
    "reliability": Origin(("calibration/reliability.csv", "calibration/fits.csv", "tables/calibration.csv"), "plot_reliability"),
    "training": Origin(("adapters",), "plot_training"),
    "test_sizes": _tables("plot_test_sizes", "test_sizes"),
    "duration_curves": Origin((_POINTS, _CURVES, "tables/thresholds.csv"), "plot_psychometrics"),
    "snr_curves": Origin((_POINTS, _CURVES), "plot_psychometrics"),
    "sensitivity": Origin((_POINTS, _CURVES), "plot_psychometrics"),
    "bands_and_rooms": Origin((_POINTS,), "plot_psychometrics"),
    "duration_by_snr": Origin((_POINTS,), "plot_psychometrics"),
    "hearing_and_saying": Origin((_POINTS, _CURVES), "plot_psychometrics"),
    "prompt_progress": Origin(("prompts/history.csv", "tables/prompts.csv"), "plot_prompts"),
    "prompt_gains": _tables("plot_prompts", "prompts"),
    "prompt_length": Origin(("prompts/history.csv",), "plot_prompts"),
    "prompt_conditions": Origin(("prompts/conditions.csv",), "plot_prompts"),
}
"""Figure -> its origin."""

TABLES = {
    "accuracy": _tables("measure_accuracy", "accuracy"),
    "claims": _tables("judge_claims", "claims"),
    "thresholds": _tables("fit_psychometrics", "thresholds"),
    "contrasts": _tables("fit_psychometrics", "threshold_contrasts"),
    "mixed-models": _tables("fit_mixed_model", "mixed_model_effects", "mixed_model_fits"),
    "comparisons": _tables("compare_systems", "comparisons"),
    "models": Origin(("tables/accuracy.csv", "tables/comparisons.csv", "tables/thresholds.csv"), "compare_systems"),
    "between-models": _tables("compare_systems", "comparisons"),
    "tests": _tables("compare_systems", "comparisons"),
    "detectors": _tables("compare_systems", "comparisons"),
    "detection": _tables("measure_detection", "detection", "detection_roc"),
    "variance": _tables("compare_systems", "variance"),
    "ensembles": _tables("compare_systems", "ensembles"),
    "calibration": _tables("calibrate_systems", "calibration"),
    "leakage": _tables("compare_systems", "leakage"),
    "error-rates": _tables("list_errors", "error_rates"),
    "errors": _tables("list_errors", "errors"),
    "prompts": _tables("compare_prompts", "prompts"),
    "recordings": Origin(("recordings",), "catalogue_recordings"),
    "stimuli": _tables("summarise_stimuli", "stimuli"),
    "digests": Origin(("provenance/digests.csv",), "record_provenance"),
}
"""Table -> its origin."""


def figure_origin(name: str) -> Origin:
    """The origin of a figure; of an experiment's after its name, such as "experiment-main"."""
    kind, _, experiment = name.partition("-")
    of_experiments = {
        "experiment": _tables("plot_experiment", f"experiments/{experiment}", f"learning_curves/{experiment}"),
        "efficiency": Origin((f"efficiency/{experiment}.csv",), "plot_efficiency"),
        "draws": _tables("plot_draws", f"draws/{experiment}"),
    }
    return FIGURES[name] if name in FIGURES else of_experiments[kind]


def table_origin(name: str) -> Origin:
    """The origin of a table; of an experiment's, an audit's or a listening matrix's after its name, such as "audit-grouped"."""
    if name in TABLES:
        return TABLES[name]
    kind, _, rest = name.partition("-")
    audited = rest.removesuffix("-parts").removesuffix("-passed")
    stage = "tuning" if audited == "tuning" else "leakage"
    return {
        "claims": TABLES["claims"],
        "experiment": _tables("measure_experiment", f"experiments/{rest}"),
        "cost": Origin((f"efficiency/{rest}.csv",), "measure_efficiency"),
        "audit": Origin((f"audit/{audited}/certificate.json", f"audit/{audited}/evidence.csv"), f"audit_{stage}"),
        "listening": Origin(("predictions/factorial",), "predict_zeroshot"),
    }[kind]
