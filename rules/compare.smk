"""Comparison: how accurate every system is, and which differ, with intervals and tests clustered by source.

in   results/predictions/, results/splits/, results/stimuli/factorial/index.parquet
out  results/tables/accuracy.csv      earshot.tables.accuracy.ACCURACY
     results/tables/sources.csv       earshot.tables.accuracy.SOURCE_ACCURACY
     results/tables/conditions.csv    earshot.tables.accuracy.CONDITION_ACCURACY
     results/tables/comparisons.csv   earshot.tables.comparisons.COMPARISONS
     results/tables/leakage.csv       earshot.tables.comparisons.LEAKAGE
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
