"""Models: the base, trained here or fetched.

out  data/models/tiny/    a Qwen2-Audio checkpoint in the standard layout, trained on the embedded base corpus
     data/models/hub/     a pinned snapshot
     results/models/tiny_history.csv    step, loss, learning_rate
"""


rule train_tiny_base:
    """A real Qwen2AudioForConditionalGeneration, small, from scratch, on sources that no later stage uses."""
    input:
        code=code("train_tiny_base.py"),
        speech="data/embedded/base/voxconverse",
        sounds="data/embedded/base/esc50",
    output:
        folder=directory("data/models/tiny"),
        history="results/models/tiny_history.csv",
    log:
        "results/logs/train_tiny_base.log",
    conda:
        "../envs/gpu.yaml"
    threads: 2
    params:
        settings=as_json("model", "tiny"),
        window_ms=config["stimuli"]["window_ms"],
        seed=config["seed"],
    message:
        "Training the tiny base"
    shell:
        "python workflow_scripts/train_tiny_base.py {input.speech:q} {input.sounds:q} {output.folder:q}"
        " --history {output.history:q} --settings {params.settings:q} --window-ms {params.window_ms}"
        " --seed {params.seed} --threads 2 &> {log:q}"


rule fetch_base:
    """The pinned snapshot of the hub's model."""
    input:
        code=code("fetch_base.py"),
    output:
        folder=directory("data/models/hub"),
    log:
        "results/logs/fetch_base.log",
    retries: 3
    localrule: True
    conda:
        "../envs/gpu.yaml"
    params:
        source=lambda wildcards: {key: config["model"][key] for key in ("repository", "revision")},
    message:
        "Fetching {params.source[repository]}"
    shell:
        "python workflow_scripts/fetch_base.py {output.folder:q} --repository {params.source[repository]:q}"
        " --revision {params.source[revision]:q} &> {log:q}"
