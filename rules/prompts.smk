"""Prompt search: questions found on train sources, chosen on development sources, reported once on test sources.

in   results/features/factorial/, results/stimuli/factorial/index.parquet, results/splits/grouped.csv, the base model
out  results/prompts/{proposer}/seed-{seed}/prompts.csv          earshot.tables.prompts.PROMPT_SCORES
     results/prompts/{proposer}/seed-{seed}/archive.jsonl        every proposal and request, and why it was turned down
     results/prompts/{proposer}/seed-{seed}/best_prompt.txt      the chosen question
     results/prompts/{proposer}/seed-{seed}/prompts.fitted.json  what was chosen, and on what
     results/prompts/predictions.parquet                         earshot.tables.predictions.PREDICTIONS of the test part
     results/prompts/history.csv                                 earshot.tables.prompt_gains.PROMPT_HISTORY
     results/prompts/conditions.csv                              earshot.tables.accuracy.CONDITION_ACCURACY
     results/tables/prompts.csv                                  earshot.tables.prompt_gains.PROMPT_GAINS
     results/figures/{prompt_progress,prompt_gains,prompt_length,prompt_conditions}.{svg,png}
"""


rule search_prompts:
    """One search by one proposer: successive halving of its candidates beside the baseline and questions written by hand."""
    input:
        code=code("search_prompts.py"),
        base=base_folder(),
        features=feature_files("factorial"),
        index="results/stimuli/factorial/index.parquet",
        split="results/splits/grouped.csv",
        writer=proposer_folder,
    output:
        scores="results/prompts/{proposer}/seed-{seed}/prompts.csv",
        archive="results/prompts/{proposer}/seed-{seed}/archive.jsonl",
        best="results/prompts/{proposer}/seed-{seed}/best_prompt.txt",
        fitted="results/prompts/{proposer}/seed-{seed}/prompts.fitted.json",
    log:
        "results/logs/search_prompts/{proposer}-seed-{seed}.log",
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        batch_size=str(config["resources"]["batch_size"]),
        memory=config["resources"]["memory"],
    params:
        prompt=as_json("prompt"),
        quantisation=config["model"]["quantisation"],
        writer_quantisation=lambda wildcards: (
            config["prompt_search"]["opro"]["quantisation"] if wildcards.proposer == "opro" else "none"
        ),
        settings=as_json_of(
            {key: value for key, value in config["prompt_search"].items() if key not in ("proposers", "seeds", "opro")}
        ),
        seed=config["seed"],
    message:
        "Searching for a question ({wildcards.proposer}, seed {wildcards.seed})"
    shell:
        "python workflow_scripts/search_prompts.py {input.features:q} --index {input.index:q} --split {input.split:q}"
        " --proposer {wildcards.proposer} --writer {input.writer:q} --writer-quantisation {params.writer_quantisation}"
        " --scores {output.scores:q} --archive {output.archive:q} --best {output.best:q} --fitted {output.fitted:q}"
        " --prompt {params.prompt:q} --settings {params.settings:q} --base {input.base:q} --quantisation {params.quantisation}"
        " --memory {resources.memory} --batch-size {resources.batch_size} --search-seed {wildcards.seed} --seed {params.seed}"
        " --threads 1 &> {log:q}"


rule predict_prompts:
    """The base model's answers to the baseline and every chosen question on the test part, asked once."""
    input:
        code=code("predict_prompts.py"),
        base=base_folder(),
        features=feature_files("factorial"),
        split="results/splits/grouped.csv",
        searches=search_files("prompts.csv"),
    output:
        predictions="results/prompts/predictions.parquet",
    log:
        "results/logs/predict_prompts.log",
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        batch_size=str(config["resources"]["batch_size"]),
        memory=config["resources"]["memory"],
    params:
        prompt=as_json("prompt"),
        quantisation=config["model"]["quantisation"],
    message:
        "Asking the chosen questions about the test part"
    shell:
        "python workflow_scripts/predict_prompts.py {input.features:q} --searches {input.searches:q} --split {input.split:q}"
        " --output {output.predictions:q} --prompt {params.prompt:q} --base {input.base:q} --quantisation {params.quantisation}"
        " --memory {resources.memory} --batch-size {resources.batch_size} --threads 1 &> {log:q}"


rule compare_prompts:
    """What each search's chosen question gains over the baseline, with clustered intervals, beside what the search saw."""
    input:
        code=code("compare_prompts.py"),
        predictions="results/prompts/predictions.parquet",
        index="results/stimuli/factorial/index.parquet",
        split="results/splits/grouped.csv",
        searches=search_files("prompts.csv"),
        fitted=search_files("prompts.fitted.json"),
    output:
        gains=report("results/tables/prompts.csv", caption="captions/prompts_table.rst", category="Tables"),
        history="results/prompts/history.csv",
        conditions="results/prompts/conditions.csv",
    log:
        "results/logs/compare_prompts.log",
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        confidence=config["statistics"]["confidence"],
    message:
        "Comparing chosen questions with the baseline"
    shell:
        "python workflow_scripts/compare_prompts.py {input.predictions:q} --searches {input.searches:q} --fitted {input.fitted:q}"
        " --index {input.index:q} --split {input.split:q} --gains {output.gains:q} --history {output.history:q}"
        " --conditions {output.conditions:q} --confidence {params.confidence} &> {log:q}"


rule plot_prompts:
    """How the searches went, what they gained, whether longer questions do better, and where the gain lies."""
    input:
        code=code("plot_prompts.py"),
        gains="results/tables/prompts.csv",
        history="results/prompts/history.csv",
        conditions="results/prompts/conditions.csv",
    output:
        svg=report(
            expand("results/figures/{figure}.svg", figure=PROMPT_FIGURES),
            caption="captions/prompts.rst",
            category="Figures",
        ),
        png=expand("results/figures/{figure}.png", figure=PROMPT_FIGURES),
    log:
        "results/logs/plot_prompts.log",
    localrule: True
    conda:
        "../envs/analysis.yaml"
    message:
        "Drawing the prompt search"
    shell:
        "python workflow_scripts/plot_prompts.py --gains {input.gains:q} --history {input.history:q}"
        " --conditions {input.conditions:q} --svg {output.svg:q} &> {log:q}"
