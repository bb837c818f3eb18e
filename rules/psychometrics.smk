"""Psychometrics: how long and how loud a sound must be before each system hears what it is.

in   results/predictions/baseline/, results/stimuli/baseline/index.parquet, results/splits/grouped.csv
out  results/tables/thresholds.csv             earwitness.tables.psychometrics.THRESHOLDS
     results/tables/threshold_contrasts.csv    earwitness.tables.psychometrics.CONTRASTS
     results/psychometrics/points.csv          earwitness.tables.psychometrics.POINTS
     results/psychometrics/curves.csv          earwitness.tables.psychometrics.CURVES
     results/tables/mixed_model_effects.csv    earwitness.tables.mixed_models.MIXED_MODEL_EFFECTS
     results/tables/mixed_model_fits.csv       earwitness.tables.mixed_models.MIXED_MODEL_FITS
     results/figures/{duration_curves,snr_curves,sensitivity,bands_and_rooms,duration_by_snr}.{svg,png}
"""


rule fit_psychometrics:
    """Curves by duration and SNR, where they reach the target, and how well that is known from so many sources."""
    input:
        predictions=paths.predictions("baseline", plan.predictions("baseline")),
        index="results/stimuli/baseline/index.parquet",
        split="results/splits/grouped.csv",
    output:
        thresholds=report(
            "results/tables/thresholds.csv",
            caption="captions/thresholds_table.rst",
            category="Thresholds",
            subcategory="Tables",
            labels={"shows": "Thresholds"},
        ),
        points="results/psychometrics/points.csv",
        curves="results/psychometrics/curves.csv",
        contrasts="results/tables/threshold_contrasts.csv",
    log:
        "results/logs/fit_psychometrics.log",
    benchmark:
        "results/benchmarks/fit_psychometrics.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("fit_psychometrics.py"),
        settings=as_json("psychometrics"),
        confidence=config["statistics"]["confidence"],
        seed=config["seed"],
    message:
        "Fitting psychometric functions"
    shell:
        "python workflow_scripts/fit_psychometrics.py {input.predictions:q}"
        " --index {input.index:q}"
        " --split {input.split:q}"
        " --thresholds {output.thresholds:q}"
        " --points {output.points:q}"
        " --curves {output.curves:q}"
        " --contrasts {output.contrasts:q}"
        " --settings {params.settings:q}"
        " --confidence {params.confidence}"
        " --seed {params.seed}"
        " &> {log:q}"


rule fit_mixed_model:
    """Answers by label, duration and SNR with random sources, so that sensitivity and bias come apart."""
    input:
        predictions=paths.predictions("baseline", plan.predictions("baseline")),
        index="results/stimuli/baseline/index.parquet",
        split="results/splits/grouped.csv",
    output:
        effects="results/tables/mixed_model_effects.csv",
        fits="results/tables/mixed_model_fits.csv",
    log:
        "results/logs/fit_mixed_model.log",
    benchmark:
        "results/benchmarks/fit_mixed_model.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        code=code("fit_mixed_model.py"),
        confidence=config["statistics"]["confidence"],
    message:
        "Fitting mixed models"
    shell:
        "python workflow_scripts/fit_mixed_model.py {input.predictions:q}"
        " --index {input.index:q}"
        " --split {input.split:q}"
        " --effects {output.effects:q}"
        " --fits {output.fits:q}"
        " --confidence {params.confidence}"
        " &> {log:q}"


rule plot_psychometrics:
    """All systems overlaid by duration and by SNR, their sensitivity and criterion, and accuracy by band and room."""
    input:
        points="results/psychometrics/points.csv",
        curves="results/psychometrics/curves.csv",
        thresholds="results/tables/thresholds.csv",
        claims="config/claims.yaml",
    output:
        svg=[
            report(
                f"results/figures/{figure}.svg",
                caption=f"captions/{figure}.rst",
                category="Thresholds",
                subcategory="Figures",
                labels={"shows": figure.replace("_", " ").capitalize()},
            )
            for figure in BASELINE_FIGURES
        ],
        png=expand("results/figures/{figure}.png", figure=BASELINE_FIGURES),
    log:
        "results/logs/plot_psychometrics.log",
    benchmark:
        "results/benchmarks/plot_psychometrics.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("plot_psychometrics.py"),
    message:
        "Drawing psychometric functions"
    shell:
        "python workflow_scripts/plot_psychometrics.py"
        " --points {input.points:q}"
        " --curves {input.curves:q}"
        " --thresholds {input.thresholds:q}"
        " --claims {input.claims:q}"
        " --svg {output.svg:q}"
        " &> {log:q}"
