"""Hand-over: one adapter with everything that a detector needs, and how well it finds speech in whole recordings.

in   adapters of the primary model on the grouped split, their answers on development sources, calibrations, tables of accuracy
out  results/detector/    adapter in peft's layout, prompt.json, calibration.json, detector.json, and the model card README.md
     results/detector/segments.json           how it follows recordings, tuned on development recordings
     results/tables/detection.csv             earwitness.tables.detection.DETECTION
     results/tables/detection_roc.csv         earwitness.tables.detection.DETECTION_ROC
"""

DETECTOR_FILES = expand(
    "results/detector/{file}",
    file=["adapter_config.json", "adapter_model.safetensors", "prompt.json", "calibration.json", "detector.json"],
)


# The arms among which the one that is handed over is chosen.
HANDED_OVER = plan.of(PRIMARY, plan.honest_arms)


rule hand_over_adapter:
    """The best recipe's median seed, chosen on development sources of the split that passed its audit."""
    input:
        template="workflow_scripts/earwitness/report/model_card.md.jinja",
        predictions=paths.predictions("factorial", HANDED_OVER),
        adapters=paths.adapters(HANDED_OVER, "adapter_config.json"),
        # lie beside their configurations
        weights=paths.adapters(HANDED_OVER, "adapter_model.safetensors"),
        identity=paths.model_identity(PRIMARY),
        question=plan.chosen_question(PRIMARY),
        index="results/stimuli/factorial/index.parquet",
        split="results/splits/grouped.csv",
        study=AUDIO,
        certificate="results/audit/grouped/certificate.json",
        gate="results/audit/grouped/gate.json",
        # nothing is handed over before this gate
        nothing_leaked="results/audit/tuning/gate.json",
        recordings=expand("results/recordings/{dataset}.parquet", dataset=plan.datasets("factorial")),
        fits="results/calibration/fits.csv",
        calibration="results/tables/calibration.csv",
        accuracy="results/tables/accuracy.csv",
        comparisons="results/tables/comparisons.csv",
    output:
        card=report(
            "results/detector/README.md",
            caption="captions/model_card.rst",
            category="Detector",
            subcategory="Model card",
            labels={"shows": "The adapter that is handed over"},
        ),
        config="results/detector/adapter_config.json",
        weights="results/detector/adapter_model.safetensors",
        prompt="results/detector/prompt.json",
        calibration="results/detector/calibration.json",
        detector="results/detector/detector.json",
    log:
        "results/logs/hand_over_adapter.log",
    benchmark:
        "results/benchmarks/hand_over_adapter.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        code=code("hand_over_adapter.py"),
        systems=list(map(str, HANDED_OVER)),
        folder=lambda wildcards, output: str(Path(output.card).parent),
        base_folder=models.folder(PRIMARY),
        terms=as_json_of(models.terms(PRIMARY)),
        origins=as_json_of({name: config["sources"][name]["origin"] for name in plan.datasets("factorial")}),
        quantisation=config["models"][PRIMARY]["quantisation"],
        recipes=as_json_of(plan.recipes_of(HANDED_OVER)),
        prompt=as_json("prompt"),
        stimuli=as_json_of(plan.stimulus_settings("factorial")),
        statistics=as_json("statistics"),
    message:
        "Handing over the selected adapter"
    shell:
        "python workflow_scripts/hand_over_adapter.py {params.folder:q}"
        " --template {input.template:q}"
        " --predictions {input.predictions:q}"
        " --adapters {input.adapters:q}"
        " --systems {params.systems:q}"
        " --base {input.identity:q}"
        " --base-folder {params.base_folder:q}"
        " --index {input.index:q}"
        " --split {input.split:q}"
        " --study {input.study:q}"
        " --certificate {input.certificate:q}"
        " --gate {input.gate:q}"
        " --recordings {input.recordings:q}"
        " --fits {input.fits:q}"
        " --calibration {input.calibration:q}"
        " --accuracy {input.accuracy:q}"
        " --comparisons {input.comparisons:q}"
        " --terms {params.terms:q}"
        " --origins {params.origins:q}"
        " --quantisation {params.quantisation}"
        " --recipes {params.recipes:q}"
        " --prompt {params.prompt:q}"
        " --question {input.question:q}"
        " --stimuli {params.stimuli:q}"
        " --statistics {params.statistics:q}"
        " &> {log:q}"


