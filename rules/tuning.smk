"""The second audit, after training: what was fitted on what, and what the base model does and may have heard.

in   results/splits/grouped.csv, results/predictions/**.tuning.json, results/prompts/**.tuning.json,
     results/calibration/*.tuning.json, the base model, results/features/{model}/factorial/controls.parquet
out  results/tables/counterfactuals/{model}.csv    earwitness.tables.counterfactuals.COUNTERFACTUALS
     results/audit/tuning/certificate.json       verdict, checks, digests
     results/audit/tuning/evidence.csv           the faults of every failed check
     results/audit/tuning/gate.json              written only where the report may be
"""


rule probe_counterfactuals:
    """Some test stimuli moved in their window, softer, louder, and with noise in their place: the answer should follow the class."""
    input:
        base=base_of,
        identity=identity_of,
        question=lambda wildcards: plan.chosen_question(wildcards.model),
        shards=AUDIO,
        split="results/splits/grouped.csv",
    output:
        answers="results/tables/counterfactuals/{model}.csv",
    log:
        "results/logs/probe_counterfactuals/{model}.log",
    benchmark:
        "results/benchmarks/probe_counterfactuals/{model}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=model_mb,
        runtime=60,
        gpu=1,
        batch_size=str(config["resources"]["batch_size"]),
        memory=config["resources"]["memory"],
    params:
        code=code_for_model("probe_counterfactuals.py"),
        prompt=as_json("prompt"),
        quantisation=of_model("quantisation"),
        seed=config["seed"],
    message:
        "Asking {wildcards.model} about changed stimuli"
    shell:
        "python workflow_scripts/probe_counterfactuals.py {input.shards:q}"
        " --split {input.split:q}"
        " --base {input.base:q}"
        " --identity {input.identity:q}"
        " --output {output.answers:q}"
        " --prompt {params.prompt:q}"
        " --question {input.question:q}"
        " --quantisation {params.quantisation}"
        " --memory {resources.memory}"
        " --batch-size {resources.batch_size}"
        " --seed {params.seed}"
        " --threads {threads}"
        " &> {log:q}"


rule audit_tuning:
    """Was anything fitted on test sources, does every model's answer follow the class, and may it know the recordings?"""
    input:
        split="results/splits/grouped.csv",
        tuning=paths.fitted_records(plan.stimulus_sets, [*plan.detectors, *plan.probes])
        + paths.searches(plan.searches, "prompts.tuning.json")
        + [path.replace(".json", ".tuning.json") for path in plan.chosen_questions]
        + paths.calibration_records(plan.calibrated_systems),
        recordings=expand("results/recordings/{dataset}.parquet", dataset=plan.datasets("factorial")),
        counterfactuals=paths.counterfactuals(plan.models),
        untrained=[controls for model in plan.models for controls in paths.controls(model, "factorial")],
        index="results/stimuli/factorial/index.parquet",
        corpora="config/pretraining_corpora.csv",
    output:
        certificate="results/audit/tuning/certificate.json",
        evidence="results/audit/tuning/evidence.csv",
    log:
        "results/logs/audit_tuning.log",
    benchmark:
        "results/benchmarks/audit_tuning.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        code=code("audit_tuning.py"),
        models=plan.models,
        declared=[models.declared_name(model) for model in plan.models],
        systems=list(map(str, [*plan.detectors, *plan.probes])),
        searches=list(map(str, plan.searches))
        + [with_model(model, "chosen-question") for model in plan.models if plan.chosen_question(model)],
        calibrated=[str(system) for system in plan.calibrated_systems],
        auc_warn=config["audit"]["shortcut_auc_warn"],
        waivers=lambda wildcards: as_json_of({"waivers": config["audit"]["waivers"]}),
    message:
        "Auditing what was fitted"
    shell:
        "python workflow_scripts/audit_tuning.py {input.split:q}"
        " --tuning {input.tuning:q}"
        " --systems {params.systems}"
        " --searches {params.searches}"
        " --calibrated {params.calibrated:q}"
        " --recordings {input.recordings:q}"
        " --corpora {input.corpora:q}"
        " --models {params.models}"
        " --declared {params.declared:q}"
        " --counterfactuals {input.counterfactuals:q}"
        " --untrained {input.untrained:q}"
        " --index {input.index:q}"
        " --auc-warn {params.auc_warn}"
        " --waivers {params.waivers:q}"
        " --certificate {output.certificate:q}"
        " --evidence {output.evidence:q}"
        " &> {log:q}"


rule gate_tuning:
    """Stops the run before its report unless the records show that nothing was fitted on test sources."""
    input:
        certificate="results/audit/tuning/certificate.json",
        split="results/splits/grouped.csv",
    output:
        gate="results/audit/tuning/gate.json",
    log:
        "results/logs/gate_tuning.log",
    benchmark:
        "results/benchmarks/gate_tuning.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("gate_tuning.py"),
    message:
        "Gate: nothing may be fitted outside its part"
    shell:
        "python workflow_scripts/gate_tuning.py {input.certificate:q} {output.gate:q}"
        " --split {input.split:q}"
        " &> {log:q}"
