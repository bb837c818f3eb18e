"""Splits: which source trains, tunes and tests; the audit of every split; the gate that training waits for.

in   results/stimuli/factorial/index.parquet
     splits.ties of the configuration          earwitness.tables.ties.TIES, where there are any
out  results/splits/{split}.csv                earwitness.tables.splits.SPLIT
     results/audit/{split}/certificate.json    verdict, checks, digests
     results/audit/{audit}/report.md, .html    the same, to read
     results/audit/{split}/evidence.csv        the offending items of every failed check
     results/audit/{split}/gate.json           written only where training may go on
     results/proposals/{split}                 on request: the nearest split that passes, what moves and why; its ties.csv can be splits.ties
"""


rule split_grouped:
    """All stimuli of one source stay together, so no test speaker is ever heard in training."""
    input:
        index="results/stimuli/factorial/index.parquet",
        recordings=expand("results/recordings/{dataset}.parquet", dataset=plan.datasets("factorial")),
        ties=TIES,
    output:
        split="results/splits/grouped.csv",
    log:
        "results/logs/split_grouped.log",
    benchmark:
        "results/benchmarks/split_grouped.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("split_grouped.py"),
        settings=lambda wildcards: as_json_of({key: config["splits"][key] for key in ("dev_fraction", "test_fraction")}),
        seed=config["seed"],
    message:
        "Splitting by source"
    shell:
        "python workflow_scripts/split_grouped.py {input.index:q} {output.split:q}"
        " --recordings {input.recordings:q}"
        " --ties {input.ties:q}"
        " --settings {params.settings:q}"
        " --seed {params.seed}"
        " &> {log:q}"


rule split_row_random:
    """The published study's mistake, in its own proportions: rows drawn at random from a few sources of the grouped train part.

    Its sources are never tested by the grouped split, so the same adapter can be tested honestly too.
    """
    input:
        grouped="results/splits/grouped.csv",
    output:
        split="results/splits/row_random.csv",
    log:
        "results/logs/split_row_random.log",
    benchmark:
        "results/benchmarks/split_row_random.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("split_row_random.py"),
        settings=as_json("splits", "row_random"),
        seed=config["seed"],
    message:
        "Splitting rows at random (the leaky arm)"
    shell:
        "python workflow_scripts/split_row_random.py {input.grouped:q} {output.split:q}"
        " --settings {params.settings:q}"
        " --seed {params.seed}"
        " &> {log:q}"


rule split_redrawn:
    """The published study's design on sources and rows drawn anew, to see how far its numbers depend on the draw.

    Both splits of a draw have the same sources, all of the grouped train part.
    """
    input:
        grouped="results/splits/grouped.csv",
        index="results/stimuli/factorial/index.parquet",
    output:
        split="results/splits/{kind}_{draw}.csv",
    log:
        "results/logs/split_redrawn/{kind}-{draw}.log",
    benchmark:
        "results/benchmarks/split_redrawn/{kind}-{draw}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("split_redrawn.py"),
        settings=as_json("splits", "redrawn"),
        seed=config["seed"],
    message:
        "Drawing the published design again ({wildcards.kind}, draw {wildcards.draw})"
    shell:
        "python workflow_scripts/split_redrawn.py {input.grouped:q} {output.split:q}"
        " --index {input.index:q}"
        " --kind {wildcards.kind}"
        " --draw {wildcards.draw}"
        " --settings {params.settings:q}"
        " --seed {params.seed}"
        " &> {log:q}"


rule split_fold:
    """A split by source for each fold, so that every source is tested by one adapter that never heard it."""
    input:
        index="results/stimuli/factorial/index.parquet",
        recordings=expand("results/recordings/{dataset}.parquet", dataset=plan.datasets("factorial")),
        ties=TIES,
    output:
        split="results/splits/fold_{fold}.csv",
    log:
        "results/logs/split_fold/{fold}.log",
    benchmark:
        "results/benchmarks/split_fold/{fold}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("split_fold.py"),
        settings=lambda wildcards: as_json_of({key: config["splits"][key] for key in ("folds", "dev_fraction")}),
        seed=config["seed"],
    message:
        "Splitting by source, fold {wildcards.fold}"
    shell:
        "python workflow_scripts/split_fold.py {input.index:q} {output.split:q}"
        " --recordings {input.recordings:q}"
        " --ties {input.ties:q}"
        " --fold {wildcards.fold}"
        " --settings {params.settings:q}"
        " --seed {params.seed}"
        " &> {log:q}"


rule split_training_sources:
    """The grouped split with fewer training sources, for the learning curve; a smaller number's are among a larger one's."""
    input:
        grouped="results/splits/grouped.csv",
    output:
        split="results/splits/train_{sources}.csv",
    log:
        "results/logs/split_training_sources/{sources}.log",
    benchmark:
        "results/benchmarks/split_training_sources/{sources}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("split_training_sources.py"),
        seed=config["seed"],
    message:
        "Keeping {wildcards.sources} training sources of each class"
    shell:
        "python workflow_scripts/split_training_sources.py {input.grouped:q} {output.split:q}"
        " --sources {wildcards.sources}"
        " --seed {params.seed}"
        " &> {log:q}"


