"""Psychometrics: what moves the answers of every system, by duration and signal-to-noise ratio.

in   results/predictions/, results/splits/grouped.csv, results/stimuli/baseline/index.parquet
out  results/tables/mixed_model_effects.csv    earshot.tables.MIXED_MODEL_EFFECTS
     results/tables/mixed_model_fits.csv       earshot.tables.MIXED_MODEL_FITS
"""


rule fit_mixed_model:
    """Answers by label, duration and SNR with random sources, so that sensitivity and bias come apart."""
    input:
        code=code("fit_mixed_model.py"),
        predictions=baseline_prediction_files(),
        index="results/stimuli/baseline/index.parquet",
        split="results/splits/grouped.csv",
    output:
        effects="results/tables/mixed_model_effects.csv",
        fits="results/tables/mixed_model_fits.csv",
    log:
        "results/logs/fit_mixed_model.log",
    conda:
        "../envs/analysis.yaml"
    params:
        confidence=config["statistics"]["confidence"],
    message:
        "Fitting mixed models"
    shell:
        "python workflow_scripts/fit_mixed_model.py {input.predictions:q} --index {input.index:q} --split {input.split:q}"
        " --effects {output.effects:q} --fits {output.fits:q} --confidence {params.confidence} &> {log:q}"
