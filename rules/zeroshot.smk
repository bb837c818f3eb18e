"""Zero-shot: what the base model and classic voice activity detectors answer to every stimulus.

in   results/stimuli/factorial/shard-{shard}.parquet, the base model
out  results/predictions/zeroshot.parquet                earshot.tables.PREDICTIONS
     results/predictions/detectors/{detector}.parquet    earshot.tables.PREDICTIONS
"""


rule predict_zeroshot:
    """The base model's log-odds for every stimulus, by one load of the model."""
    input:
        code=code("predict_zeroshot.py"),
        base=base_folder(),
        shards=STIMULI,
    output:
        predictions="results/predictions/zeroshot.parquet",
    log:
        "results/logs/predict_zeroshot.log",
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
        "Asking the base model"
    shell:
        "python workflow_scripts/predict_zeroshot.py {input.shards:q} --base {input.base:q}"
        " --output {output.predictions:q} --prompt {params.prompt:q} --quantisation {params.quantisation}"
        " --batch-size {params.batch_size} --threads 1 &> {log:q}"


rule detect_reference:
    """A classic detector on the same stimuli; what it needs to tune is tuned on development sources."""
    input:
        code=code("detect_reference.py"),
        shards=STIMULI,
        split="results/splits/grouped.csv",
    output:
        predictions="results/predictions/detectors/{detector}.parquet",
    log:
        "results/logs/detect_reference/{detector}.log",
    conda:
        "../envs/analysis.yaml"
    message:
        "Running the detector {wildcards.detector}"
    shell:
        "python workflow_scripts/detect_reference.py {input.shards:q} --split {input.split:q}"
        " --detector {wildcards.detector} --output {output.predictions:q} &> {log:q}"
