"""Evaluation: what every adapter answers to stimuli that it did not train on.

in   an adapter, the base model, stimuli, splits and their gates
out  results/predictions/{stimulus_set}/adapters/{recipe}-{split}-seed-{seed}.parquet    earshot.tables.predictions.PREDICTIONS
"""


rule predict_adapter:
    """Development and test stimuli of the grouped split and of the adapter's own; in other sets, sources it never trained on."""
    input:
        code=code("predict_adapter.py"),
        base=base_folder(),
        config="results/adapters/{recipe}/{split}/seed-{seed}/adapter_config.json",
        weights="results/adapters/{recipe}/{split}/seed-{seed}/adapter_model.safetensors",
        shards=lambda wildcards: stimulus_shards(wildcards.stimulus_set),
        features=features_of_recipe("{stimulus_set}"),
        study=STIMULI,
        splits=lambda wildcards: [f"results/splits/{split}.csv" for split in asked_of(wildcards.split)],
        gates=lambda wildcards: [f"results/audit/{split}/gate.json" for split in asked_of(wildcards.split)],
    output:
        predictions="results/predictions/{stimulus_set}/adapters/{recipe}-{split}-seed-{seed}.parquet",
    log:
        "results/logs/predict_adapter/{stimulus_set}-{recipe}-{split}-seed-{seed}.log",
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=config["resources"]["gpus_per_prediction"],
        batch_size=str(config["resources"]["batch_size"]),
        memory=config["resources"]["memory"],
    params:
        prompt=as_json("prompt"),
        level=level_of_recipe,
        quantisation=config["model"]["quantisation"],
    message:
        "Asking {wildcards.recipe} trained on {wildcards.split}, seed {wildcards.seed}, about the {wildcards.stimulus_set} stimuli"
    shell:
        "python workflow_scripts/predict_adapter.py {input.shards:q} --features {input.features:q} --study {input.study:q}"
        " --base {input.base:q} --adapter {input.config:q} --splits {input.splits:q} --gates {input.gates:q}"
        " --system {wildcards.recipe}-{wildcards.split} --seed {wildcards.seed}"
        " --output {output.predictions:q} --prompt {params.prompt:q} --quantisation {params.quantisation}"
        " --level {params.level:q} --memory {resources.memory} --batch-size {resources.batch_size} --devices {resources.gpu} --threads 1 &> {log:q}"
