"""Sources: the embedded corpus, or archives fetched and verified; a path on disk needs no rule.

out  data/embedded/{study,base}/voxconverse/   audio/*.wav, rttm/*.rttm
     data/embedded/{study,base}/esc50/         audio/*.wav, meta/esc50.csv
     data/embedded/baseline/fsd50k/            FSD50K.{dev,eval}_audio/*.wav, FSD50K.ground_truth/, FSD50K.metadata/
     data/downloads/{dataset}/                 the data set's own layout
     data/unpacked/{dataset}/                  audio/, manifest.csv, of tables that hold their audio themselves
"""


rule make_embedded_corpus:
    """Speech from many synthetic voices and procedural sounds, in the layouts of the real data sets.

    The base corpus has other languages, variants, sound kinds and rooms than the study corpus.
    """
    output:
        speech=directory("data/embedded/{corpus}/voxconverse"),
        sounds=directory("data/embedded/{corpus}/esc50"),
    log:
        "results/logs/make_embedded_corpus/{corpus}.log",
    benchmark:
        "results/benchmarks/make_embedded_corpus/{corpus}.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("make_embedded_corpus.py"),
        settings=lambda wildcards: as_json_of(plan.corpus_size(wildcards.corpus)),
        seed=config["seed"],
    message:
        "Synthesising the {wildcards.corpus} corpus"
    shell:
        "python workflow_scripts/make_embedded_corpus.py {output.speech:q} {output.sounds:q}"
        " --corpus {wildcards.corpus}"
        " --settings {params.settings:q}"
        " --seed {params.seed}"
        " --threads {threads}"
        " &> {log:q}"


rule make_embedded_baseline:
    """Close, clean recordings of voices and rooms that are in neither other corpus, in FSD50K's layout.

    Its kinds of sounds are the study corpus's, from other draws.
    """
    output:
        folder=directory("data/embedded/baseline/fsd50k"),
    log:
        "results/logs/make_embedded_baseline.log",
    benchmark:
        "results/benchmarks/make_embedded_baseline.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("make_embedded_baseline.py"),
        settings=as_json_of(plan.corpus_size("baseline")),
        seed=config["seed"],
    message:
        "Synthesising the baseline corpus"
    shell:
        "python workflow_scripts/make_embedded_baseline.py {output.folder:q}"
        " --settings {params.settings:q}"
        " --seed {params.seed}"
        " --threads {threads}"
        " &> {log:q}"


rule download_dataset:
    """Every archive fetched (resumed where a part is there), verified and unpacked."""
    output:
        folder=directory("data/downloads/{dataset}"),
    log:
        "results/logs/download_dataset/{dataset}.log",
    benchmark:
        "results/benchmarks/download_dataset/{dataset}.tsv"
    retries: 3
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=1440,
    params:
        code=code("download_dataset.py"),
        source=lambda wildcards: as_json_of({"archives": config["sources"][wildcards.dataset]["archives"]}),
    message:
        "Downloading {wildcards.dataset}"
    shell:
        "python workflow_scripts/download_dataset.py {output.folder:q}" " --source {params.source:q}" " &> {log:q}"


rule unpack_recordings:
    """The audio of Parquet files in files of its own, which all later steps read."""
    input:
        tables=lambda wildcards: recordings.files.get(wildcards.dataset, []),
    output:
        folder=directory("data/unpacked/{dataset}"),
    log:
        "results/logs/unpack_recordings/{dataset}.log",
    benchmark:
        "results/benchmarks/unpack_recordings/{dataset}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        code=code("unpack_recordings.py"),
    message:
        "Unpacking the recordings of {wildcards.dataset}"
    shell:
        "python workflow_scripts/unpack_recordings.py {input.tables:q}" " --folder {output.folder:q}" " &> {log:q}"
