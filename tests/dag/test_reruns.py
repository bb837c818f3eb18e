"""Edit this, and exactly these rules run again."""

from collections import Counter

import pytest

PAGE = {"write_report"}
PROVENANCE = {"record_provenance"} | PAGE
AFTER_SECOND_GATE = {"hand_over_adapter"} | PAGE
SECOND_AUDIT = {"audit_tuning", "render_audit", "gate_tuning", "hand_over_adapter"}
FIGURES_OF_SCORES = {"plot_accuracy", "plot_conditions", "plot_leakage"}
PSYCHOACOUSTICS = {"fit_psychometrics", "fit_mixed_model", "plot_psychometrics"}
PHASES = {"measure_phases", "plot_phases"}
PROMPTS_TESTED = {"compare_prompts", "plot_prompts"} | PHASES
PROMPT_SEARCH = {"search_prompts", "predict_prompts"} | PROMPTS_TESTED
TEST_SIZES = {"compare_test_sizes", "plot_test_sizes"}
COSTS = {"measure_efficiency", "plot_efficiency"}
EXPERIMENTS = {"measure_experiment", "plot_experiment"} | COSTS
CALIBRATION = {"calibrate_systems", "plot_reliability"} | SECOND_AUDIT
AFTER_PREDICTIONS = (
    {"measure_accuracy", "compare_systems", "list_errors", "hand_over_adapter"}
    | PHASES
    | CALIBRATION
    | FIGURES_OF_SCORES
    | TEST_SIZES
    | EXPERIMENTS
    | PSYCHOACOUSTICS
    | PROVENANCE
)
OF_HONEST_ADAPTERS = PSYCHOACOUSTICS | TEST_SIZES | (CALIBRATION - {"hand_over_adapter"}) | PHASES | {"ensemble_seeds", "list_errors"}
AFTER_TRAINING = {"predict_adapter", "plot_training", "ensemble_seeds"} | AFTER_PREDICTIONS
AFTER_SPLITS = (
    {"split_row_random", "audit_leakage", "gate_leakage", "train_adapter", "detect_reference", "probe_counterfactuals"}
    | SECOND_AUDIT
    | AFTER_TRAINING
    | PROMPT_SEARCH
)
OF_THE_BASE = {"encode_stimuli", "predict_zeroshot", "check_generation"} | PROMPT_SEARCH
AFTER_STIMULI = {"audit_stimuli", "summarise_stimuli", "split_grouped"} | OF_THE_BASE | AFTER_SPLITS
AFTER_CLIPS = {"make_factorial_stimuli"} | AFTER_STIMULI
BASELINE = (
    {
        "make_baseline_stimuli",
        "audit_stimuli",
        "summarise_stimuli",
        "encode_stimuli",
        "predict_zeroshot",
        "detect_reference",
        "predict_adapter",
    }
    | SECOND_AUDIT
    | PSYCHOACOUSTICS
    | PROVENANCE
)
RECORDED = {"catalogue_recordings", "select_clips"}
EVERYTHING = {"make_embedded_corpus", "make_embedded_baseline", "train_tiny_base"} | RECORDED | AFTER_CLIPS | BASELINE
JOBS_OF_ALL = "all"
TUNING = {"fit_psychometrics", "plot_psychometrics"}
STYLED = (
    {"plot_training", "plot_prompts", "plot_psychometrics", "plot_experiment", "plot_efficiency", "plot_test_sizes", "plot_reliability"}
    | {"plot_phases", "hand_over_adapter"}
    | FIGURES_OF_SCORES
    | PAGE
)
COUNTED = {"measure_accuracy", "hand_over_adapter"} | FIGURES_OF_SCORES | PROVENANCE
SUMMARISED = {"summarise_stimuli"} | PROVENANCE


def rules_of(plan: Counter[str]) -> set[str]:
    return set(plan) - {JOBS_OF_ALL}


