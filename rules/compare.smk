"""Comparison: how accurate every system is, and which differ, with intervals and tests clustered by source.

in   results/predictions/, results/splits/, results/stimuli/factorial/index.parquet
out  results/tables/accuracy.csv      earwitness.tables.accuracy.ACCURACY
     results/tables/sources.csv       earwitness.tables.accuracy.SOURCE_ACCURACY
     results/tables/conditions.csv    earwitness.tables.accuracy.CONDITION_ACCURACY
     results/tables/comparisons.csv   earwitness.tables.comparisons.COMPARISONS
     results/tables/leakage.csv       earwitness.tables.comparisons.LEAKAGE
     results/tables/ensembles.csv     earwitness.tables.conclusions.ENSEMBLES
     results/tables/power.csv         earwitness.tables.conclusions.POWER
     results/tables/variance.csv      earwitness.tables.conclusions.VARIANCE
     results/tables/phases.csv        earwitness.tables.conclusions.PHASES
     results/tables/errors.csv        earwitness.tables.error_analysis.ERRORS
     results/tables/error_rates.csv   earwitness.tables.error_analysis.ERROR_RATES
     results/tables/test_sizes.csv    earwitness.tables.experiments.TEST_SIZES
     results/tables/experiments/{experiment}.csv        earwitness.tables.experiments.EXPERIMENT
     results/tables/learning_curves/{experiment}.csv    earwitness.tables.experiments.LEARNING_CURVE
     results/efficiency/{experiment}.csv                earwitness.tables.experiments.EFFICIENCY
"""


rule measure_accuracy:
    """Accuracy per system, class, seed and test set, per source, and per condition."""
    input:
        predictions=paths.predictions("factorial", plan.compared),
        index="results/stimuli/factorial/index.parquet",
        splits=expand("results/splits/{split}.csv", split=plan.splits),
    output:
        accuracy=report(
            "results/tables/accuracy.csv",
            caption="captions/accuracy_table.rst",
            category="Answer",
            subcategory="Tables",
            labels={"shows": "Accuracy of every system"},
        ),
        sources="results/tables/sources.csv",
        conditions="results/tables/conditions.csv",
    log:
        "results/logs/measure_accuracy.log",
    benchmark:
        "results/benchmarks/measure_accuracy.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("measure_accuracy.py"),
        split_names=plan.splits,
        confidence=config["statistics"]["confidence"],
    message:
        "Measuring accuracy"
    shell:
        "python workflow_scripts/measure_accuracy.py {input.predictions:q}"
        " --index {input.index:q}"
        " --splits {input.splits:q}"
        " --split-names {params.split_names:q}"
        " --accuracy {output.accuracy:q}"
        " --sources {output.sources:q}"
        " --conditions {output.conditions:q}"
        " --confidence {params.confidence}"
        " &> {log:q}"


rule compare_systems:
    """Paired tests on the same stimuli, clustered and naive side by side, what would settle them, what leakage and ensembles buy."""
    input:
        predictions=paths.predictions("factorial", plan.compared),
        index="results/stimuli/factorial/index.parquet",
        splits=expand("results/splits/{split}.csv", split=plan.splits),
    output:
        comparisons=report(
            "results/tables/comparisons.csv",
            caption="captions/comparisons_table.rst",
            category="Fine-tuning",
            subcategory="Tables",
            labels={"shows": "Systems against each other"},
        ),
        leakage="results/tables/leakage.csv",
        ensembles=report(
            "results/tables/ensembles.csv",
            caption="captions/ensembles_table.rst",
            category="Fine-tuning",
            subcategory="Tables",
            labels={"shows": "Ensembles of seeds"},
        ),
        power=report(
            "results/tables/power.csv",
            caption="captions/power_table.rst",
            category="Limits",
            subcategory="Tables",
            labels={"shows": "What would settle each comparison"},
        ),
        variance="results/tables/variance.csv",
    log:
        "results/logs/compare_systems.log",
    benchmark:
        "results/benchmarks/compare_systems.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("compare_systems.py"),
        split_names=plan.splits,
        settings=as_json("statistics"),
    message:
        "Comparing systems"
    shell:
        "python workflow_scripts/compare_systems.py {input.predictions:q}"
        " --index {input.index:q}"
        " --splits {input.splits:q}"
        " --split-names {params.split_names:q}"
        " --comparisons {output.comparisons:q}"
        " --leakage {output.leakage:q}"
        " --ensembles {output.ensembles:q}"
        " --power {output.power:q}"
        " --variance {output.variance:q}"
        " --settings {params.settings:q}"
        " &> {log:q}"


