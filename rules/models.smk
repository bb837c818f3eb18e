"""Models: the base, trained here or fetched, and the language model that proposes questions.

out  data/models/tiny/    a Qwen2-Audio checkpoint in the standard layout, trained on the embedded base corpus
     data/models/hub/{model}/    a pinned snapshot: the base, a half of an assembled one, or the proposer
     data/models/projector.safetensors    between the halves of an assembled base, see earwitness.model.projector
     data/models/assembled/    an encoder and a language model in one Qwen2-Audio checkpoint
     results/models/tiny_history.csv, results/models/projector_history.csv    step, loss, learning_rate, accuracy
     results/models/{model}.identity.json    earwitness.model.identity.IDENTITY
     results/models/base.checked.json        the same of a base that passed its preflight
     results/preflight.md, results/preflight.json    what was looked at, see earwitness.model.preflight
"""


rule train_tiny_base:
    """A real Qwen2AudioForConditionalGeneration, small, from scratch, on sources that no later stage uses."""
    input:
        speech="data/embedded/base/voxconverse",
        sounds="data/embedded/base/esc50",
    output:
        folder=directory("data/models/tiny"),
        history="results/models/tiny_history.csv",
    log:
        "results/logs/train_tiny_base.log",
    benchmark:
        "results/benchmarks/train_tiny_base.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        code=code("train_tiny_base.py"),
        settings=as_json("model", "tiny"),
        window_ms=config["stimuli"]["window_ms"],
        seed=config["seed"],
    message:
        "Training the tiny base"
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
        halves=files_of_halves,
        speech="data/embedded/base/voxconverse",
        sounds="data/embedded/base/esc50",
    output:
        projector="data/models/projector.safetensors",
        history="results/models/projector_history.csv",
    log:
        "results/logs/train_projector.log",
    benchmark:
        "results/benchmarks/train_projector.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=600,
        gpu=1,
    params:
        code=code("train_projector.py"),
        encoder=plan.half("encoder"),
        language_model=plan.half("language_model"),
        settings=as_json_of(plan.projector_training),
        window_ms=config["stimuli"]["window_ms"],
        seed=config["seed"],
    message:
        "Training the projector"
    shell:
        "python workflow_scripts/train_projector.py {input.speech:q} {input.sounds:q} {output.projector:q}"
        " --history {output.history:q}"
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
        halves=files_of_halves,
        projectors=plan.projectors,
    output:
        folder=directory("data/models/assembled"),
    log:
        "results/logs/assemble_base.log",
    benchmark:
        "results/benchmarks/assemble_base.tsv"
    conda:
        "../envs/gpu.yaml"
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        code=code("assemble_base.py"),
        encoder=plan.half("encoder"),
        language_model=plan.half("language_model"),
        rank=plan.projector_training["rank"],
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
    """A pinned snapshot from the hub: the base model, a half of an assembled one, or the language model that proposes questions."""
    output:
        folder=directory("data/models/hub/{model}"),
    log:
        "results/logs/fetch_model/{model}.log",
    benchmark:
        "results/benchmarks/fetch_model/{model}.tsv"
    retries: 3
    localrule: True
    conda:
        "../envs/gpu.yaml"
    resources:
        mem_mb=4000,
        runtime=720,
    params:
        code=code("fetch_model.py"),
        source=lambda wildcards: plan.hub_source(wildcards.model),
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
        files=files_of_model,
    output:
        identity="results/models/{model}.identity.json",
    log:
        "results/logs/identify_model/{model}.log",
    benchmark:
        "results/benchmarks/identify_model/{model}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("identify_model.py"),
        folder=lambda wildcards: plan.model_folder(wildcards.model),
        name=lambda wildcards: plan.model_name(wildcards.model),
    message:
        "Identifying the {wildcards.model} model"
    shell:
        "python workflow_scripts/identify_model.py {params.folder:q} {output.identity:q}"
        " --name {params.name:q}"
        " &> {log:q}"


rule preflight:
    """Before GPU hours: does the base load whole, hear, answer and train as it must, and do memory, disk and time suffice?

    Every job that loads a base which was not trained here waits for it. It looks again only at another base.
    """
    input:
        base=model_folder("base"),
        identity=paths.model_identity("base"),
    output:
        page="results/preflight.md",
        record="results/preflight.json",
        checked="results/models/base.checked.json",
    log:
        "results/logs/preflight.log",
    benchmark:
        "results/benchmarks/preflight.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=MODEL_MB,
        runtime=60,
        gpu=1,
        memory=config["resources"]["memory"],
        adapters=len(plan.adapters),
        rows=plan.training_rows,
    params:
        code=code("preflight.py"),
        name=plan.model_name("base"),
        quantisation=config["model"]["quantisation"],
    message:
        "Looking at the base before it is used: {output.page}"
    shell:
        "python workflow_scripts/preflight.py"
        " --base {input.base:q}"
        " --identity {input.identity:q}"
        " --name {params.name:q}"
        " --quantisation {params.quantisation}"
        " --memory {resources.memory}"
        " --adapters {resources.adapters}"
        " --rows {resources.rows}"
        " --page {output.page:q}"
        " --record {output.record:q}"
        " --checked {output.checked:q}"
        " --threads {threads}"
        " &> {log:q}"