def test_a_finished_run_has_nothing_to_do(finished):
    assert rules_of(finished.plan()) == set()


def test_everything_is_covered_by_the_table(checkout):
    assert rules_of(checkout.plan()) == EVERYTHING


def test_touching_every_file_runs_nothing(finished):
    for folder in ("workflow_scripts", "rules", "config", "envs"):
        for path in (finished.folder / folder).rglob("*"):
            path.touch()
    assert rules_of(finished.plan()) == set()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("workflow_scripts/earwitness/report/accuracy_figure.py", {"plot_accuracy"} | PAGE),
        ("workflow_scripts/earwitness/report/reliability_figure.py", {"plot_reliability"} | PAGE),
        ("workflow_scripts/earwitness/evaluation/power.py", {"compare_systems", "plot_leakage", "hand_over_adapter"} | TEST_SIZES | PROVENANCE),
        ("workflow_scripts/earwitness/report/model_card.md.jinja", {"hand_over_adapter"}),
        ("workflow_scripts/plot_training.py", {"plot_training"} | PAGE),
        ("workflow_scripts/earwitness/leakage/report.py", {"render_audit"}),
        ("workflow_scripts/earwitness/leakage/report.html.jinja", {"render_audit"}),
        ("config/pretraining_corpora.csv", SECOND_AUDIT | PROVENANCE),
        ("workflow_scripts/gate_tuning.py", {"gate_tuning"} | AFTER_SECOND_GATE),
        ("workflow_scripts/gate_leakage.py", {"gate_leakage", "train_adapter"} | AFTER_TRAINING),
        ("workflow_scripts/train_adapter.py", {"train_adapter"} | AFTER_TRAINING),
        ("workflow_scripts/check_generation.py", {"check_generation"} | PAGE),
        ("workflow_scripts/earwitness/splits.py", {"split_grouped"} | AFTER_SPLITS),
        ("workflow_scripts/earwitness/stimuli/mixing.py", AFTER_CLIPS | BASELINE | {"train_tiny_base"}),
        ("workflow_scripts/make_baseline_stimuli.py", BASELINE),
        ("workflow_scripts/earwitness/report/report.html.jinja", PAGE),
        ("workflow_scripts/earwitness/evaluation/experiments.py", EXPERIMENTS | PROVENANCE),
        ("workflow_scripts/earwitness/report/test_sizes_figure.py", {"plot_test_sizes"} | PAGE),
        ("results/adapters/attention/grouped/seed-42/costs.json", COSTS | PAGE),
        ("config/published.csv", {"plot_leakage", "plot_psychometrics"} | PAGE),
        ("workflow_scripts/earwitness/report/psychometric_figures.py", {"plot_psychometrics"} | PAGE),
        ("workflow_scripts/earwitness/psychometrics/fitting.py", {"fit_psychometrics", "plot_psychometrics"} | PROVENANCE),
        ("workflow_scripts/earwitness/statistics/mixed_models.py", {"fit_mixed_model"} | PROVENANCE),
        ("workflow_scripts/earwitness/prompt_search/edits.py", PROMPT_SEARCH | SECOND_AUDIT | PROVENANCE),
        ("workflow_scripts/earwitness/prompt_search/gains.py", PROMPTS_TESTED | PROVENANCE),
        ("workflow_scripts/earwitness/report/prompt_figures.py", {"plot_prompts"} | PAGE),
    ],
)
def test_an_edited_file_reruns_what_reads_it(finished, path, expected):
    with (finished.folder / path).open("a", encoding="utf-8") as stream:
        stream.write("\n# a comment\n")
    assert rules_of(finished.plan()) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"report": {"title": "Another"}}, PROVENANCE),
        ({"statistics": {"confidence": 0.9}}, AFTER_PREDICTIONS | PROMPTS_TESTED),
        ({"prompt_search": {"iterations": 2}}, PROMPT_SEARCH | SECOND_AUDIT | PROVENANCE),
        ({"prompt_search": {"opro": {"quantisation": "nf4"}}}, PROVENANCE),
        (
            {"prompt_search": {"use_question_of": "edits"}},
            {"choose_prompt", "predict_zeroshot", "check_generation", "probe_counterfactuals", "train_adapter"} | SECOND_AUDIT | AFTER_TRAINING,
        ),
        ({"prompt_search": {"systems": ["base", "attention-grouped-seed-42"]}}, PROMPT_SEARCH | SECOND_AUDIT | PROVENANCE),
        ({"psychometrics": {"n_bootstrap": 100}}, {"fit_psychometrics", "plot_psychometrics"} | PROVENANCE),
        ({"finetuning": {"recipe": {"rank": 8}}}, {"train_adapter"} | AFTER_TRAINING),
        ({"finetuning": {"recipes": {"attention": {"rank": 8}}}}, {"train_adapter"} | AFTER_TRAINING),
        ({"finetuning": {"recipes": {"rms": {"rank": 8}}}}, PROVENANCE),
        ({"splits": {"folds": 4, "training_sources": [5]}}, PROVENANCE),
        ({"splits": {"extended_test": {"items": [64]}}}, TEST_SIZES | PROVENANCE),
        (
            {"splits": {"row_random": {"stimuli": 100}}},
            {"split_row_random", "audit_leakage", "render_audit", "gate_leakage", "train_adapter"} | (AFTER_TRAINING - OF_HONEST_ADAPTERS),
        ),
        ({"splits": {"test_fraction": 0.3}}, {"split_grouped"} | AFTER_SPLITS),
        ({"stimuli": {"snrs_db": [0, 10]}}, AFTER_CLIPS),
        ({"stimuli": {"floor_dbfs": -75}}, AFTER_CLIPS | BASELINE),
        ({"baseline": {"rooms": ["anechoic"]}}, BASELINE),
        ({"baseline": {"speech_clips": 20}}, BASELINE),
        ({"clips": {"per_source": 1}}, {"select_clips"} | AFTER_CLIPS | BASELINE),
        ({"embedded": {"speakers": 30}}, {"make_embedded_corpus"} | RECORDED | AFTER_CLIPS),
        ({"embedded": {"baseline_speakers": 34}}, {"make_embedded_baseline"} | RECORDED | BASELINE),
        (
            {"model": {"tiny": {"steps": 10}}},
            {"train_tiny_base", "probe_counterfactuals", "train_adapter"} | OF_THE_BASE | SECOND_AUDIT | AFTER_TRAINING,
        ),
        (
            {"prompt": {"question": "Is anyone speaking?"}},
            {"predict_zeroshot", "check_generation", "probe_counterfactuals", "train_adapter"} | PROMPT_SEARCH | SECOND_AUDIT | AFTER_TRAINING,
        ),
        ({"resources": {"batch_size": 7, "memory": "compact", "gpus_per_prediction": 2}}, PROVENANCE),
        ({"detectors": ["silero"]}, SECOND_AUDIT | (AFTER_PREDICTIONS - EXPERIMENTS - TEST_SIZES - {"list_errors"})),
        ({"seed": 1}, EVERYTHING),
    ],
)
def test_a_changed_setting_reruns_what_reads_it(finished, settings, expected):
    assert rules_of(finished.plan("--configfile", finished.overlay(settings))) == expected


