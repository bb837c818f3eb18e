"""Fine-tuning: one adapter per model, recipe, split and seed.

in   the base model, stimuli (encoded once, for recipes outside the audio tower), a split and its gate
out  results/adapters/{model}/{recipe}/{split}/seed-{seed}/adapter_config.json, adapter_model.safetensors (peft's layout), history.csv,
     base.json (earwitness.model.identity.IDENTITY), costs.json (time, memory, size; not the same twice)
"""


rule train_adapter:
    """LoRA with the loss on the answer token alone; starts only behind the split's gate."""
    input:
        base=base_of,
        identity=identity_of,
        question=lambda wildcards: plan.question_trained_with(adapter_of(wildcards)),
        shards=AUDIO,
        features=lambda wildcards: plan.features_of(adapter_of(wildcards), "factorial"),
        split="results/splits/{split}.csv",
        gate="results/audit/{split}/gate.json",
    output:
        config="results/adapters/{model}/{recipe}/{split}/seed-{seed}/adapter_config.json",
        weights="results/adapters/{model}/{recipe}/{split}/seed-{seed}/adapter_model.safetensors",
        base="results/adapters/{model}/{recipe}/{split}/seed-{seed}/base.json",
        history="results/adapters/{model}/{recipe}/{split}/seed-{seed}/history.csv",
        costs="results/adapters/{model}/{recipe}/{split}/seed-{seed}/costs.json",
    log:
        "results/logs/train_adapter/{model}-{recipe}-{split}-seed-{seed}.log",
    benchmark:
        "results/benchmarks/train_adapter/{model}-{recipe}-{split}-seed-{seed}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=model_mb,
        runtime=lambda wildcards, attempt: 240 * attempt,
        gpu=1,
        memory=config["resources"]["memory"],
    params:
        code=code_for_model("train_adapter.py"),
        folder=lambda wildcards, output: str(Path(output.config).parent),
        recipe=as_json("finetuning", "recipes", "{recipe}"),
        prompt=as_json("prompt"),
        quantisation=of_model("quantisation"),
    message:
        "Fine-tuning {wildcards.model}, recipe {wildcards.recipe}, on {wildcards.split}, seed {wildcards.seed}"
    shell:
        "python workflow_scripts/train_adapter.py {input.shards:q}"
        " --features {input.features:q}"
        " --base {input.base:q}"
        " --identity {input.identity:q}"
        " --split {input.split:q}"
        " --gate {input.gate:q}"
        " --adapter {params.folder:q}"
        " --recipe {params.recipe:q}"
        " --prompt {params.prompt:q}"
        " --question {input.question:q}"
        " --quantisation {params.quantisation}"
        " --memory {resources.memory}"
        " --seed {wildcards.seed}"
        " --threads {threads}"
        " &> {log:q}"