rule compare_test_sizes:
    """The same systems and test sources with few items and with many, to show what a small test set can resolve."""
    input:
        predictions=paths.predictions("factorial", [*plan.bases, *plan.honest_arms]),
        index="results/stimuli/factorial/index.parquet",
        split="results/splits/grouped.csv",
    output:
        sizes=report(
            "results/tables/test_sizes.csv",
            caption="captions/test_sizes_table.rst",
            category="Limits",
            subcategory="Tables",
            labels={"shows": "Test sets of several sizes"},
        ),
    log:
        "results/logs/compare_test_sizes.log",
    benchmark:
        "results/benchmarks/compare_test_sizes.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("compare_test_sizes.py"),
        settings=as_json("splits", "extended_test"),
        confidence=config["statistics"]["confidence"],
        power=config["statistics"]["power"],
        seed=config["seed"],
    message:
        "Testing on few items and on many"
    shell:
        "python workflow_scripts/compare_test_sizes.py {input.predictions:q}"
        " --index {input.index:q}"
        " --split {input.split:q}"
        " --sizes {output.sizes:q}"
        " --settings {params.settings:q}"
        " --confidence {params.confidence}"
        " --power {params.power}"
        " --seed {params.seed}"
        " &> {log:q}"


rule measure_experiment:
    """Every recipe and split of an experiment, per seed; folds together test every source; accuracy by training sources."""
    input:
        predictions=lambda wildcards: paths.predictions(
            "factorial",
            [
                *plan.of(plan.experiment(wildcards.experiment).model, plan.bases),
                *plan.experiment(wildcards.experiment).adapters,
            ],
        ),
        index="results/stimuli/factorial/index.parquet",
        splits=lambda wildcards: expand(
            "results/splits/{split}.csv", split=plan.experiment(wildcards.experiment).measured_splits
        ),
    output:
        experiment=report(
            "results/tables/experiments/{experiment}.csv",
            caption="captions/experiment_table.rst",
            category="Fine-tuning",
            subcategory="Tables",
            labels={"shows": "Recipes and splits", "experiment": "{experiment}"},
        ),
        learning_curve="results/tables/learning_curves/{experiment}.csv",
    log:
        "results/logs/measure_experiment/{experiment}.log",
    benchmark:
        "results/benchmarks/measure_experiment/{experiment}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("measure_experiment.py"),
        split_names=lambda wildcards: plan.experiment(wildcards.experiment).measured_splits,
        confidence=config["statistics"]["confidence"],
    message:
        "Measuring the recipes of experiment {wildcards.experiment}"
    shell:
        "python workflow_scripts/measure_experiment.py {input.predictions:q}"
        " --index {input.index:q}"
        " --splits {input.splits:q}"
        " --split-names {params.split_names:q}"
        " --experiment {output.experiment:q}"
        " --learning-curve {output.learning_curve:q}"
        " --confidence {params.confidence}"
        " &> {log:q}"


