"""Earwitness: from raw recordings to a report on how well an audio language model hears speech."""

from snakemake.utils import min_version

min_version("9.14.8")


include: "rules/start.smk"


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
include: "rules/claims.smk"
include: "rules/handover.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        "results/report.html",
        paths.audit_reports([*plan.audited_splits, "tuning"]),
        plan.detector_files,


rule preflight:
    """A look at every model before it is used."""
    input:
        expand("results/preflight/{model}.md", model=plan.models),


rule stimuli:
    """The stimuli alone, with no model."""
    input:
        expand("results/stimuli/{stimulus_set}/index.parquet", stimulus_set=plan.stimulus_sets),


rule audits:
    """Every split's leakage certificate and report."""
    input:
        paths.audit_reports(sorted({"row_random", *plan.audited_splits})),


rule adapters:
    """Every adapter of every enabled experiment."""
    input:
        paths.adapters(plan.adapters, "adapter_model.safetensors"),
        paths.audit_reports(plan.audited_splits),


rule ablations:
    """What each change of the recipe gains or costs, enabled or not."""
    input:
        paths.experiment_results(plan.named("ablations")),


rule cross_validation:
    """Every source tested once, by an adapter that never heard it, enabled or not."""
    input:
        paths.experiment_results(plan.named("cross_validation")),


rule learning_curve:
    """Accuracy against the number of training speakers, enabled or not."""
    input:
        paths.experiment_results(plan.named("learning_curve")),


rule redrawn:
    """The published design drawn five times: its leaky and its corrected split, on sources and rows of their own, enabled or not."""
    input:
        paths.experiment_results(plan.named("redrawn")),


rule redrawn_often:
    """The same, drawn thirty times."""
    input:
        paths.experiment_results(plan.named("redrawn_often")),


rule published:
    """The published settings to the letter, and without peak normalisation or loss masking, enabled or not."""
    input:
        paths.experiment_results(plan.named("published")),


rule detector:
    """The folder that detect_speech.py uses: the selected adapter with prompt, calibration, segments and model card."""
    input:
        plan.detector_files,
        paths.audit_reports([*plan.splits, "tuning"]),


include: "rules/names.smk"


onstart:
    WATCHER.start()


onsuccess:
    WATCHER.stop()
    record_run(log, Path("results/benchmarks"), Path("results/provenance"))
    print("\n".join(told_at_the_end(Path("results"), STARTED)), file=sys.stderr)


onerror:
    WATCHER.stop()
    record_run(log, Path("results/benchmarks"), Path("results/provenance"))
    print(
        "\n".join(errors_since(Path("results/logs"), STARTED) or ["Failed; the causes are in results/logs/"]),
        file=sys.stderr,
    )
