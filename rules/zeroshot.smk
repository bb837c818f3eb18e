"""Zero-shot: what the base model, linear readouts of its ear, and classic voice activity detectors answer to every stimulus.

in   results/stimuli/{stimulus_set}/shard-{shard}.parquet, the base model
out  results/features/{model}/{stimulus_set}/shard-{shard}.parquet      audio embeddings, see earwitness.model.feature_files
     results/features/{model}/{stimulus_set}/controls.parquet           an untrained tower, see earwitness.model.untrained_tower
     results/predictions/{stimulus_set}/zeroshot/{model}.parquet        earwitness.tables.predictions.PREDICTIONS
     results/predictions/{stimulus_set}/detectors/{detector}.parquet    earwitness.tables.predictions.PREDICTIONS
     results/predictions/{stimulus_set}/encoder_probes/{model}/{probe}.parquet    earwitness.tables.predictions.PREDICTIONS
     results/predictions/{stimulus_set}/encoder_probes/acoustics_probe.parquet    earwitness.tables.predictions.PREDICTIONS
     results/predictions/{stimulus_set}/{detectors,encoder_probes}/**.tuning.json    what was tuned, and on what
     results/tables/generation/{model}.csv                              earwitness.tables.generation.GENERATION
"""


rule encode_stimuli:
    """Every stimulus through a model's audio tower once, for all that leaves the tower as it is."""
    input:
        base=base_of,
        identity=identity_of,
        shard="results/stimuli/{stimulus_set}/shard-{shard}.parquet",
    output:
        features=temporary_on_request("results/features/{model}/{stimulus_set}/shard-{shard}.parquet"),
    log:
        "results/logs/encode_stimuli/{model}-{stimulus_set}-{shard}.log",
    benchmark:
        "results/benchmarks/encode_stimuli/{model}-{stimulus_set}-{shard}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=model_mb,
        runtime=120,
        gpu=1,
        batch_size=str(config["resources"]["batch_size"]),
        memory=config["resources"]["memory"],
    params:
        code=code_for_model("encode_stimuli.py"),
        quantisation=of_model("quantisation"),
    message:
        "Encoding the {wildcards.stimulus_set} stimuli for {wildcards.model}, shard {wildcards.shard}"
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
    """What hearing is measured against: an untrained tower of the base's shape."""
    input:
        base=base_of,
        identity=lambda wildcards: paths.model_identity(wildcards.model),
        shards=lambda wildcards: paths.stimuli(wildcards.stimulus_set, plan.shards),
    output:
        controls="results/features/{model}/{stimulus_set}/controls.parquet",
    log:
        "results/logs/encode_controls/{model}-{stimulus_set}.log",
    benchmark:
        "results/benchmarks/encode_controls/{model}-{stimulus_set}.tsv"
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
        code=code_for_model("encode_controls.py"),
        seed=config["seed"],
    message:
        "Encoding the {wildcards.stimulus_set} stimuli as {wildcards.model} would without training"
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
    """A linear readout of the base's ear, or of an untrained one: fitted on the train part, its penalty chosen on development sources."""
    input:
        vectors=lambda wildcards: plan.vectors_of(wildcards.model, wildcards.probe, wildcards.stimulus_set),
        study=lambda wildcards: plan.vectors_of(wildcards.model, wildcards.probe, "factorial"),
        split="results/splits/grouped.csv",
    output:
        predictions="results/predictions/{stimulus_set}/encoder_probes/{model}/{probe}.parquet",
        tuning="results/predictions/{stimulus_set}/encoder_probes/{model}/{probe}.tuning.json",
    log:
        "results/logs/probe_encoder/{model}-{stimulus_set}-{probe}.log",
    benchmark:
        "results/benchmarks/probe_encoder/{model}-{stimulus_set}-{probe}.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("probe_encoder.py"),
    message:
        "Reading out the {wildcards.probe} of {wildcards.model} from the {wildcards.stimulus_set} stimuli"
    shell:
        "python workflow_scripts/probe_encoder.py {input.vectors:q}"
        " --study {input.study:q}"
        " --split {input.split:q}"
        " --probe {wildcards.probe}"
        " --model {wildcards.model}"
        " --output {output.predictions:q}"
        " --tuning {output.tuning:q}"
        " &> {log:q}"


rule probe_acoustics:
    """What level, bandwidth and duration alone tell, which no model needs: a linear readout, fitted as that of an ear is."""
    input:
        shards=lambda wildcards: paths.stimuli(wildcards.stimulus_set, plan.shards),
        study=AUDIO,
        split="results/splits/grouped.csv",
    output:
        predictions="results/predictions/{stimulus_set}/encoder_probes/acoustics_probe.parquet",
        tuning="results/predictions/{stimulus_set}/encoder_probes/acoustics_probe.tuning.json",
    log:
        "results/logs/probe_acoustics/{stimulus_set}.log",
    benchmark:
        "results/benchmarks/probe_acoustics/{stimulus_set}.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("probe_acoustics.py"),
    message:
        "Reading out the acoustics of the {wildcards.stimulus_set} stimuli"
    shell:
        "python workflow_scripts/probe_acoustics.py {input.shards:q}"
        " --study {input.study:q}"
        " --split {input.split:q}"
        " --output {output.predictions:q}"
        " --tuning {output.tuning:q}"
        " &> {log:q}"


rule predict_zeroshot:
    """The base model's log-odds for every stimulus, by one load of the model per GPU."""
    input:
        base=base_of,
        identity=identity_of,
        question=lambda wildcards: plan.chosen_question(wildcards.model),
        features=lambda wildcards: paths.features(wildcards.model, wildcards.stimulus_set, plan.shards),
    output:
        predictions="results/predictions/{stimulus_set}/zeroshot/{model}.parquet",
    log:
        "results/logs/predict_zeroshot/{model}-{stimulus_set}.log",
    benchmark:
        "results/benchmarks/predict_zeroshot/{model}-{stimulus_set}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=model_mb,
        runtime=240,
        gpu=config["resources"]["gpus_per_prediction"],
        batch_size=str(config["resources"]["batch_size"]),
        memory=config["resources"]["memory"],
    params:
        code=code_for_model("predict_zeroshot.py"),
        prompt=as_json("prompt"),
        quantisation=of_model("quantisation"),
    message:
        "Asking {wildcards.model} about the {wildcards.stimulus_set} stimuli"
    shell:
        "python workflow_scripts/predict_zeroshot.py {input.features:q}"
        " --base {input.base:q}"
        " --identity {input.identity:q}"
        " --model {wildcards.model}"
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
        base=base_of,
        identity=identity_of,
        question=lambda wildcards: plan.chosen_question(wildcards.model),
        features=lambda wildcards: paths.features(wildcards.model, "factorial", plan.shards),
    output:
        table="results/tables/generation/{model}.csv",
    log:
        "results/logs/check_generation/{model}.log",
    benchmark:
        "results/benchmarks/check_generation/{model}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=model_mb,
        runtime=60,
        gpu=1,
        memory=config["resources"]["memory"],
    params:
        code=code_for_model("check_generation.py"),
        prompt=as_json("prompt"),
        quantisation=of_model("quantisation"),
        most=of_model("generation_check"),
        seed=config["seed"],
    message:
        "Comparing scores of {wildcards.model} with generate()"
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
