"""Zero-shot: what the base model, linear readouts of its ear, and classic voice activity detectors answer to every stimulus.

in   results/stimuli/{stimulus_set}/shard-{shard}.parquet, the base model
out  results/features/{stimulus_set}/shard-{shard}.parquet              audio embeddings, see earwitness.model.feature_files
     results/features/{stimulus_set}/controls.parquet                   an untrained tower and acoustics, see earwitness.model.untrained_tower
     results/predictions/{stimulus_set}/zeroshot.parquet                earwitness.tables.predictions.PREDICTIONS
     results/predictions/{stimulus_set}/detectors/{detector}.parquet    earwitness.tables.predictions.PREDICTIONS
     results/predictions/{stimulus_set}/encoder_probes/{probe}.parquet  earwitness.tables.predictions.PREDICTIONS
     results/predictions/{stimulus_set}/{detectors,encoder_probes}/*.tuning.json    what was tuned, and on what
     results/tables/generation.csv                                      earwitness.tables.generation.GENERATION
"""


rule encode_stimuli:
    """Every stimulus through the base's audio tower once, for all that leaves the tower as it is."""
    input:
        base=model_folder("base"),
        identity=plan.base_identity,
        shard="results/stimuli/{stimulus_set}/shard-{shard}.parquet",
    output:
        features=temporary_on_request("results/features/{stimulus_set}/shard-{shard}.parquet"),
    log:
        "results/logs/encode_stimuli/{stimulus_set}-{shard}.log",
    benchmark:
        "results/benchmarks/encode_stimuli/{stimulus_set}-{shard}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=MODEL_MB,
        runtime=120,
        gpu=1,
        batch_size=str(config["resources"]["batch_size"]),
        memory=config["resources"]["memory"],
    params:
        code=code("encode_stimuli.py"),
        quantisation=config["model"]["quantisation"],
    message:
        "Encoding the {wildcards.stimulus_set} stimuli, shard {wildcards.shard}"
    shell:
        "python workflow_scripts/encode_stimuli.py {input.shard:q} {output.features:q}"
        " --base {input.base:q}"
        " --identity {input.identity:q}"
        " --quantisation {params.quantisation}"
        " --memory {resources.memory}"
        " --batch-size {resources.batch_size}"
        " --threads {threads}"
        " &> {log:q}"


rule encode_controls:
    """What hearing is measured against: an untrained tower of the base's shape, and level, bandwidth and duration."""
    input:
        base=model_folder("base"),
        identity=paths.model_identity("base"),
        shards=lambda wildcards: paths.stimuli(wildcards.stimulus_set, plan.shards),
    output:
        controls="results/features/{stimulus_set}/controls.parquet",
    log:
        "results/logs/encode_controls/{stimulus_set}.log",
    benchmark:
        "results/benchmarks/encode_controls/{stimulus_set}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=1,
        batch_size=str(config["resources"]["batch_size"]),
        memory=config["resources"]["memory"],
    params:
        code=code("encode_controls.py"),
        seed=config["seed"],
    message:
        "Encoding the {wildcards.stimulus_set} stimuli without training"
    shell:
        "python workflow_scripts/encode_controls.py {input.shards:q}"
        " --controls {output.controls:q}"
        " --base {input.base:q}"
        " --identity {input.identity:q}"
        " --memory {resources.memory}"
        " --batch-size {resources.batch_size}"
        " --seed {params.seed}"
        " --threads {threads}"
        " &> {log:q}"


rule probe_encoder:
    """A linear readout of the base's ear or of a control: fitted on the train part, its penalty chosen on development sources."""
    input:
        vectors=lambda wildcards: plan.vectors_of(wildcards.probe, wildcards.stimulus_set),
        study=lambda wildcards: plan.vectors_of(wildcards.probe, "factorial"),
        split="results/splits/grouped.csv",
    output:
        predictions="results/predictions/{stimulus_set}/encoder_probes/{probe}.parquet",
        tuning="results/predictions/{stimulus_set}/encoder_probes/{probe}.tuning.json",
    log:
        "results/logs/probe_encoder/{stimulus_set}-{probe}.log",
    benchmark:
        "results/benchmarks/probe_encoder/{stimulus_set}-{probe}.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("probe_encoder.py"),
    message:
        "Reading out the {wildcards.probe} of the {wildcards.stimulus_set} stimuli"
    shell:
        "python workflow_scripts/probe_encoder.py {input.vectors:q}"
        " --study {input.study:q}"
        " --split {input.split:q}"
        " --probe {wildcards.probe}"
        " --output {output.predictions:q}"
        " --tuning {output.tuning:q}"
        " &> {log:q}"


