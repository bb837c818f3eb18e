"""Hand-over: one adapter with everything that a detector needs, and how well it finds speech in whole recordings.

in   adapters of the primary model on the grouped split, their answers on development sources, calibrations, tables of accuracy
out  results/selected/    adapter in peft's layout, prompt.json, calibration.json, detector.json, and segments.json: how it follows recordings,
                          tuned on development recordings
     results/detection/tracks.parquet         earwitness.tables.detection.DETECTION_TRACKS
     results/tables/detection.csv             earwitness.tables.detection.DETECTION
     results/tables/detection_roc.csv         earwitness.tables.detection.DETECTION_ROC
     results/detector/    the same as results/selected/, with the model card README.md, once the second audit has passed
"""

SELECTED_FILES = [
    "adapter_config.json",
    "adapter_model.safetensors",
    "prompt.json",
    "calibration.json",
    "detector.json",
]


# The arms among which the one that is handed over is chosen.
HANDED_OVER = plan.of(PRIMARY, plan.honest_arms)


rule select_adapter:
    """The best recipe's median seed, chosen on development sources of the split that passed its audit; it waits for no search."""
    input:
        predictions=paths.predictions("factorial", HANDED_OVER),
        adapters=paths.adapters(HANDED_OVER, "adapter_config.json"),
        # lie beside their configurations
        weights=paths.adapters(HANDED_OVER, "adapter_model.safetensors"),
        identity=paths.model_identity(PRIMARY),
        question=plan.chosen_question(PRIMARY),
        index="results/stimuli/factorial/index.parquet",
        split="results/splits/grouped.csv",
        study=AUDIO,
        gate="results/audit/grouped/gate.json",
        fits="results/calibration/fits.csv",
    output:
        expand("results/selected/{file}", file=SELECTED_FILES),
    log:
        "results/logs/select_adapter.log",
    benchmark:
        "results/benchmarks/select_adapter.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        code=code("select_adapter.py"),
        systems=list(map(str, HANDED_OVER)),
        folder=lambda wildcards, output: str(Path(output[0]).parent),
        base_folder=models.folder(PRIMARY),
        quantisation=config["models"][PRIMARY]["quantisation"],
        recipes=as_json_of(plan.recipes_of(HANDED_OVER)),
        prompt=as_json("prompt"),
        stimuli=as_json_of(plan.stimulus_settings("factorial")),
    message:
        "Selecting an adapter"
    shell:
        "python workflow_scripts/select_adapter.py {params.folder:q}"
        " --predictions {input.predictions:q}"
        " --adapters {input.adapters:q}"
        " --systems {params.systems:q}"
        " --base {input.identity:q}"
        " --base-folder {params.base_folder:q}"
        " --index {input.index:q}"
        " --split {input.split:q}"
        " --study {input.study:q}"
        " --gate {input.gate:q}"
        " --fits {input.fits:q}"
        " --quantisation {params.quantisation}"
        " --recipes {params.recipes:q}"
        " --prompt {params.prompt:q}"
        " --question {input.question:q}"
        " --stimuli {params.stimuli:q}"
        " &> {log:q}"


rule follow_recordings:
    """The selected detector's stretch, smoothing, thresholds and shortest durations, on recordings of the development part; then what it makes of
    recordings of the test part, by the same load of the model."""
    input:
        recordings=expand("results/recordings/{dataset}.parquet", dataset=plan.datasets("factorial")),
        # read through the tables, with the annotations beside them
        files=[path for dataset in plan.datasets("factorial") for path in recordings.inputs(dataset)],
        split="results/splits/grouped.csv",
        base=model_folder(PRIMARY),
        # its folder is named
        detector=rules.select_adapter.output,
    output:
        segments="results/selected/segments.json",
        tracks="results/detection/tracks.parquet",
    log:
        "results/logs/follow_recordings.log",
    benchmark:
        "results/benchmarks/follow_recordings.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=models.memory_mb(PRIMARY),
        runtime=240,
        gpu=1,
        memory=config["resources"]["memory"],
    params:
        code=code("follow_recordings.py", PRIMARY),
        folder=lambda wildcards, output: str(Path(output.segments).parent),
        seconds=config["detection"]["seconds"],
        seed=config["seed"],
    message:
        "Following recordings with the selected detector"
    shell:
        "python workflow_scripts/follow_recordings.py {params.folder:q}"
        " --base {input.base:q}"
        " --recordings {input.recordings:q}"
        " --split {input.split:q}"
        " --seconds {params.seconds}"
        " --memory {resources.memory}"
        " --seed {params.seed}"
        " --threads {threads}"
        " --segments {output.segments:q}"
        " --tracks {output.tracks:q}"
        " &> {log:q}"


