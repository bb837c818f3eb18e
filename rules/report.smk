"""Report: figures, the self-contained page, and where everything came from.

in   results/tables/, results/audit/, results/adapters/, results/stimuli/
out  results/figures/{accuracy,phases,conditions,leakage,reliability,training}.{svg,png}
     results/provenance/config.yaml, run.json, digests.csv
     results/report.html
"""

STUDY_TABLES = ["ensembles", "power", "variance", "calibration", "error_rates"]
ENABLED = list(map(str, plan.enabled_experiments))
REDRAWN = [str(experiment) for experiment in plan.enabled_experiments if experiment.is_redrawn]


rule plot_accuracy:
    """Balanced accuracy of every system on unseen sources, with clustered intervals and a dot per source."""
    input:
        accuracy="results/tables/accuracy.csv",
        sources="results/tables/sources.csv",
    output:
        svg=report(
            "results/figures/accuracy.svg",
            caption="captions/accuracy.rst",
            category="Answer",
            subcategory="Figures",
            labels={"shows": "Accuracy, with a dot per source"},
        ),
        png="results/figures/accuracy.png",
    log:
        "results/logs/plot_accuracy.log",
    benchmark:
        "results/benchmarks/plot_accuracy.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("plot_accuracy.py"),
    message:
        "Drawing accuracy per system"
    shell:
        "python workflow_scripts/plot_accuracy.py {input.accuracy:q} {input.sources:q} {output.svg:q} {output.png:q}"
        " &> {log:q}"


rule plot_phases:
    """The answer in one figure: zero-shot, searched question, fine-tuned, ensemble, detectors, and the leaky test beside them."""
    input:
        phases="results/tables/phases.csv",
        accuracy="results/tables/accuracy.csv",
        sources="results/tables/sources.csv",
    output:
        svg=report(
            "results/figures/phases.svg",
            caption="captions/phases.rst",
            category="Answer",
            subcategory="Figures",
            labels={"shows": "The answer"},
        ),
        png="results/figures/phases.png",
    log:
        "results/logs/plot_phases.log",
    benchmark:
        "results/benchmarks/plot_phases.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("plot_phases.py"),
    message:
        "Drawing accuracy over the phases"
    shell:
        "python workflow_scripts/plot_phases.py {input.phases:q} {input.accuracy:q} {input.sources:q} {output.svg:q} {output.png:q}"
        " &> {log:q}"


rule plot_models:
    """Several models side by side, as they are and fine-tuned: accuracy and thresholds. Part of no study of one model."""
    input:
        accuracy="results/tables/accuracy.csv",
        comparisons="results/tables/comparisons.csv",
        thresholds=["results/tables/thresholds.csv"] * ("baseline" in plan.stimulus_sets),
    output:
        svg=report(
            "results/figures/models.svg",
            caption="captions/models.rst",
            category="Models",
            subcategory="Figures",
            labels={"shows": "The models side by side"},
        ),
        png="results/figures/models.png",
    log:
        "results/logs/plot_models.log",
    benchmark:
        "results/benchmarks/plot_models.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("plot_models.py"),
    message:
        "Drawing the models side by side"
    shell:
        "python workflow_scripts/plot_models.py {input.accuracy:q} {input.comparisons:q} {output.svg:q} {output.png:q}"
        " --thresholds {input.thresholds:q}"
        " &> {log:q}"


rule plot_reliability:
    """How often what a system calls probable is so, a panel per system."""
    input:
        reliability="results/calibration/reliability.csv",
        calibration="results/tables/calibration.csv",
        fits="results/calibration/fits.csv",
    output:
        svg=report(
            "results/figures/reliability.svg",
            caption="captions/reliability.rst",
            category="Fine-tuning",
            subcategory="Figures",
            labels={"shows": "Reliability of probabilities"},
        ),
        png="results/figures/reliability.png",
    log:
        "results/logs/plot_reliability.log",
    benchmark:
        "results/benchmarks/plot_reliability.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("plot_reliability.py"),
    message:
        "Drawing reliability diagrams"
    shell:
        "python workflow_scripts/plot_reliability.py {input.reliability:q} {input.calibration:q} {input.fits:q} {output.svg:q} {output.png:q}"
        " &> {log:q}"


