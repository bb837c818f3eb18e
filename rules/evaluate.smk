"""Evaluation: what every adapter answers to stimuli that it did not train on, its seeds as one, and how far to trust the scores.

in   an adapter, the base model, stimuli, splits and their gates
out  results/predictions/{stimulus_set}/adapters/{model}/{recipe}-{split}-seed-{seed}.parquet    earwitness.tables.predictions.PREDICTIONS
     results/predictions/{stimulus_set}/ensembles/{model}/{recipe}-{split}.parquet               earwitness.tables.predictions.PREDICTIONS
     results/calibration/fits.csv, reliability.csv    earwitness.tables.calibration.CALIBRATION_FITS, RELIABILITY
     results/calibration/{system}.tuning.json         what was fitted, and on what
     results/tables/calibration.csv                   earwitness.tables.calibration.CALIBRATION
"""

for together in plan.asked_together:

    rule:
        """Development and test stimuli of the grouped split and of each adapter's own; in other sets, sources it never trained on."""
        name:
            f"predict_adapter__{together.stimulus_set}_{together.first}"
        input:
            base=model_folder(together.model),
            identity=models.identity(together.model),
            question=plan.question_trained_with(together.adapters[0]),
            configs=paths.adapters(together.adapters, "adapter_config.json"),
            # lie beside their configurations
            weights=paths.adapters(together.adapters, "adapter_model.safetensors"),
            shards=paths.stimuli(together.stimulus_set, plan.shards),
            features=plan.features_of(together.adapters[0], together.stimulus_set),
            study=AUDIO,
            splits=expand("results/splits/{split}.csv", split=together.asked_splits),
            gates=expand("results/audit/{split}/gate.json", split=together.asked_splits),
        output:
            predictions=paths.predictions(together.stimulus_set, together.adapters),
        log:
            f"results/logs/predict_adapter/{together.stimulus_set}_{together.first}.log",
        benchmark:
            f"results/benchmarks/predict_adapter/{together.stimulus_set}_{together.first}.tsv"
        priority: 1
        conda:
            "../envs/gpu.yaml"
        threads: 1
        resources:
            mem_mb=models.memory_mb(together.model),
            runtime=60 + 15 * len(together.adapters),
            gpu=config["resources"]["gpus_per_prediction"],
            batch_size=str(config["resources"]["batch_size"]),
            memory=config["resources"]["memory"],
        params:
            code=code("predict_adapter.py", together.model),
            systems=list(map(str, together.adapters)),
            splits=together.asked_splits,
            prompt=as_json("prompt"),
            level=as_json_of(plan.level_of(together.adapters[0])),
            quantisation=config["models"][together.model]["quantisation"],
        message:
            "Asking {params.systems} about the stimuli"
        shell:
            "python workflow_scripts/predict_adapter.py {input.shards:q}"
            " --features {input.features:q}"
            " --study {input.study:q}"
            " --base {input.base:q}"
            " --identity {input.identity:q}"
            " --systems {params.systems}"
            " --adapters {input.configs:q}"
            " --outputs {output.predictions:q}"
            " --names {params.splits}"
            " --splits {input.splits:q}"
            " --gates {input.gates:q}"
            " --prompt {params.prompt:q}"
            " --question {input.question:q}"
            " --quantisation {params.quantisation}"
            " --level {params.level:q}"
            " --memory {resources.memory}"
            " --batch-size {resources.batch_size}"
            " --devices {resources.gpu}"
            " --threads {threads}"
            " &> {log:q}"


rule ensemble_seeds:
    """The seeds of one recipe as one system: majority vote, and mean log-odds."""
    input:
        predictions=lambda wildcards: paths.predictions(
            wildcards.stimulus_set,
            plan.seeds_of(System("adapter", wildcards.recipe, wildcards.split, model=wildcards.model)),
        ),
    output:
        predictions="results/predictions/{stimulus_set}/ensembles/{model}/{recipe}-{split}.parquet",
    log:
        "results/logs/ensemble_seeds/{model}-{stimulus_set}-{recipe}-{split}.log",
    benchmark:
        "results/benchmarks/ensemble_seeds/{model}-{stimulus_set}-{recipe}-{split}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=15,
    params:
        code=code("ensemble_seeds.py"),
    message:
        "Combining the seeds of {wildcards.model}, recipe {wildcards.recipe}, trained on {wildcards.split}"
    shell:
        "python workflow_scripts/ensemble_seeds.py {input.predictions:q}"
        " --output {output.predictions:q}"
        " &> {log:q}"


rule calibrate_systems:
    """Temperature and Platt's map, fitted on development sources; likelihood, Brier score and calibration error on unseen ones."""
    input:
        predictions=paths.predictions("factorial", plan.honest_systems),
        index="results/stimuli/factorial/index.parquet",
        split="results/splits/grouped.csv",
    output:
        fits="results/calibration/fits.csv",
        reliability="results/calibration/reliability.csv",
        calibration=report(
            "results/tables/calibration.csv",
            caption="captions/calibration_table.rst",
            category="Fine-tuning",
            subcategory="Tables",
            labels={"shows": "Calibration"},
        ),
        tuning=paths.calibration_records(plan.calibrated_systems),
    log:
        "results/logs/calibrate_systems.log",
    benchmark:
        "results/benchmarks/calibrate_systems.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("calibrate_systems.py"),
        systems=list(map(str, plan.calibrated_systems)),
        confidence=config["statistics"]["confidence"],
        seed=config["seed"],
    message:
        "Calibrating probabilities"
    shell:
        "python workflow_scripts/calibrate_systems.py {input.predictions:q}"
        " --index {input.index:q}"
        " --split {input.split:q}"
        " --fits {output.fits:q}"
        " --calibration {output.calibration:q}"
        " --reliability {output.reliability:q}"
        " --tuning {output.tuning:q}"
        " --systems {params.systems:q}"
        " --confidence {params.confidence}"
        " --seed {params.seed}"
        " &> {log:q}"