rule measure_detection:
    """Detection error rate and frame ROC of the selected detector and of every classic one, on recordings of the test part."""
    input:
        recordings=expand("results/recordings/{dataset}.parquet", dataset=plan.datasets("factorial")),
        # read through the tables, with the annotations beside them
        files=[path for dataset in plan.datasets("factorial") for path in recordings.inputs(dataset)],
        split="results/splits/grouped.csv",
        # its folder is named
        detector=[*rules.select_adapter.output, rules.follow_recordings.output.segments] if HANDED_OVER else [],
        tracks=rules.follow_recordings.output.tracks if HANDED_OVER else [],
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
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("measure_detection.py"),
        folder=["results/selected"] if HANDED_OVER else [],
        detectors=config["detectors"],
        seconds=config["detection"]["seconds"],
        confidence=config["statistics"]["confidence"],
        seed=config["seed"],
    message:
        "Measuring how well speech is found in recordings"
    shell:
        "python workflow_scripts/measure_detection.py {params.folder:q}"
        " --tracks {input.tracks:q}"
        " --detectors {params.detectors}"
        " --recordings {input.recordings:q}"
        " --split {input.split:q}"
        " --seconds {params.seconds}"
        " --confidence {params.confidence}"
        " --seed {params.seed}"
        " --table {output.table:q}"
        " --roc {output.roc:q}"
        " &> {log:q}"


rule hand_over_adapter:
    """The selected detector with its model card, where the second audit has passed."""
    input:
        template="workflow_scripts/earwitness/report/model_card.md.jinja",
        # its folder is named
        selected=[*rules.select_adapter.output, rules.follow_recordings.output.segments],
        split="results/splits/grouped.csv",
        certificate="results/audit/grouped/certificate.json",
        # nothing is handed over before this gate
        nothing_leaked="results/audit/tuning/gate.json",
        recordings=expand("results/recordings/{dataset}.parquet", dataset=plan.datasets("factorial")),
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
        files=expand("results/detector/{file}", file=[*SELECTED_FILES, "segments.json"]),
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
        selected=lambda wildcards, input: str(Path(input.selected[0]).parent),
        folder=lambda wildcards, output: str(Path(output.card).parent),
        terms=as_json_of(models.terms(PRIMARY)),
        origins=as_json_of({name: config["sources"][name]["origin"] for name in plan.datasets("factorial")}),
        recipes=as_json_of(plan.recipes_of(HANDED_OVER)),
        stimuli=as_json_of(plan.stimulus_settings("factorial")),
        statistics=as_json("statistics"),
    message:
        "Handing over the selected adapter"
    shell:
        "python workflow_scripts/hand_over_adapter.py {params.selected:q} {params.folder:q}"
        " --template {input.template:q}"
        " --split {input.split:q}"
        " --certificate {input.certificate:q}"
        " --recordings {input.recordings:q}"
        " --calibration {input.calibration:q}"
        " --accuracy {input.accuracy:q}"
        " --comparisons {input.comparisons:q}"
        " --terms {params.terms:q}"
        " --origins {params.origins:q}"
        " --recipes {params.recipes:q}"
        " --stimuli {params.stimuli:q}"
        " --statistics {params.statistics:q}"
        " &> {log:q}"
