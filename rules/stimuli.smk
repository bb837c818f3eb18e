"""Stimuli: clips of controlled duration and signal-to-noise ratio, in a fixed window, at a fixed level.

in   results/clips/{dataset}.parquet
out  results/stimuli/factorial/shard-{shard}.parquet    earshot.tables.STIMULI and audio
     results/stimuli/factorial/index.parquet            earshot.tables.STIMULI
     results/tables/stimuli.csv                         counts and largest deviations per condition
"""


rule make_factorial_stimuli:
    """Duration x SNR x class; a clip's stimuli stay in one shard, and its shard never depends on the other clips."""
    input:
        code=code("make_factorial_stimuli.py"),
        clips=CLIPS,
    output:
        shard="results/stimuli/factorial/shard-{shard}.parquet",
    log:
        "results/logs/make_factorial_stimuli/shard-{shard}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        settings=as_json("stimuli"),
        seed=config["seed"],
        shards=len(SHARDS),
    message:
        "Making stimuli, shard {wildcards.shard}"
    shell:
        "python workflow_scripts/make_factorial_stimuli.py {input.clips:q} --output {output.shard:q}"
        " --shard {wildcards.shard} --shards {params.shards} --settings {params.settings:q} --seed {params.seed}"
        " &> {log:q}"


rule audit_stimuli:
    """The achieved SNR and level of every stimulus against the request, within 0.1 dB, and one index of all shards."""
    input:
        code=code("audit_stimuli.py"),
        shards=STIMULI,
    output:
        index="results/stimuli/factorial/index.parquet",
        summary="results/tables/stimuli.csv",
    log:
        "results/logs/audit_stimuli.log",
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        settings=as_json("stimuli"),
    message:
        "Checking the stimuli against what was asked for"
    shell:
        "python workflow_scripts/audit_stimuli.py {input.shards:q} --index {output.index:q} --summary {output.summary:q}"
        " --settings {params.settings:q} &> {log:q}"
