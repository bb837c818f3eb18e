"""Clips: what the recordings are, whether they can be used, and which stretches become clips.

in   a data set's folder or table
out  results/recordings/{dataset}.parquet             earwitness.tables.recordings.RECORDINGS
     results/recordings/{dataset}_segments.parquet    earwitness.tables.recordings.SEGMENTS
     results/recordings/{dataset}_audio_check.csv     earwitness.tables.recordings.AUDIO_CHECK
     results/clips/{dataset}.parquet                  earwitness.tables.clips.CLIPS and audio
"""


rule catalogue_recordings:
    """Every file is listed and checked; only sound ones, of categories without human voice, go on."""
    input:
        # read through the folder; listed so that a changed file is catalogued again
        files=lambda wildcards: recordings.inputs(wildcards.dataset),
        uploaders=lambda wildcards: recordings.uploader_tables(wildcards.dataset),
    output:
        recordings="results/recordings/{dataset}.parquet",
        segments="results/recordings/{dataset}_segments.parquet",
        check="results/recordings/{dataset}_audio_check.csv",
    log:
        "results/logs/catalogue_recordings/{dataset}.log",
    benchmark:
        "results/benchmarks/catalogue_recordings/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        code=code("catalogue_recordings.py"),
        path=lambda wildcards: recordings.path(wildcards.dataset),
        source=lambda wildcards: as_json_of({key: config["sources"][wildcards.dataset][key] for key in DESCRIPTION}),
        check=as_json("check"),
    message:
        "Checking every recording of {wildcards.dataset}"
    shell:
        "python workflow_scripts/catalogue_recordings.py {params.path:q} {output.recordings:q} {output.segments:q} {output.check:q}"
        " --dataset {wildcards.dataset}"
        " --source {params.source:q}"
        " --uploaders {input.uploaders:q}"
        " --check {params.check:q}"
        " &> {log:q}"


rule select_clips:
    """Speech of one speaker alone, or the active part of a sound, as 16 kHz mono."""
    input:
        recordings="results/recordings/{dataset}.parquet",
        segments="results/recordings/{dataset}_segments.parquet",
    output:
        clips="results/clips/{dataset}.parquet",
    log:
        "results/logs/select_clips/{dataset}.log",
    benchmark:
        "results/benchmarks/select_clips/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("select_clips.py"),
        settings=lambda wildcards: as_json_of(plan.clip_settings(wildcards.dataset)),
        seed=config["seed"],
    message:
        "Selecting clips of {wildcards.dataset}"
    shell:
        "python workflow_scripts/select_clips.py {input.recordings:q} {input.segments:q} {output.clips:q}"
        " --settings {params.settings:q}"
        " --seed {params.seed}"
        " &> {log:q}"
