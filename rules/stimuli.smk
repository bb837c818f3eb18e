"""Stimuli: clips under controlled conditions, in a fixed window, at a fixed level.

in   results/clips/{dataset}.parquet
out  results/stimuli/factorial/shard-{shard}.parquet    earwitness.tables.stimuli.STIMULI and audio
     results/stimuli/factorial/index.parquet            earwitness.tables.stimuli.STIMULI
     results/tables/stimuli.csv                         counts and largest deviations per condition
     results/stimuli/baseline/, results/tables/baseline_stimuli.csv    the same of the psychoacoustic baseline
"""


rule make_factorial_stimuli:
    """Duration x SNR x class; a clip's stimuli stay in one shard, and its shard never depends on the other clips."""
    input:
        clips=expand("results/clips/{dataset}.parquet", dataset=plan.datasets("factorial")),
        # read through the folder in the settings
        noises=NOISES.get("factorial", []),
    output:
        shard="results/stimuli/factorial/shard-{shard}.parquet",
    log:
        "results/logs/make_factorial_stimuli/shard-{shard}.log",
    benchmark:
        "results/benchmarks/make_factorial_stimuli/shard-{shard}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        code=code("make_factorial_stimuli.py"),
        settings=as_json_of(plan.stimulus_settings("factorial")),
        seed=config["seed"],
        shards=len(plan.shards),
    message:
        "Making factorial stimuli, shard {wildcards.shard}"
    shell:
        "python workflow_scripts/make_factorial_stimuli.py {input.clips:q}"
        " --output {output.shard:q}"
        " --shard {wildcards.shard}"
        " --shards {params.shards}"
        " --settings {params.settings:q}"
        " --seed {params.seed}"
        " &> {log:q}"


rule make_baseline_stimuli:
    """The grid, one thing varied at a time, and SNR x duration, of clips drawn one per source."""
    input:
        clips=expand("results/clips/{dataset}.parquet", dataset=plan.datasets("baseline")),
        # read through the folder in the settings
        noises=NOISES.get("baseline", []),
    output:
        shard="results/stimuli/baseline/shard-{shard}.parquet",
    log:
        "results/logs/make_baseline_stimuli/shard-{shard}.log",
    benchmark:
        "results/benchmarks/make_baseline_stimuli/shard-{shard}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("make_baseline_stimuli.py"),
        settings=as_json_of(plan.stimulus_settings("baseline")),
        seed=config["seed"],
        shards=len(plan.shards),
    message:
        "Making baseline stimuli, shard {wildcards.shard}"
    shell:
        "python workflow_scripts/make_baseline_stimuli.py {input.clips:q}"
        " --output {output.shard:q}"
        " --shard {wildcards.shard}"
        " --shards {params.shards}"
        " --settings {params.settings:q}"
        " --seed {params.seed}"
        " &> {log:q}"


rule audit_stimuli:
    """The achieved SNR and level of every stimulus against the request, within 0.1 dB, and one index of all shards."""
    input:
        shards=lambda wildcards: paths.stimuli(wildcards.stimulus_set, plan.shards),
    output:
        index="results/stimuli/{stimulus_set}/index.parquet",
    log:
        "results/logs/audit_stimuli/{stimulus_set}.log",
    benchmark:
        "results/benchmarks/audit_stimuli/{stimulus_set}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("audit_stimuli.py"),
        settings=lambda wildcards: as_json_of(plan.stimulus_settings(wildcards.stimulus_set)),
    message:
        "Checking the {wildcards.stimulus_set} stimuli against what was asked for"
    shell:
        "python workflow_scripts/audit_stimuli.py {input.shards:q}"
        " --index {output.index:q}"
        " --design {wildcards.stimulus_set}"
        " --settings {params.settings:q}"
        " &> {log:q}"


rule summarise_stimuli:
    """Per class and condition of each set: how many stimuli, from how many sources, and the largest SNR and level error."""
    input:
        indexes=expand("results/stimuli/{stimulus_set}/index.parquet", stimulus_set=plan.stimulus_sets),
    output:
        summaries=["results/tables/stimuli.csv"]
        + ["results/tables/baseline_stimuli.csv"] * ("baseline" in plan.stimulus_sets),
    log:
        "results/logs/summarise_stimuli.log",
    benchmark:
        "results/benchmarks/summarise_stimuli.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        code=code("summarise_stimuli.py"),
        levels=as_json_of({kind: config["stimuli"][f"{kind}_dbfs"] for kind in ("peak", "rms")}),
    message:
        "Counting the stimuli of each condition"
    shell:
        "python workflow_scripts/summarise_stimuli.py {input.indexes:q}"
        " --summaries {output.summaries:q}"
        " --levels {params.levels:q}"
        " &> {log:q}"