rule audit_leakage:
    """Every check of the registry, with its evidence; written whatever the verdict."""
    input:
        split="results/splits/{split}.csv",
        index="results/stimuli/factorial/index.parquet",
        clips=expand("results/clips/{dataset}.parquet", dataset=plan.datasets("factorial")),
        recordings=expand("results/recordings/{dataset}.parquet", dataset=plan.datasets("factorial")),
        # where to listen to the recordings, whose digests are in their tables
        segments=expand("results/recordings/{dataset}_segments.parquet", dataset=plan.datasets("factorial")),
        shards=AUDIO,
        folds=lambda wildcards: expand("results/splits/{split}.csv", split=plan.siblings_of(wildcards.split)),
        # named in the policy; listed so that another model audits again
        speaker_model=[] if config["audit"]["speaker_model"] == "campplus" else config["audit"]["speaker_model"],
    output:
        certificate="results/audit/{split}/certificate.json",
        evidence="results/audit/{split}/evidence.csv",
    log:
        "results/logs/audit_leakage/{split}.log",
    benchmark:
        "results/benchmarks/audit_leakage/{split}.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        code=code("audit_leakage.py"),
        policy=lambda wildcards: as_json_of(plan.audit_policy(wildcards.split)),
    message:
        "Auditing the {wildcards.split} split for leakage"
    shell:
        "python workflow_scripts/audit_leakage.py {input.split:q}"
        " --index {input.index:q}"
        " --clips {input.clips:q}"
        " --recordings {input.recordings:q}"
        " --segments {input.segments:q}"
        " --shards {input.shards:q}"
        " --folds {input.folds:q}"
        " --certificate {output.certificate:q}"
        " --evidence {output.evidence:q}"
        " --policy {params.policy:q}"
        " --jobs {threads}"
        " &> {log:q}"


rule render_audit:
    """An audit's report; apart from the audit and its gate, so that how it looks decides nothing, and made before the gate opens or not."""
    input:
        # the program's own
        template="workflow_scripts/earwitness/leakage/report.html.jinja",
        certificate="results/audit/{audit}/certificate.json",
        evidence="results/audit/{audit}/evidence.csv",
    output:
        report=report(
            "results/audit/{audit}/report.md",
            caption="captions/audit.rst",
            category="Leakage",
            subcategory="Audits",
            labels={"shows": "Leakage audit", "audit": "{audit}"},
        ),
        page="results/audit/{audit}/report.html",
    log:
        "results/logs/render_audit/{audit}.log",
    benchmark:
        "results/benchmarks/render_audit/{audit}.tsv"
    priority: 1
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("render_audit.py"),
    message:
        "Writing the report of the {wildcards.audit} audit"
    shell:
        "python workflow_scripts/render_audit.py {input.certificate:q} {input.evidence:q}"
        " --report {output.report:q}"
        " --html {output.page:q}"
        " &> {log:q}"


rule gate_leakage:
    """Stops the run, naming the offending sources, unless the certificate passes; the leaky arm must fail it to go on."""
    input:
        certificate="results/audit/{split}/certificate.json",
        split="results/splits/{split}.csv",
    output:
        gate="results/audit/{split}/gate.json",
    log:
        "results/logs/gate_leakage/{split}.log",
    benchmark:
        "results/benchmarks/gate_leakage/{split}.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("gate_leakage.py"),
        expected=lambda wildcards: expected_verdict(wildcards.split),
    message:
        "Gate: the {wildcards.split} split must {params.expected} its audit"
    shell:
        "python workflow_scripts/gate_leakage.py {input.certificate:q} {output.gate:q}"
        " --split {input.split:q}"
        " --expected {params.expected}"
        " &> {log:q}"


rule propose_split:
    """What a split that fails its audit could be instead: the nearest one that passes; made on request."""
    input:
        split="results/splits/{split}.csv",
        index="results/stimuli/factorial/index.parquet",
        clips=rules.audit_leakage.input.clips,
        recordings=rules.audit_leakage.input.recordings,
        segments=rules.audit_leakage.input.segments,
        shards=AUDIO,
        certificate="results/audit/{split}/certificate.json",
        evidence="results/audit/{split}/evidence.csv",
        ties=TIES,
    output:
        folder=directory("results/proposals/{split}"),
    log:
        "results/logs/propose_split/{split}.log",
    benchmark:
        "results/benchmarks/propose_split/{split}.tsv"
    wildcard_constraints:
        split=r"grouped|row_random|train_\d+",  # folds are proposed together or not at all
    conda:
        "../envs/analysis.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        code=code("propose_split.py"),
        policy=as_json("audit"),
        seed=config["seed"],
    message:
        "Proposing the nearest split to {wildcards.split} that passes"
    shell:
        "python workflow_scripts/propose_split.py {input.split:q}"
        " --index {input.index:q}"
        " --clips {input.clips:q}"
        " --recordings {input.recordings:q}"
        " --segments {input.segments:q}"
        " --shards {input.shards:q}"
        " --certificate {input.certificate:q}"
        " --evidence {input.evidence:q}"
        " --ties {input.ties:q}"
        " --policy {params.policy:q}"
        " --seed {params.seed}"
        " --jobs {threads}"
        " --out {output.folder:q}"
        " &> {log:q}"