def test_another_seed_trains_only_its_own_adapters(finished):
    plan = finished.plan("--configfile", finished.overlay({"finetuning": {"experiments": {"main": {"seeds": [42, 123, 456, 7]}}}}))
    assert (plan["train_adapter"], plan["predict_adapter"]) == (2, 3)
    assert rules_of(plan) == {"train_adapter"} | AFTER_TRAINING


def test_an_experiment_trains_only_what_no_other_has_trained(finished):
    settings = {"recipes": {"small": {"rank": 4}}, "experiments": {"sizes": {"recipes": ["attention", "small"], "seeds": [42, 7]}}}
    plan = finished.plan("--configfile", finished.overlay({"finetuning": settings}))
    assert (plan["train_adapter"], plan["predict_adapter"]) == (3, 3), "small with both seeds, attention with the new one"
    assert rules_of(plan) == {"train_adapter", "predict_adapter"} | EXPERIMENTS | PROVENANCE


def test_settings_that_change_no_job_run_nothing(finished):
    assert rules_of(finished.plan("--config", "seed=20260101")) == set()


def appended(path):
    """Another line at the end of a file."""

    def edit(checkout):
        with (checkout.folder / path).open("a", encoding="utf-8") as stream:
            stream.write("\n# a comment\n")
        return []

    return edit


