"""Models: those under study, trained here or fetched, and the language model that proposes questions.

out  data/models/tiny/{model}/    a checkpoint of its tiny.family in the standard layout, trained on the embedded base corpus
     data/models/hub/{checkpoint}/    a pinned snapshot: a model, a half of an assembled one (MODEL-encoder), or the proposer
     data/models/{model}.projector.safetensors    between the halves of an assembled model, see earwitness.model.projector
     data/models/assembled/{model}/    an encoder and a language model in one Qwen2-Audio checkpoint
     results/models/{model}.tiny_history.csv, {model}.projector_history.csv    step, loss, learning_rate, accuracy
     results/models/{checkpoint}.identity.json    earwitness.model.identity.IDENTITY
     results/models/{model}.checked.json         the same of a model that passed its preflight
     results/preflight/{model}.json, {model}.md  what was looked at, see earwitness.model.preflight; the same to read
"""


rule train_tiny_base:
    """A real model of a family's classes, small, from scratch, on sources that no later stage uses."""
    input:
        speech="data/embedded/base/voxconverse",
        sounds="data/embedded/base/esc50",
    output:
        folder=directory("data/models/tiny/{model}"),
        history="results/models/{model}.tiny_history.csv",
    log:
        "results/logs/train_tiny_base/{model}.log",
    benchmark:
        "results/benchmarks/train_tiny_base/{model}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        code=code_for_model("train_tiny_base.py"),
        settings=as_json("models", "{model}", "tiny"),
        window_ms=config["stimuli"]["window_ms"],
        seed=config["seed"],
    message:
        "Training the tiny model {wildcards.model}"
    shell:
        "python workflow_scripts/train_tiny_base.py {input.speech:q} {input.sounds:q} {output.folder:q}"
        " --history {output.history:q}"
        " --settings {params.settings:q}"
        " --window-ms {params.window_ms}"
        " --seed {params.seed}"
        " &> {log:q}"


rule train_projector:
    """What carries an encoder's outputs into a language model, on sources that no later stage uses; both halves stay as they are."""
    input:
        # read through the options --encoder and --language-model
        halves=lambda wildcards: FILES_OF_MODELS.of_halves(wildcards.model),
        speech="data/embedded/base/voxconverse",
        sounds="data/embedded/base/esc50",
        recordings=expand("results/recordings/{dataset}.parquet", dataset=plan.learned_from),
        segments=expand("results/recordings/{dataset}_segments.parquet", dataset=plan.learned_from),
        studied=(
            expand("results/recordings/{dataset}.parquet", dataset=plan.datasets(*plan.stimulus_sets))
            if plan.learned_from
            else []
        ),
        # read through the tables; listed so that a changed recording is noticed
        files=[path for dataset in plan.learned_from for path in recordings.inputs(dataset)],
    output:
        projector="data/models/{model}.projector.safetensors",
        history="results/models/{model}.projector_history.csv",
    log:
        "results/logs/train_projector/{model}.log",
    benchmark:
        "results/benchmarks/train_projector/{model}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=600,
        gpu=1,
    params:
        code=code("train_projector.py"),
        encoder=lambda wildcards: models.half(wildcards.model, "encoder"),
        language_model=lambda wildcards: models.half(wildcards.model, "language_model"),
        settings=lambda wildcards: as_json_of(models.projector_training(wildcards.model)),
        window_ms=config["stimuli"]["window_ms"],
        seed=config["seed"],
    message:
        "Training the projector"
    shell:
        "python workflow_scripts/train_projector.py {input.speech:q} {input.sounds:q} {output.projector:q}"
        " --history {output.history:q}"
        " --recordings {input.recordings:q}"
        " --segments {input.segments:q}"
        " --studied {input.studied:q}"
        " --encoder {params.encoder:q}"
        " --language-model {params.language_model:q}"
        " --settings {params.settings:q}"
        " --window-ms {params.window_ms}"
        " --seed {params.seed}"
        " --threads {threads}"
        " &> {log:q}"


