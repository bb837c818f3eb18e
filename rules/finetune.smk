"""Fine-tuning: one adapter per model, recipe, split and seed.

in   the base model, stimuli (encoded once, for recipes outside the audio tower), a split and its gate
out  results/adapters/{model}/{recipe}/{split}/seed-{seed}/adapter_config.json, adapter_model.safetensors (peft's layout), history.csv,
     base.json (earwitness.model.identity.IDENTITY), fingerprint.json (all that it depends on), costs.json (time, memory, size; not the
     same twice)
"""

for together in plan.trained_together:

    rule:
        """LoRA with the loss on the answer token alone, each adapter behind the gate of its split; those made of the same before are kept."""
        name:
            f"train_adapter__{together.first}"
        input:
            base=model_folder(together.model),
            identity=models.identity(together.model),
            question=plan.question_trained_with(together.adapters[0]),
            shards=AUDIO,
            features=plan.features_of(together.adapters[0], "factorial"),
            splits=expand("results/splits/{split}.csv", split=together.trained_splits),
            gates=expand("results/audit/{split}/gate.json", split=together.trained_splits),
        output:
            configs=update(paths.adapters(together.adapters, "adapter_config.json")),
            weights=update(paths.adapters(together.adapters, "adapter_model.safetensors")),
            bases=update(paths.adapters(together.adapters, "base.json")),
            fingerprints=update(paths.adapters(together.adapters, "fingerprint.json")),
            histories=update(paths.adapters(together.adapters, "history.csv")),
            costs=update(paths.adapters(together.adapters, "costs.json")),
        log:
            f"results/logs/train_adapter/{together.first}.log",
        benchmark:
            f"results/benchmarks/train_adapter/{together.first}.tsv"
        # What adapters answer is what most of the study waits for.
        priority: 1
        conda:
            "../envs/gpu.yaml"
        threads: 1
        resources:
            mem_mb=models.memory_mb(together.model),
            runtime=growing(120 + 60 * len(together.adapters)),
            gpu=1,
            memory=config["resources"]["memory"],
        params:
            code=code("train_adapter.py", together.model),
            systems=list(map(str, together.adapters)),
            splits=together.trained_splits,
            recipe=as_json_of(config["finetuning"]["recipes"][together.recipe]),
            prompt=as_json("prompt"),
            quantisation=config["models"][together.model]["quantisation"],
        message:
            "Fine-tuning {params.systems}"
        shell:
            "python workflow_scripts/train_adapter.py {input.shards:q}"
            " --features {input.features:q}"
            " --base {input.base:q}"
            " --identity {input.identity:q}"
            " --systems {params.systems}"
            " --adapters {output.configs:q}"
            " --names {params.splits}"
            " --splits {input.splits:q}"
            " --gates {input.gates:q}"
            " --recipe {params.recipe:q}"
            " --prompt {params.prompt:q}"
            " --question {input.question:q}"
            " --quantisation {params.quantisation}"
            " --memory {resources.memory}"
            " --code {params.code}"
            " --threads {threads}"
            " &> {log:q}"