rule measure_draws:
    """The published design over its draws: what a split by row gives, what a split by source does, and how far one draw is from another."""
    input:
        predictions=lambda wildcards: paths.predictions("factorial", plan.experiment(wildcards.experiment).adapters),
        index="results/stimuli/factorial/index.parquet",
        splits=lambda wildcards: expand(
            "results/splits/{split}.csv", split=plan.experiment(wildcards.experiment).measured_splits
        ),
    output:
        draws=report(
            "results/tables/draws/{experiment}.csv",
            caption="captions/draws_table.rst",
            category="Leakage",
            subcategory="Tables",
            labels={"shows": "The published design, drawn again", "experiment": "{experiment}"},
        ),
    log:
        "results/logs/measure_draws/{experiment}.log",
    benchmark:
        "results/benchmarks/measure_draws/{experiment}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("measure_draws.py"),
        split_names=lambda wildcards: plan.experiment(wildcards.experiment).measured_splits,
        confidence=config["statistics"]["confidence"],
    message:
        "Measuring the draws of experiment {wildcards.experiment}"
    shell:
        "python workflow_scripts/measure_draws.py {input.predictions:q}"
        " --index {input.index:q}"
        " --splits {input.splits:q}"
        " --split-names {params.split_names:q}"
        " --draws {output.draws:q}"
        " --confidence {params.confidence}"
        " &> {log:q}"


rule measure_efficiency:
    """Time, memory and size of every adapter beside its accuracy; not the same twice, so nothing but its figure reads it."""
    input:
        costs=lambda wildcards: paths.adapters(plan.experiment(wildcards.experiment).adapters, "costs.json"),
        experiment="results/tables/experiments/{experiment}.csv",
    output:
        efficiency="results/efficiency/{experiment}.csv",
    log:
        "results/logs/measure_efficiency/{experiment}.log",
    benchmark:
        "results/benchmarks/measure_efficiency/{experiment}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("measure_efficiency.py"),
        systems=lambda wildcards: list(map(str, plan.experiment(wildcards.experiment).adapters)),
    message:
        "Measuring what the recipes of experiment {wildcards.experiment} cost"
    shell:
        "python workflow_scripts/measure_efficiency.py {input.costs:q}"
        " --systems {params.systems:q}"
        " --experiment {input.experiment:q}"
        " --efficiency {output.efficiency:q}"
        " &> {log:q}"


rule measure_phases:
    """Balanced accuracy from phase to phase: detectors, zero-shot, the best question, fine-tuned, ensemble."""
    input:
        predictions=paths.predictions("factorial", plan.honest_systems),
        prompts=[
            f"results/prompts/{system}/predictions.parquet" for system in plan.bases if system in plan.searched_systems
        ],
        gains=["results/tables/prompts.csv"] * bool(set(plan.bases) & set(plan.searched_systems)),
        index="results/stimuli/factorial/index.parquet",
        split="results/splits/grouped.csv",
    output:
        phases="results/tables/phases.csv",
    log:
        "results/logs/measure_phases.log",
    benchmark:
        "results/benchmarks/measure_phases.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        code=code("measure_phases.py"),
        confidence=config["statistics"]["confidence"],
    message:
        "Measuring accuracy over the phases"
    shell:
        "python workflow_scripts/measure_phases.py {input.predictions:q}"
        " --prompts {input.prompts:q}"
        " --gains {input.gains:q}"
        " --index {input.index:q}"
        " --split {input.split:q}"
        " --phases {output.phases:q}"
        " --confidence {params.confidence}"
        " &> {log:q}"


rule list_errors:
    """Which unseen stimuli the base and every honest adapter get wrong, and the share per class, category, duration and SNR."""
    input:
        predictions=paths.predictions("factorial", [*plan.bases, *plan.honest_arms]),
        index="results/stimuli/factorial/index.parquet",
        split="results/splits/grouped.csv",
    output:
        errors="results/tables/errors.csv",
        rates=report(
            "results/tables/error_rates.csv",
            caption="captions/errors_table.rst",
            category="Errors",
            subcategory="Tables",
            labels={"shows": "Error rates"},
        ),
    log:
        "results/logs/list_errors.log",
    benchmark:
        "results/benchmarks/list_errors.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        code=code("list_errors.py"),
        confidence=config["statistics"]["confidence"],
    message:
        "Listing errors"
    shell:
        "python workflow_scripts/list_errors.py {input.predictions:q}"
        " --index {input.index:q}"
        " --split {input.split:q}"
        " --errors {output.errors:q}"
        " --rates {output.rates:q}"
        " --confidence {params.confidence}"
        " &> {log:q}"