def replaced(path, before, after):
    """Other text in a file."""

    def edit(checkout):
        file = checkout.folder / path
        text = file.read_text(encoding="utf-8")
        assert before in text
        file.write_text(text.replace(before, after), encoding="utf-8")
        return []

    return edit


def with_settings(settings):
    return lambda checkout: ["--configfile", checkout.overlay(settings)]


ADAPTERS = {"train_adapter"} | AFTER_TRAINING


@pytest.mark.parametrize(
    ("what", "edit", "expected"),
    [
        ("the caption `rules/captions/accuracy.rst`", appended("rules/captions/accuracy.rst"), set()),
        ("the style of every figure, `earwitness/report/style.py`", appended("workflow_scripts/earwitness/report/style.py"), STYLED),
        ("a column of `earwitness.tables.accuracy`", appended("workflow_scripts/earwitness/tables/accuracy.py"), COUNTED),
        ("a column of `earwitness.tables.psychometrics`", appended("workflow_scripts/earwitness/tables/psychometrics.py"), TUNING | PROVENANCE),
        ("a column of `earwitness.tables.stimulus_summary`", appended("workflow_scripts/earwitness/tables/stimulus_summary.py"), SUMMARISED),
        ("the environments' lock, `envs/requirements.lock`", appended("envs/requirements.lock"), PROVENANCE),
        ("the environment `envs/analysis.yaml`, without `--sdm conda`", appended("envs/analysis.yaml"), set()),
        ("a profile, `--workflow-profile`", lambda checkout: ["--workflow-profile", "config/profiles/workstation"], set()),
        ("a rule's message", replaced("rules/stimuli.smk", "Counting the stimuli", "Adding up the stimuli"), set()),
        ("a rule's threads", replaced("rules/splits.smk", "threads: 2", "threads: 1"), set()),
        (
            "a rule's command",
            replaced("rules/report.smk", "python workflow_scripts/plot_training.py ", "python  workflow_scripts/plot_training.py "),
            {"plot_training"} | PAGE,
        ),
        ("two settings of one type swapped: LoRA's rank and alpha", with_settings({"finetuning": {"recipe": {"rank": 32, "alpha": 16}}}), ADAPTERS),
        ("the configuration with another key order", with_settings({"statistics": {}, "prompt": {}, "seed": 20260101}), set()),
    ],
)
def test_any_other_edit_reruns_what_depends_on_it(finished, what, edit, expected):
    assert rules_of(finished.plan(*edit(finished))) == expected, what


def test_a_replaced_recording_is_catalogued_again_with_all_that_follows_and_a_touched_one_is_not(finished_on_own_recordings):
    checkout = finished_on_own_recordings
    recording, config = checkout.folder / "own/speech/audio/a.wav", ["--configfile", str(checkout.folder / "overlay.yaml")]
    recording.touch()
    assert rules_of(checkout.plan(*config)) == set()
    recording.write_text("recorded in autumn")
    plan = checkout.plan(*config)
    assert plan["catalogue_recordings"] == plan["select_clips"] == 1
    assert rules_of(plan) == RECORDED | AFTER_CLIPS