rule predict_zeroshot:
    """The base model's log-odds for every stimulus, by one load of the model per GPU."""
    input:
        base=model_folder("base"),
        identity=plan.base_identity,
        question=plan.chosen_question,
        features=lambda wildcards: paths.features(wildcards.stimulus_set, plan.shards),
    output:
        predictions="results/predictions/{stimulus_set}/zeroshot.parquet",
    log:
        "results/logs/predict_zeroshot/{stimulus_set}.log",
    benchmark:
        "results/benchmarks/predict_zeroshot/{stimulus_set}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=MODEL_MB,
        runtime=240,
        gpu=config["resources"]["gpus_per_prediction"],
        batch_size=str(config["resources"]["batch_size"]),
        memory=config["resources"]["memory"],
    params:
        code=code("predict_zeroshot.py"),
        prompt=as_json("prompt"),
        quantisation=config["model"]["quantisation"],
    message:
        "Asking the base model about the {wildcards.stimulus_set} stimuli"
    shell:
        "python workflow_scripts/predict_zeroshot.py {input.features:q}"
        " --base {input.base:q}"
        " --identity {input.identity:q}"
        " --output {output.predictions:q}"
        " --prompt {params.prompt:q}"
        " --question {input.question:q}"
        " --quantisation {params.quantisation}"
        " --memory {resources.memory}"
        " --batch-size {resources.batch_size}"
        " --devices {resources.gpu}"
        " --threads {threads}"
        " &> {log:q}"


rule check_generation:
    """Whether constrained generate() gives the answers that the scores give."""
    input:
        base=model_folder("base"),
        identity=plan.base_identity,
        question=plan.chosen_question,
        features=ENCODED,
    output:
        table="results/tables/generation.csv",
    log:
        "results/logs/check_generation.log",
    benchmark:
        "results/benchmarks/check_generation.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=MODEL_MB,
        runtime=60,
        gpu=1,
        memory=config["resources"]["memory"],
    params:
        code=code("check_generation.py"),
        prompt=as_json("prompt"),
        quantisation=config["model"]["quantisation"],
        most=config["model"]["generation_check"],
        seed=config["seed"],
    message:
        "Comparing scores with generate()"
    shell:
        "python workflow_scripts/check_generation.py {input.features:q}"
        " --base {input.base:q}"
        " --identity {input.identity:q}"
        " --table {output.table:q}"
        " --prompt {params.prompt:q}"
        " --question {input.question:q}"
        " --quantisation {params.quantisation}"
        " --most {params.most}"
        " --seed {params.seed}"
        " --memory {resources.memory}"
        " --threads {threads}"
        " &> {log:q}"


rule detect_reference:
    """A classic detector on the same stimuli; what it needs to tune is tuned on development sources."""
    input:
        shards=lambda wildcards: paths.stimuli(wildcards.stimulus_set, plan.shards),
        study=AUDIO,
        split="results/splits/grouped.csv",
    output:
        predictions="results/predictions/{stimulus_set}/detectors/{detector}.parquet",
        tuning="results/predictions/{stimulus_set}/detectors/{detector}.tuning.json",
    log:
        "results/logs/detect_reference/{stimulus_set}-{detector}.log",
    benchmark:
        "results/benchmarks/detect_reference/{stimulus_set}-{detector}.tsv"
    conda:
        "../envs/dev.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        code=code("detect_reference.py"),
    message:
        "Running the detector {wildcards.detector} on the {wildcards.stimulus_set} stimuli"
    shell:
        "python workflow_scripts/detect_reference.py {input.shards:q}"
        " --study {input.study:q}"
        " --split {input.split:q}"
        " --detector {wildcards.detector}"
        " --output {output.predictions:q}"
        " --tuning {output.tuning:q}"
        " &> {log:q}"
