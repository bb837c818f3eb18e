"""Evaluation: what every adapter answers to stimuli that it did not train on.

in   an adapter, the base model, stimuli, splits and their gates
out  results/predictions/adapters/{recipe}-{split}-seed-{seed}.parquet    earshot.tables.PREDICTIONS
"""


rule predict_adapter:
    """Development and test stimuli of the grouped split, and those of the adapter's own split."""
    input:
        code=code("predict_adapter.py"),
        base=base_folder(),
        config="results/adapters/{recipe}/{split}/seed-{seed}/adapter_config.json",
        weights="results/adapters/{recipe}/{split}/seed-{seed}/adapter_model.safetensors",
        shards=STIMULI,
        splits=lambda wildcards: sorted({"results/splits/grouped.csv", f"results/splits/{wildcards.split}.csv"}),
        gates=lambda wildcards: [f"results/audit/{split}/gate.json" for split in sorted({"grouped", wildcards.split})],
    output:
        predictions="results/predictions/adapters/{recipe}-{split}-seed-{seed}.parquet",
    log:
        "results/logs/predict_adapter/{recipe}-{split}-seed-{seed}.log",
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
    params:
        prompt=as_json("prompt"),
        quantisation=config["model"]["quantisation"],
        batch_size=config["resources"]["batch_size"],
    message:
        "Asking {wildcards.recipe} trained on {wildcards.split}, seed {wildcards.seed}"
    shell:
        "python workflow_scripts/predict_adapter.py {input.shards:q} --base {input.base:q} --adapter {input.config:q}"
        " --splits {input.splits:q} --gates {input.gates:q} --system {wildcards.recipe}-{wildcards.split} --seed {wildcards.seed}"
        " --output {output.predictions:q} --prompt {params.prompt:q} --quantisation {params.quantisation}"
        " --batch-size {params.batch_size} --threads 1 &> {log:q}"
