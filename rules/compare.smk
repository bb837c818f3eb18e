"""Comparison: how accurate every system is, and which differ, with intervals and tests clustered by source.

in   results/predictions/, results/splits/, results/stimuli/factorial/index.parquet
out  results/tables/accuracy.csv      earshot.tables.accuracy.ACCURACY
     results/tables/sources.csv       earshot.tables.accuracy.SOURCE_ACCURACY
     results/tables/conditions.csv    earshot.tables.accuracy.CONDITION_ACCURACY
     results/tables/comparisons.csv   earshot.tables.comparisons.COMPARISONS
     results/tables/leakage.csv       earshot.tables.comparisons.LEAKAGE
     results/tables/test_sizes.csv    earshot.tables.experiments.TEST_SIZES
     results/tables/experiments/{experiment}.csv        earshot.tables.experiments.EXPERIMENT
     results/tables/learning_curves/{experiment}.csv    earshot.tables.experiments.LEARNING_CURVE
     results/efficiency/{experiment}.csv                earshot.tables.experiments.EFFICIENCY
"""


rule measure_accuracy:
    """Accuracy per system, class, seed and test set, per source, and per condition."""
    input:
        code=code("measure_accuracy.py"),
        predictions=prediction_files("factorial", SPLITS),
        index="results/stimuli/factorial/index.parquet",
        splits=expand("results/splits/{split}.csv", split=SPLITS),
    output:
        accuracy=report("results/tables/accuracy.csv", caption="captions/accuracy_table.rst", category="Tables"),
        sources="results/tables/sources.csv",
        conditions="results/tables/conditions.csv",
    log:
        "results/logs/measure_accuracy.log",
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        confidence=config["statistics"]["confidence"],
    message:
        "Measuring accuracy"
    shell:
        "python workflow_scripts/measure_accuracy.py {input.predictions:q} --index {input.index:q} --splits {input.splits:q}"
        " --accuracy {output.accuracy:q} --sources {output.sources:q} --conditions {output.conditions:q}"
        " --confidence {params.confidence} &> {log:q}"


rule compare_systems:
    """Paired tests on the same stimuli, clustered and naive side by side, and what leakage buys."""
    input:
        code=code("compare_systems.py"),
        predictions=prediction_files("factorial", SPLITS),
        index="results/stimuli/factorial/index.parquet",
        splits=expand("results/splits/{split}.csv", split=SPLITS),
    output:
        comparisons=report(
            "results/tables/comparisons.csv", caption="captions/comparisons_table.rst", category="Tables"
        ),
        leakage="results/tables/leakage.csv",
    log:
        "results/logs/compare_systems.log",
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        settings=as_json("statistics"),
    message:
        "Comparing systems"
    shell:
        "python workflow_scripts/compare_systems.py {input.predictions:q} --index {input.index:q} --splits {input.splits:q}"
        " --comparisons {output.comparisons:q} --leakage {output.leakage:q} --settings {params.settings:q} &> {log:q}"


rule compare_test_sizes:
    """The same systems and test sources with few items and with many, to show what a small test set can resolve."""
    input:
        code=code("compare_test_sizes.py"),
        predictions=prediction_files("factorial", ["grouped"]),
        index="results/stimuli/factorial/index.parquet",
        split="results/splits/grouped.csv",
    output:
        sizes=report("results/tables/test_sizes.csv", caption="captions/test_sizes_table.rst", category="Tables"),
    log:
        "results/logs/compare_test_sizes.log",
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        settings=as_json("splits", "extended_test"),
        confidence=config["statistics"]["confidence"],
        seed=config["seed"],
    message:
        "Testing on few items and on many"
    shell:
        "python workflow_scripts/compare_test_sizes.py {input.predictions:q} --index {input.index:q} --split {input.split:q}"
        " --sizes {output.sizes:q} --settings {params.settings:q} --confidence {params.confidence} --seed {params.seed} &> {log:q}"


rule measure_experiment:
    """Every recipe and split of an experiment, per seed; folds together test every source; accuracy by training sources."""
    input:
        code=code("measure_experiment.py"),
        predictions=experiment_predictions,
        index="results/stimuli/factorial/index.parquet",
        splits=experiment_splits,
    output:
        experiment=report(
            "results/tables/experiments/{experiment}.csv",
            caption="captions/experiment_table.rst",
            category="Tables",
            labels={"experiment": "{experiment}"},
        ),
        learning_curve="results/tables/learning_curves/{experiment}.csv",
    log:
        "results/logs/measure_experiment/{experiment}.log",
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        confidence=config["statistics"]["confidence"],
    message:
        "Measuring the recipes of experiment {wildcards.experiment}"
    shell:
        "python workflow_scripts/measure_experiment.py {input.predictions:q} --index {input.index:q} --splits {input.splits:q}"
        " --experiment {output.experiment:q} --learning-curve {output.learning_curve:q} --confidence {params.confidence} &> {log:q}"


rule measure_efficiency:
    """Time, memory and size of every adapter beside its accuracy; not the same twice, so nothing but its figure reads it."""
    input:
        code=code("measure_efficiency.py"),
        costs=experiment_costs,
        experiment="results/tables/experiments/{experiment}.csv",
    output:
        efficiency="results/efficiency/{experiment}.csv",
    log:
        "results/logs/measure_efficiency/{experiment}.log",
    localrule: True
    conda:
        "../envs/analysis.yaml"
    message:
        "Measuring what the recipes of experiment {wildcards.experiment} cost"
    shell:
        "python workflow_scripts/measure_efficiency.py {input.costs:q} --experiment {input.experiment:q}"
        " --efficiency {output.efficiency:q} &> {log:q}"
