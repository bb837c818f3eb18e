"""Prompt search: questions found on train sources, chosen on development sources, reported once on test sources.

in   results/features/{model}/factorial/, results/stimuli/factorial/, results/splits/grouped.csv, the base model, adapters
out  results/prompts/{system}/{proposer}/seed-{seed}/prompts.csv          earwitness.tables.prompts.PROMPT_SCORES
     results/prompts/{system}/{proposer}/seed-{seed}/archive.jsonl        every proposal and request, and why it was turned down
     results/prompts/{system}/{proposer}/seed-{seed}/best_prompt.txt      the chosen question
     results/prompts/{system}/{proposer}/seed-{seed}/prompts.tuning.json  what was chosen, and on what
     results/prompts/{system}/{proposer}/seed-{seed}/fingerprint.json     all that a search depends on
     results/prompts/chosen/{model}.json, {model}.tuning.json             the question that all that follows asks, where use_question_of says so
     results/prompts/{system}/predictions.parquet                         earwitness.tables.predictions.PREDICTIONS of the test part
     results/prompts/history.csv                                 earwitness.tables.prompt_gains.PROMPT_HISTORY
     results/prompts/conditions.csv                              earwitness.tables.prompt_gains.PROMPT_CONDITIONS
     results/tables/prompts.csv                                  earwitness.tables.prompt_gains.PROMPT_GAINS
     results/figures/{prompt_progress,prompt_gains,prompt_length,prompt_conditions}.{svg,png}
"""

for together in plan.searched_together:

    rule:
        """Successive halving of one proposer's candidates beside the initial question and questions written by hand, for each seed;
        searches that were made of the same before are kept."""
        name:
            f"search_prompts__{together.first}"
        input:
            base=model_folder(together.system.model),
            identity=models.identity(together.system.model),
            question=plan.question_trained_with(together.system),
            adapter=paths.adapters([together.system], "adapter_config.json"),
            # lies beside its configuration
            weights=paths.adapters([together.system], "adapter_model.safetensors"),
            features=plan.features_of(together.system, "factorial"),
            shards=plan.audio_of(together.system, "factorial"),
            index="results/stimuli/factorial/index.parquet",
            split="results/splits/grouped.csv",
            writer=[model_folder("proposer"), paths.model_identity("proposer")] * (together.proposer == "opro"),
        output:
            scores=update(paths.searches(together.searches, "prompts.csv")),
            archives=update(paths.searches(together.searches, "archive.jsonl")),
            best=update(paths.searches(together.searches, "best_prompt.txt")),
            tuning=update(paths.searches(together.searches, "prompts.tuning.json")),
            fingerprints=update(paths.searches(together.searches, "fingerprint.json")),
        log:
            f"results/logs/search_prompts/{together.first}.log",
        benchmark:
            f"results/benchmarks/search_prompts/{together.first}.tsv"
        # With a writer the longest job at full size, and the report waits for what is asked with its question.
        priority: int(together.proposer == "opro")
        conda:
            "../envs/gpu.yaml"
        threads: 1
        resources:
            mem_mb=models.memory_mb(together.system.model),
            runtime=growing(120 + 120 * len(together.searches)),
            gpu=1,
            batch_size=str(config["resources"]["batch_size"]),
            memory=config["resources"]["memory"],
        params:
            code=code("search_prompts.py", together.system.model),
            prompt=as_json("prompt"),
            level=as_json_of(plan.level_of(together.system)),
            quantisation=config["models"][together.system.model]["quantisation"],
            system=str(together.system),
            proposer=together.proposer,
            writer_quantisation=plan.writer_quantisation(together.proposer),
            settings=as_json_of(plan.search_settings),
            seeds=together.seeds,
            seed=config["seed"],
        message:
            "Searching for questions to ask {params.system} ({params.proposer}, seeds {params.seeds})"
        shell:
            "python workflow_scripts/search_prompts.py"
            " --system {params.system}"
            " --adapter {input.adapter:q}"
            " --features {input.features:q}"
            " --shards {input.shards:q}"
            " --level {params.level:q}"
            " --index {input.index:q}"
            " --split {input.split:q}"
            " --proposer {params.proposer}"
            " --writer {input.writer:q}"
            " --writer-quantisation {params.writer_quantisation}"
            " --search-seeds {params.seeds}"
            " --scores {output.scores:q}"
            " --prompt {params.prompt:q}"
            " --question {input.question:q}"
            " --settings {params.settings:q}"
            " --base {input.base:q}"
            " --identity {input.identity:q}"
            " --quantisation {params.quantisation}"
            " --memory {resources.memory}"
            " --batch-size {resources.batch_size}"
            " --seed {params.seed}"
            " --code {params.code}"
            " --threads {threads}"
            " &> {log:q}"


