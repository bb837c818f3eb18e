import importlib.util
import re
import sys

import pytest
from checkout import ROOT, jobs_planned
from mounts import in_own_mounts

SEEDS, PUBLISHED_SEEDS = 3, 5


def test_a_clean_checkout_plans_the_whole_study(checkout):
    plan = checkout.plan()
    assert plan["train_adapter"] == 2 * SEEDS
    assert plan["predict_adapter"] == 3 * SEEDS, "the honest arm answers the baseline set too"
    assert plan["make_embedded_corpus"] == 2
    assert plan["make_embedded_baseline"] == 1
    assert plan["audit_stimuli"] == 2, "the factorial set and the baseline"
    assert plan["gate_leakage"] == plan["audit_leakage"] == 2
    assert plan["measure_experiment"] == plan["plot_efficiency"] == plan["compare_test_sizes"] == 1
    assert plan["gate_tuning"] == 1
    assert plan["ensemble_seeds"] == plan["calibrate_systems"] == plan["hand_over_adapter"] == 1
    assert plan["detect_reference"] == 2 * 3
    assert plan["predict_zeroshot"] == 2
    assert plan["search_prompts"] == 2 * 3, "the control runs beside the one proposer"
    assert plan["predict_prompts"] == plan["compare_prompts"] == plan["plot_prompts"] == 1
    assert plan["train_tiny_base"] == plan["write_report"] == 1
    assert "download_dataset" not in plan
    assert "fetch_model" not in plan


def test_the_published_study_plans_at_full_size(checkout):
    plan = checkout.plan("--configfile", "config/reproduction.yaml")
    ablations, folds, smaller_sets = 8 * PUBLISHED_SEEDS, 5, 6 * 3
    assert plan["train_adapter"] == 4 * PUBLISHED_SEEDS + ablations + folds + smaller_sets
    assert plan["predict_adapter"] == 6 * PUBLISHED_SEEDS + ablations + folds + smaller_sets
    assert plan["gate_leakage"] == plan["audit_leakage"] == 2 + 5 + 6
    assert plan["measure_experiment"] == 4
    assert plan["download_dataset"] == 3
    assert plan["make_factorial_stimuli"] == plan["make_baseline_stimuli"] == 16
    assert plan["fetch_model"] == 2, "the base and the language model that proposes questions"
    assert plan["search_prompts"] == 3 * 3
    assert "train_tiny_base" not in plan
    assert "make_embedded_corpus" not in plan
    assert "make_embedded_baseline" not in plan


@pytest.mark.parametrize(
    ("target", "last", "adapters"),
    [
        ("stimuli", "audit_stimuli", 0),
        ("audits", "render_audit", 0),
        ("adapters", "train_adapter", 2 * SEEDS),
        ("detector", "hand_over_adapter", 2 * SEEDS),
        ("ablations", "plot_efficiency", 10 * SEEDS),
        ("cross_validation", "plot_experiment", 1 + 5),
        ("learning_curve", "plot_experiment", (4 + 1) * SEEDS),
    ],
)
def test_a_named_target_plans_no_more_than_it_needs(checkout, target, last, adapters):
    plan = checkout.plan(target)
    assert last in plan
    assert plan["train_adapter"] == adapters
    assert "write_report" not in plan


def test_an_experiment_that_is_not_there_is_named(checkout):
    result = checkout.snakemake("--cores", "1", "-n", "results/tables/experiments/nothing.csv")
    assert result.returncode != 0
    assert "no experiment nothing; finetuning.experiments has main, ablations, cross_validation, learning_curve" in result.stdout + result.stderr


@pytest.mark.parametrize("profile", ["workstation", "slurm"])
def test_the_profiles_plan_without_a_gpu_or_a_cluster(checkout, profile):
    if profile == "slurm" and importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("snakemake-executor-plugin-slurm is not installed")
    assert checkout.plan("--workflow-profile", f"config/profiles/{profile}")["train_adapter"] == 2 * SEEDS


@pytest.mark.skipif(importlib.util.find_spec("snakemake_executor_plugin_slurm") is None, reason="no snakemake-executor-plugin-slurm")
@pytest.mark.parametrize(("config", "alone", "grouped"), [("config", 53, 29), ("reproduction", 280, 135)])
def test_a_cluster_gets_tens_of_jobs(checkout, config, alone, grouped):
    """These numbers are in config/profiles/README.md."""
    printed = checkout.dry_run("--workflow-profile", "config/profiles/slurm", "--configfile", f"config/{config}.yaml")
    rules = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "rules").glob("*.smk"))
    local = {name for name, body in re.findall(r"^rule (\w+):\n((?:    .*\n|\n)*)", rules, re.MULTILINE) if "    localrule: True" in body}
    sent = sum(count for rule, count in jobs_planned(printed).items() if rule not in local | {"all"})
    members, groups = (re.findall(line, printed, re.MULTILINE) for line in (r"^    Job \d+:", r"^\[.*\] Group job"))
    assert sent == alone
    assert sent - len(members) + len(groups) == grouped


def own_recordings(checkout):
    speech, sounds = checkout.folder / "my speech", checkout.folder / "sounds"
    for name in ("my speech/audio/a.wav", "my speech/a.rttm", "sounds/audio/1-1-A-0.wav", "sounds/meta/esc50.csv"):
        path = checkout.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return {"sources": {"voxconverse": {"origin": "path", "path": str(speech)}, "esc50": {"origin": "path", "path": str(sounds)}}}


def test_own_recordings_replace_the_embedded_study_but_not_the_corpus_of_the_tiny_base(checkout):
    plan = checkout.plan("--configfile", checkout.overlay(own_recordings(checkout)))
    assert plan["catalogue_recordings"] == 3
    assert plan["make_embedded_corpus"] == plan["train_tiny_base"] == 1