rule tune_segments:
    """Stretch, smoothing, thresholds and shortest durations of the handed-over detector, on recordings of the development part."""
    input:
        recordings=expand("results/recordings/{dataset}.parquet", dataset=plan.datasets("factorial")),
        # read through the tables, with the annotations beside them
        files=[path for dataset in plan.datasets("factorial") for path in recordings.inputs(dataset)],
        split="results/splits/grouped.csv",
        base=model_folder(PRIMARY),
        # its folder is named
        detector=DETECTOR_FILES,
    output:
        segments="results/detector/segments.json",
    log:
        "results/logs/tune_segments.log",
    benchmark:
        "results/benchmarks/tune_segments.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=models.memory_mb(PRIMARY),
        runtime=120,
        gpu=1,
        memory=config["resources"]["memory"],
    params:
        code=code("tune_segments.py", PRIMARY),
        folder=lambda wildcards, output: str(Path(output.segments).parent),
        seconds=config["detection"]["seconds"],
        seed=config["seed"],
    message:
        "Tuning how the detector makes segments"
    shell:
        "python workflow_scripts/tune_segments.py {params.folder:q}"
        " --base {input.base:q}"
        " --recordings {input.recordings:q}"
        " --split {input.split:q}"
        " --seconds {params.seconds}"
        " --memory {resources.memory}"
        " --seed {params.seed}"
        " --threads {threads}"
        " --output {output.segments:q}"
        " &> {log:q}"


rule measure_detection:
    """Detection error rate and frame ROC of the handed-over detector and of every classic one, on recordings of the test part."""
    input:
        recordings=expand("results/recordings/{dataset}.parquet", dataset=plan.datasets("factorial")),
        # read through the tables, with the annotations beside them
        files=[path for dataset in plan.datasets("factorial") for path in recordings.inputs(dataset)],
        split="results/splits/grouped.csv",
        base=model_folder(PRIMARY),
        # its folder is named
        detector=[*DETECTOR_FILES, "results/detector/segments.json"] if HANDED_OVER else [],
    output:
        table=report(
            "results/tables/detection.csv",
            caption="captions/detection.rst",
            category="Detectors",
            subcategory="Tables",
            labels={"shows": "Speech found in test recordings"},
        ),
        roc="results/tables/detection_roc.csv",
    log:
        "results/logs/measure_detection.log",
    benchmark:
        "results/benchmarks/measure_detection.tsv"
    conda:
        "../envs/dev.yaml"
    threads: 1
    resources:
        mem_mb=models.memory_mb(PRIMARY),
        runtime=120,
        gpu=1,
        memory=config["resources"]["memory"],
    params:
        code=code("measure_detection.py", PRIMARY),
        folder=["results/detector"] if HANDED_OVER else [],
        detectors=config["detectors"],
        seconds=config["detection"]["seconds"],
        confidence=config["statistics"]["confidence"],
        seed=config["seed"],
    message:
        "Measuring how well speech is found in recordings"
    shell:
        "python workflow_scripts/measure_detection.py {params.folder:q}"
        " --detectors {params.detectors}"
        " --base {input.base:q}"
        " --recordings {input.recordings:q}"
        " --split {input.split:q}"
        " --seconds {params.seconds}"
        " --confidence {params.confidence}"
        " --memory {resources.memory}"
        " --seed {params.seed}"
        " --threads {threads}"
        " --table {output.table:q}"
        " --roc {output.roc:q}"
        " &> {log:q}"