rule choose_prompt:
    """Of one proposer's searches over a model, the question that does best on the development part: what all that follows asks."""
    input:
        split="results/splits/grouped.csv",
        searches=lambda wildcards: paths.searches(plan.choosing_searches(wildcards.model), "prompts.csv"),
        tuning=lambda wildcards: paths.searches(plan.choosing_searches(wildcards.model), "prompts.tuning.json"),
    output:
        question="results/prompts/chosen/{model}.json",
        record="results/prompts/chosen/{model}.tuning.json",
    log:
        "results/logs/choose_prompt/{model}.log",
    benchmark:
        "results/benchmarks/choose_prompt/{model}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("choose_prompt.py"),
        names=lambda wildcards: list(map(str, plan.choosing_searches(wildcards.model))),
    message:
        "Choosing the question to go on asking {wildcards.model}"
    shell:
        "python workflow_scripts/choose_prompt.py {input.searches:q}"
        " --names {params.names:q}"
        " --tuning {input.tuning:q}"
        " --split {input.split:q}"
        " --question {output.question:q}"
        " --record {output.record:q}"
        " &> {log:q}"


rule predict_prompts:
    """A system's answers to the initial question and every question chosen for it on the test part, asked once."""
    input:
        base=base_of,
        identity=identity_of,
        question=lambda wildcards: plan.question_trained_with(system_of(wildcards)),
        adapter=lambda wildcards: paths.adapters([system_of(wildcards)], "adapter_config.json"),
        # lies beside its configuration
        weights=lambda wildcards: paths.adapters([system_of(wildcards)], "adapter_model.safetensors"),
        features=lambda wildcards: plan.features_of(system_of(wildcards), "factorial"),
        shards=lambda wildcards: plan.audio_of(system_of(wildcards), "factorial"),
        split="results/splits/grouped.csv",
        searches=lambda wildcards: paths.searches(plan.searches_of(system_of(wildcards)), "prompts.csv"),
    output:
        predictions="results/prompts/{system}/predictions.parquet",
    log:
        "results/logs/predict_prompts/{system}.log",
    benchmark:
        "results/benchmarks/predict_prompts/{system}.tsv"
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
        code=code_for_model("predict_prompts.py"),
        prompt=as_json("prompt"),
        level=lambda wildcards: as_json_of(plan.level_of(system_of(wildcards))),
        quantisation=of_model("quantisation"),
    message:
        "Asking {wildcards.system} the chosen questions about the test part"
    shell:
        "python workflow_scripts/predict_prompts.py"
        " --system {wildcards.system}"
        " --adapter {input.adapter:q}"
        " --features {input.features:q}"
        " --shards {input.shards:q}"
        " --level {params.level:q}"
        " --searches {input.searches:q}"
        " --split {input.split:q}"
        " --output {output.predictions:q}"
        " --prompt {params.prompt:q}"
        " --question {input.question:q}"
        " --base {input.base:q}"
        " --identity {input.identity:q}"
        " --quantisation {params.quantisation}"
        " --memory {resources.memory}"
        " --batch-size {resources.batch_size}"
        " --threads {threads}"
        " &> {log:q}"


rule compare_prompts:
    """What each search's chosen question gains over the initial question, with clustered intervals, beside what the search saw."""
    input:
        predictions=expand("results/prompts/{system}/predictions.parquet", system=plan.searched_systems),
        index="results/stimuli/factorial/index.parquet",
        split="results/splits/grouped.csv",
        searches=paths.searches(plan.searches, "prompts.csv"),
        tuning=paths.searches(plan.searches, "prompts.tuning.json"),
    output:
        gains=report(
            "results/tables/prompts.csv",
            caption="captions/prompts_table.rst",
            category="Prompts",
            subcategory="Tables",
            labels={"shows": "Chosen questions"},
        ),
        history="results/prompts/history.csv",
        conditions="results/prompts/conditions.csv",
    log:
        "results/logs/compare_prompts.log",
    benchmark:
        "results/benchmarks/compare_prompts.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("compare_prompts.py"),
        names=list(map(str, plan.searches)),
        confidence=config["statistics"]["confidence"],
    message:
        "Comparing chosen questions with the initial question"
    shell:
        "python workflow_scripts/compare_prompts.py {input.predictions:q}"
        " --searches {input.searches:q}"
        " --names {params.names:q}"
        " --tuning {input.tuning:q}"
        " --index {input.index:q}"
        " --split {input.split:q}"
        " --gains {output.gains:q}"
        " --history {output.history:q}"
        " --conditions {output.conditions:q}"
        " --confidence {params.confidence}"
        " &> {log:q}"


rule plot_prompts:
    """How the searches went, what they gained, whether longer questions do better, and where the gain lies."""
    input:
        gains="results/tables/prompts.csv",
        history="results/prompts/history.csv",
        conditions="results/prompts/conditions.csv",
    output:
        svg=[
            report(
                f"results/figures/{figure}.svg",
                caption=f"captions/{figure}.rst",
                category="Prompts",
                subcategory="Figures",
                labels={"shows": figure.replace("_", " ").capitalize()},
            )
            for figure in PROMPT_FIGURES
        ],
        png=expand("results/figures/{figure}.png", figure=PROMPT_FIGURES),
    log:
        "results/logs/plot_prompts.log",
    benchmark:
        "results/benchmarks/plot_prompts.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("plot_prompts.py"),
    message:
        "Drawing the prompt search"
    shell:
        "python workflow_scripts/plot_prompts.py"
        " --gains {input.gains:q}"
        " --history {input.history:q}"
        " --conditions {input.conditions:q}"
        " --svg {output.svg:q}"
        " &> {log:q}"
