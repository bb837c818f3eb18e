"""Earwitness: from raw recordings to a report on how well an audio language model hears speech."""

from snakemake.utils import min_version

min_version("9.14.8")


configfile: "config/config.yaml"


report: "rules/captions/workflow.rst"


include: "rules/common.smk"
include: "rules/sources.smk"
include: "rules/clips.smk"
include: "rules/stimuli.smk"
include: "rules/splits.smk"
include: "rules/models.smk"
include: "rules/zeroshot.smk"
include: "rules/prompts.smk"
include: "rules/finetune.smk"
include: "rules/evaluate.smk"
include: "rules/tuning.smk"
include: "rules/compare.smk"
include: "rules/psychometrics.smk"
include: "rules/handover.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        "results/report.html",
        audit_reports([*AUDITED, "tuning"]),
        DETECTOR,


rule stimuli:
    """The stimuli alone, with no model."""
    input:
        "results/stimuli/factorial/index.parquet",
        BASELINE_INDEX,


rule audits:
    """Every split's leakage certificate and report."""
    input:
        audit_reports(["row_random", *AUDITED]),


rule adapters:
    """Every adapter of every enabled experiment."""
    input:
        adapter_files("adapter_model.safetensors"),
        audit_reports(AUDITED),


rule ablations:
    """What each change of the recipe gains or costs, enabled or not."""
    input:
        experiment_results("ablations"),


rule cross_validation:
    """Every source tested once, by an adapter that never heard it, enabled or not."""
    input:
        experiment_results("cross_validation"),


rule learning_curve:
    """Accuracy against the number of training speakers, enabled or not."""
    input:
        experiment_results("learning_curve"),


rule detector:
    """The folder that detect_speech.py uses: the selected adapter with prompt, calibration and model card."""
    input:
        DETECTOR,
        audit_reports([*SPLITS, "tuning"]),


onsuccess:
    record_run(log, Path("results/logs"), Path("results/provenance"))
    print("Report: results/report.html", file=sys.stderr)


onerror:
    record_run(log, Path("results/logs"), Path("results/provenance"))
    print(
        "\n".join(errors_since(Path("results/logs"), STARTED) or ["Failed; the causes are in results/logs/"]),
        file=sys.stderr,
    )