def test_two_thousand_recordings_under_twenty_conditions_are_as_many_jobs_as_two(checkout):
    settings = own_recordings(checkout) | {"stimuli": {"durations_ms": [200, 400, 600, 800], "snrs_db": [0, 5, 10, 15, 20]}}
    few = checkout.plan("--configfile", checkout.overlay(settings))
    for number in range(1000):
        for name in (f"my speech/audio/{number}.wav", f"my speech/{number}.rttm", f"sounds/audio/1-{number}-A-0.wav"):
            (checkout.folder / name).touch()
    assert checkout.plan("--configfile", checkout.overlay(settings)) == few


PROMPT_RULES = {"search_prompts", "choose_prompt", "predict_prompts", "compare_prompts", "plot_prompts"}


def test_the_prompt_search_can_be_left_out(checkout):
    plan = checkout.plan("--configfile", checkout.overlay({"prompt_search": {"proposers": []}}))
    assert not PROMPT_RULES & set(plan)
    assert plan["gate_tuning"] == plan["write_report"] == 1


def test_a_search_over_an_adapter_is_one_entry_and_a_search_over_adapters_alone_is_another(checkout):
    both = checkout.plan("--configfile", checkout.overlay({"prompt_search": {"systems": ["base", "attention-grouped-seed-42"]}}))
    assert (both["search_prompts"], both["predict_prompts"], both["compare_prompts"]) == (2 * 2 * 3, 2, 1)
    alone = checkout.plan("--configfile", checkout.overlay({"prompt_search": {"systems": ["attention-grouped-seed-42"]}}))
    assert (alone["search_prompts"], alone["predict_prompts"]) == (2 * 3, 1)


def test_the_searched_question_is_chosen_where_something_asks_it(checkout):
    assert "choose_prompt" not in checkout.plan()
    settings = {"prompt_search": {"use_question_of": "edits", "systems": ["base", "attention-grouped-seed-42"]}}
    plan = checkout.plan("--configfile", checkout.overlay(settings))
    assert plan["choose_prompt"] == 1
    assert plan["search_prompts"] == 2 * 2 * 3


def test_a_proposing_model_on_disk_is_not_fetched(checkout):
    (checkout.folder / "writer").mkdir()
    settings = {"prompt_search": {"proposers": ["opro"], "opro": {"origin": "path", "path": "writer"}}}
    plan = checkout.plan("--configfile", checkout.overlay(settings))
    assert plan["search_prompts"] == 2 * 3
    assert "fetch_model" not in plan


BASELINE_RULES = {"make_embedded_baseline", "make_baseline_stimuli"}


def test_the_baseline_can_be_left_out_with_its_data_set(checkout):
    plan = checkout.plan(
        "--configfile", checkout.overlay({"baseline": {"datasets": [], "noise": "babble"}, "sources": {"fsd50k": {"origin": "none"}}})
    )
    assert not BASELINE_RULES & set(plan)
    assert plan["catalogue_recordings"] == plan["select_clips"] == 2


def test_the_baseline_can_be_drawn_from_the_recordings_of_the_study(checkout):
    plan = checkout.plan("--configfile", checkout.overlay({"baseline": {"datasets": ["voxconverse", "esc50"]}}))
    assert plan["make_baseline_stimuli"] == 2
    assert plan["catalogue_recordings"] == 2
    assert "make_embedded_baseline" not in plan


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sed": 3}, "error: config: unknown key sed = 3; hint: did you mean seed?"),
        ({"clips": {"per_source": "2"}}, 'error: config: clips.per_source = "2": must be of type integer'),
        ({"baseline": {"noise": "babble"}}, "error: config: stimuli.noise_recordings is not set: baseline.noise is babble"),
        ({"stimuli": {"noise": "recorded", "noise_recordings": "nowhere"}}, "error: stimuli.noise_recordings: no folder nowhere"),
        ({"stimuli": {"noise": "recorded", "noise_recordings": "config"}}, "error: stimuli.noise_recordings: config holds no *.wav"),
        ({"sources": {"esc50": {"origin": "path", "path": "nowhere"}}}, "error: sources.esc50: no folder nowhere; set sources.esc50.path"),
        ({"sources": {"esc50": {"origin": "path", "path": "config"}}}, "error: sources.esc50: config holds no audio/*.wav"),
    ],
)
def test_a_wrong_configuration_ends_in_one_line_before_any_job(checkout, settings, message):
    result = checkout.snakemake("--cores", "1", "--configfile", checkout.overlay(settings))
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.returncode != 0
    assert len(errors) == 1, result.stderr
    assert errors[0].startswith(message)
    assert "Traceback" not in result.stderr
    assert [path.name for path in (checkout.folder / "results").iterdir()] == ["README.md"]


@pytest.mark.parametrize("folder", [".", "results"])
def test_a_checkout_that_cannot_be_written_to_is_one_line(checkout, folder):
    (checkout.folder / "results").mkdir(exist_ok=True)
    path = (checkout.folder / folder).resolve()
    done = in_own_mounts(
        [
            f"mount --bind {path} {path}",
            f"mount -o remount,ro,bind {path}",
            f"cd {path} && cd {checkout.folder}",
            f"{sys.executable} -m snakemake --cores 1 stimuli || echo code $?",
        ]
    )
    assert done.stdout.split() == ["code", "1"]
    line = f"error: {path}: cannot be written to; work in a folder that can be, or change its permissions"
    assert done.stderr.splitlines().count(line) == 1
    assert "Traceback" not in done.stderr