rule assemble_base:
    """A Whisper-class encoder and a causal language model in one Qwen2-Audio checkpoint, with the projector trained between them."""
    input:
        # read through the options --encoder and --language-model
        halves=lambda wildcards: FILES_OF_MODELS.of_halves(wildcards.model),
        projectors=lambda wildcards: models.projectors(wildcards.model),
    output:
        folder=directory("data/models/assembled/{model}"),
    log:
        "results/logs/assemble_base/{model}.log",
    benchmark:
        "results/benchmarks/assemble_base/{model}.tsv"
    conda:
        "../envs/gpu.yaml"
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        code=code("assemble_base.py"),
        encoder=lambda wildcards: models.half(wildcards.model, "encoder"),
        language_model=lambda wildcards: models.half(wildcards.model, "language_model"),
        rank=lambda wildcards: models.projector_training(wildcards.model)["rank"],
    message:
        "Joining an encoder and a language model"
    shell:
        "python workflow_scripts/assemble_base.py {output.folder:q}"
        " --encoder {params.encoder:q}"
        " --language-model {params.language_model:q}"
        " --projectors {input.projectors:q}"
        " --rank {params.rank}"
        " &> {log:q}"


rule fetch_model:
    """A pinned snapshot from the hub: a model under study, a half of an assembled one, or the language model that proposes questions."""
    output:
        folder=directory("data/models/hub/{checkpoint}"),
    log:
        "results/logs/fetch_model/{checkpoint}.log",
    benchmark:
        "results/benchmarks/fetch_model/{checkpoint}.tsv"
    retries: 3
    localrule: True
    conda:
        "../envs/gpu.yaml"
    resources:
        mem_mb=4000,
        runtime=720,
    params:
        code=code("fetch_model.py"),
        source=lambda wildcards: models.hub_source(wildcards.checkpoint),
    message:
        "Fetching {params.source[repository]}"
    shell:
        "python workflow_scripts/fetch_model.py {output.folder:q}"
        " --section {params.source[section]}"
        " --repository {params.source[repository]:q}"
        " --revision {params.source[revision]:q}"
        " &> {log:q}"


rule identify_model:
    """Which model a folder holds: its files are read here, and nowhere else in the study."""
    input:
        # read through the folder; listed so that a changed file is noticed
        files=lambda wildcards: FILES_OF_MODELS.of_model(wildcards.checkpoint),
    output:
        identity="results/models/{checkpoint}.identity.json",
    log:
        "results/logs/identify_model/{checkpoint}.log",
    benchmark:
        "results/benchmarks/identify_model/{checkpoint}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("identify_model.py"),
        folder=lambda wildcards: models.folder(wildcards.checkpoint),
        name=lambda wildcards: models.name(wildcards.checkpoint),
    message:
        "Identifying {wildcards.checkpoint}"
    shell:
        "python workflow_scripts/identify_model.py {params.folder:q} {output.identity:q}"
        " --name {params.name:q}"
        " &> {log:q}"


rule check_model:
    """Before GPU hours: does the base load whole, hear, answer and train as it must, and do memory and disk suffice?

    Every job that loads a base which was not trained here waits for it. It looks again only at another base.
    """
    input:
        base=base_of,
        identity=lambda wildcards: paths.model_identity(wildcards.model),
    output:
        record="results/preflight/{model}.json",
        checked="results/models/{model}.checked.json",
    log:
        "results/logs/check_model/{model}.log",
    benchmark:
        "results/benchmarks/check_model/{model}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=model_mb,
        runtime=60,
        gpu=1,
        memory=config["resources"]["memory"],
    params:
        code=code_for_model("check_model.py"),
        name=lambda wildcards: models.name(wildcards.model),
        quantisation=of_model("quantisation"),
    message:
        "Looking at {wildcards.model} before it is used: {log}"
    shell:
        "python workflow_scripts/check_model.py"
        " --base {input.base:q}"
        " --identity {input.identity:q}"
        " --name {params.name:q}"
        " --quantisation {params.quantisation}"
        " --memory {resources.memory}"
        " --record {output.record:q}"
        " --checked {output.checked:q}"
        " --threads {threads}"
        " &> {log:q}"


rule render_preflight:
    """The page of a preflight, with the hours that the planned adapters will take; another plan writes it again, and looks at no model again."""
    input:
        record="results/preflight/{model}.json",
    output:
        page="results/preflight/{model}.md",
    log:
        "results/logs/render_preflight/{model}.log",
    benchmark:
        "results/benchmarks/render_preflight/{model}.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("render_preflight.py"),
        adapters=lambda wildcards: len(plan.of(wildcards.model, plan.adapters)),
        rows=lambda wildcards: plan.training_rows(wildcards.model),
    message:
        "Writing the page of the preflight of {wildcards.model}: {output.page}"
    shell:
        "python workflow_scripts/render_preflight.py {input.record:q} {output.page:q}"
        " --adapters {params.adapters}"
        " --rows {params.rows}"
        " &> {log:q}"