rule plot_conditions:
    """Balanced accuracy by duration and SNR, a panel per system."""
    input:
        conditions="results/tables/conditions.csv",
    output:
        svg=report(
            "results/figures/conditions.svg",
            caption="captions/conditions.rst",
            category="Fine-tuning",
            subcategory="Figures",
            labels={"shows": "Accuracy by duration and SNR"},
        ),
        png="results/figures/conditions.png",
    log:
        "results/logs/plot_conditions.log",
    benchmark:
        "results/benchmarks/plot_conditions.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("plot_conditions.py"),
    message:
        "Drawing accuracy by duration and SNR"
    shell:
        "python workflow_scripts/plot_conditions.py {input.conditions:q} {output.svg:q} {output.png:q}" " &> {log:q}"


rule plot_leakage:
    """The leaky arm on its own test rows and on unseen sources, beside the published numbers."""
    input:
        leakage="results/tables/leakage.csv",
        accuracy="results/tables/accuracy.csv",
        sources="results/tables/sources.csv",
        claims="config/claims.yaml",
    output:
        svg=report(
            "results/figures/leakage.svg",
            caption="captions/leakage.rst",
            category="Leakage",
            subcategory="Figures",
            labels={"shows": "What leakage buys"},
        ),
        png="results/figures/leakage.png",
    log:
        "results/logs/plot_leakage.log",
    benchmark:
        "results/benchmarks/plot_leakage.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("plot_leakage.py"),
    message:
        "Drawing what leakage buys"
    shell:
        "python workflow_scripts/plot_leakage.py {input.leakage:q} {input.accuracy:q} {input.sources:q} {input.claims:q} {output.svg:q} {output.png:q}"
        " &> {log:q}"


rule plot_training:
    """Loss against step of every adapter."""
    input:
        histories=paths.adapters(plan.arms, "history.csv"),
    output:
        svg=report(
            "results/figures/training.svg",
            caption="captions/training.rst",
            category="Fine-tuning",
            subcategory="Figures",
            labels={"shows": "Training loss"},
        ),
        png="results/figures/training.png",
    log:
        "results/logs/plot_training.log",
    benchmark:
        "results/benchmarks/plot_training.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("plot_training.py"),
        systems=list(map(str, plan.arms)),
    message:
        "Drawing training curves"
    shell:
        "python workflow_scripts/plot_training.py {input.histories:q}"
        " --systems {params.systems:q}"
        " --svg {output.svg:q}"
        " --png {output.png:q}"
        " &> {log:q}"


rule plot_test_sizes:
    """Accuracy and gain on test sets of several sizes, and what each size could find."""
    input:
        sizes="results/tables/test_sizes.csv",
    output:
        svg=report(
            "results/figures/test_sizes.svg",
            caption="captions/test_sizes.rst",
            category="Limits",
            subcategory="Figures",
            labels={"shows": "Test sets of several sizes"},
        ),
        png="results/figures/test_sizes.png",
    log:
        "results/logs/plot_test_sizes.log",
    benchmark:
        "results/benchmarks/plot_test_sizes.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("plot_test_sizes.py"),
    message:
        "Drawing what test sets of several sizes resolve"
    shell:
        "python workflow_scripts/plot_test_sizes.py {input.sizes:q} {output.svg:q} {output.png:q}" " &> {log:q}"


rule plot_experiment:
    """Every recipe and split of an experiment, and its learning curves."""
    input:
        experiment="results/tables/experiments/{experiment}.csv",
        learning_curve="results/tables/learning_curves/{experiment}.csv",
    output:
        svg=report(
            "results/figures/experiments/{experiment}.svg",
            caption="captions/experiment.rst",
            category="Fine-tuning",
            subcategory="Figures",
            labels={"shows": "Recipes and splits", "experiment": "{experiment}"},
        ),
        png="results/figures/experiments/{experiment}.png",
    log:
        "results/logs/plot_experiment/{experiment}.log",
    benchmark:
        "results/benchmarks/plot_experiment/{experiment}.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("plot_experiment.py"),
    message:
        "Drawing experiment {wildcards.experiment}"
    shell:
        "python workflow_scripts/plot_experiment.py {input.experiment:q} {input.learning_curve:q} {output.svg:q} {output.png:q}"
        " &> {log:q}"


rule plot_draws:
    """What the published design gives from draw to draw, beside what the study saw of its one draw."""
    input:
        draws="results/tables/draws/{experiment}.csv",
        claims="config/claims.yaml",
    output:
        svg=report(
            "results/figures/draws/{experiment}.svg",
            caption="captions/draws.rst",
            category="Leakage",
            subcategory="Figures",
            labels={"shows": "The published design, drawn again", "experiment": "{experiment}"},
        ),
        png="results/figures/draws/{experiment}.png",
    log:
        "results/logs/plot_draws/{experiment}.log",
    benchmark:
        "results/benchmarks/plot_draws/{experiment}.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("plot_draws.py"),
    message:
        "Drawing the draws of experiment {wildcards.experiment}"
    shell:
        "python workflow_scripts/plot_draws.py {input.draws:q} {input.claims:q} {output.svg:q} {output.png:q}"
        " &> {log:q}"


rule plot_efficiency:
    """Accuracy against parameters, adapter size, training time and memory."""
    input:
        efficiency="results/efficiency/{experiment}.csv",
    output:
        svg=report(
            "results/efficiency/{experiment}.svg",
            caption="captions/efficiency.rst",
            category="Cost",
            subcategory="Figures",
            labels={"shows": "Accuracy and cost", "experiment": "{experiment}"},
        ),
        png="results/efficiency/{experiment}.png",
    log:
        "results/logs/plot_efficiency/{experiment}.log",
    benchmark:
        "results/benchmarks/plot_efficiency/{experiment}.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("plot_efficiency.py"),
    message:
        "Drawing what the recipes of experiment {wildcards.experiment} cost"
    shell:
        "python workflow_scripts/plot_efficiency.py {input.efficiency:q} {output.svg:q} {output.png:q}" " &> {log:q}"


rule record_provenance:
    """The resolved configuration, versions, hardware, revision, and digests of what went in and came out."""
    input:
        lock="envs/requirements.lock",
        recordings=expand("results/recordings/{dataset}.parquet", dataset=plan.datasets(*plan.stimulus_sets)),
        certificates=expand("results/audit/{audit}/certificate.json", audit=[*plan.audited_splits, "tuning"]),
        tables=expand(
            "results/tables/{table}.csv",
            table=[
                "accuracy",
                "claims",
                "comparisons",
                "conditions",
                "detection",
                "errors",
                "leakage",
                "stimuli",
                "test_sizes",
            ]
            + STUDY_TABLES,
        )
        + expand("results/tables/experiments/{experiment}.csv", experiment=ENABLED)
        + expand("results/tables/learning_curves/{experiment}.csv", experiment=ENABLED)
        + expand("results/tables/draws/{experiment}.csv", experiment=REDRAWN)
        + paths.generation_checks(plan.models)
        + plan.baseline_and_prompt_tables,
        evidence=expand("results/audit/{audit}/evidence.csv", audit=[*plan.audited_splits, "tuning"]),
        # Without their audio, which certificates have digests of: an archive holds what is listed here.
        stimuli=expand("results/stimuli/{set}/index.parquet", set=plan.stimulus_sets),
        detector=rules.hand_over_adapter.output if HANDED_OVER else [],
        detection_roc="results/tables/detection_roc.csv",
        adapters=paths.adapters(plan.adapters, "adapter_model.safetensors")
        + paths.adapters(plan.adapters, "adapter_config.json"),
        splits=expand("results/splits/{split}.csv", split=plan.splits),
        predictions=[path for name in plan.stimulus_sets for path in paths.predictions(name, plan.predictions(name))],
        question=plan.chosen_questions,
    output:
        config="results/provenance/config.yaml",
        run="results/provenance/run.json",
        digests="results/provenance/digests.csv",
    log:
        "results/logs/record_provenance.log",
    benchmark:
        "results/benchmarks/record_provenance.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("record_provenance.py"),
        config=as_json(),
    message:
        "Recording where everything came from"
    shell:
        "python workflow_scripts/record_provenance.py {input.lock:q} {input.recordings:q} {input.certificates:q} {input.tables:q} {input.detection_roc:q} {input.evidence:q} {input.stimuli:q} {input.detector:q} {input.adapters:q} {input.splits:q} {input.predictions:q} {input.question:q}"
        " --resolved-config {params.config:q}"
        " --config {output.config:q}"
        " --run {output.run:q}"
        " --digests {output.digests:q}"
        " &> {log:q}"


rule write_report:
    """One page that needs nothing else: tables, figures, the audits' verdicts, provenance, stimuli to listen to."""
    input:
        template="workflow_scripts/earwitness/report/html/page.html.jinja",
        # included by the template
        parts=sorted(map(str, Path("workflow_scripts/earwitness/report/html").glob("*.jinja"))),
        figures=expand(
            "results/figures/{figure}.svg",
            figure=plan.figures,
        ),
        tables=expand(
            "results/tables/{table}.csv",
            table=["accuracy", "comparisons", "detection", "leakage", "stimuli", "test_sizes"] + STUDY_TABLES,
        )
        + plan.baseline_and_prompt_tables,
        experiments=expand("results/tables/experiments/{experiment}.csv", experiment=ENABLED),
        learning_curves=expand("results/tables/learning_curves/{experiment}.csv", experiment=ENABLED),
        experiment_figures=expand("results/figures/experiments/{experiment}.svg", experiment=ENABLED),
        efficiency=expand("results/efficiency/{experiment}.csv", experiment=ENABLED),
        efficiency_figures=expand("results/efficiency/{experiment}.svg", experiment=ENABLED),
        checks=expand("results/recordings/{dataset}_audio_check.csv", dataset=plan.datasets(*plan.stimulus_sets)),
        certificates=expand("results/audit/{audit}/certificate.json", audit=[*plan.audited_splits, "tuning"]),
        # there is no report before this gate
        gate="results/audit/tuning/gate.json",
        claims="results/tables/claims.csv",
        draws=expand("results/tables/draws/{experiment}.csv", experiment=REDRAWN),
        draws_figures=expand("results/figures/draws/{experiment}.svg", experiment=REDRAWN),
        generation=paths.generation_checks(plan.models),
        identities=[paths.model_identity(model) for model in plan.models],
        run="results/provenance/run.json",
        config="results/provenance/config.yaml",
        digests="results/provenance/digests.csv",
        shards=AUDIO,
        predictions=paths.predictions(
            "factorial", [system for system in plan.predictions("factorial") if not system.is_leaky]
        ),
        errors="results/tables/errors.csv",
    output:
        page=report(
            "results/report.html",
            caption="captions/page.rst",
            category="Report",
            subcategory="The whole study",
            labels={"shows": "The page, with sounds to listen to"},
        ),
    log:
        "results/logs/write_report.log",
    benchmark:
        "results/benchmarks/write_report.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        code=code("write_report.py"),
        datasets=plan.datasets(*plan.stimulus_sets),
        experiments=ENABLED,
        redrawn=REDRAWN,
        models=plan.models,
        settings=as_json("report"),
    message:
        "Writing the report"
    shell:
        "python workflow_scripts/write_report.py {output.page:q}"
        " --template {input.template:q}"
        " --figures {input.figures:q}"
        " --tables {input.tables:q}"
        " --experiments {input.experiments:q}"
        " --experiment-names {params.experiments:q}"
        " --learning-curves {input.learning_curves:q}"
        " --experiment-figures {input.experiment_figures:q}"
        " --efficiency {input.efficiency:q}"
        " --efficiency-figures {input.efficiency_figures:q}"
        " --checks {input.checks:q}"
        " --datasets {params.datasets:q}"
        " --certificates {input.certificates:q}"
        " --claims {input.claims:q}"
        " --draws {input.draws:q}"
        " --draws-figures {input.draws_figures:q}"
        " --draws-names {params.redrawn:q}"
        " --generation {input.generation:q}"
        " --models {params.models}"
        " --identities {input.identities:q}"
        " --run {input.run:q}"
        " --config {input.config:q}"
        " --digests {input.digests:q}"
        " --shards {input.shards:q}"
        " --predictions {input.predictions:q}"
        " --errors {input.errors:q}"
        " --settings {params.settings:q}"
        " &> {log:q}"


rule archive:
    """The results of a run as one RO-Crate, to publish; `snakemake archive` makes it."""
    input:
        page="results/report.html",
        figures=rules.write_report.input.figures,
        readme="results/README.md",
        licence="LICENSE",
        run="results/provenance/run.json",
        config="results/provenance/config.yaml",
        digests="results/provenance/digests.csv",
    output:
        crate="results/archive/earwitness.crate.zip",
    log:
        "results/logs/archive.log",
    benchmark:
        "results/benchmarks/archive.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("archive.py"),
        settings=as_json("archive"),
    message:
        "Packing the results"
    shell:
        "python workflow_scripts/archive.py {output.crate:q} {input.page:q} {input.figures:q} {input.readme:q} {input.licence:q}"
        " --digests {input.digests:q}"
        " --run {input.run:q}"
        " --config {input.config:q}"
        " --settings {params.settings:q}"
        " &> {log:q}"
