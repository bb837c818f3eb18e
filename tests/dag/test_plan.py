import importlib.util
import re
import sys

import numpy as np
import pytest
import soundfile
import yaml
from checkout import ROOT, Checkout, jobs_planned
from mounts import in_own_mounts

from earwitness.config import complete_config
from earwitness.plan import paths
from earwitness.plan.study import Plan

FETCHING = {"download_dataset", "fetch_model"}
EMBEDDED = {"make_embedded_corpus", "make_embedded_baseline", "train_tiny_base"}


def test_a_clean_checkout_plans_the_whole_study_without_the_network(default_plan):
    assert {"write_report", "hand_over_adapter", "gate_tuning", *EMBEDDED} <= set(default_plan)
    assert not FETCHING & set(default_plan)


def test_the_published_study_fetches_its_recordings_and_models_and_makes_none(checkout):
    made = checkout.outputs("--configfile", "config/reproduction.yaml")
    assert {path for path, rule in made.items() if rule in FETCHING} == {
        *(f"data/downloads/{dataset}" for dataset in ("voxconverse", "esc50", "fsd50k")),
        *(f"data/models/hub/{model}" for model in ("base", "proposer")),
    }
    assert not EMBEDDED & set(made.values())


@pytest.mark.slow
def test_the_demo_has_every_step_of_the_default_study_but_draws_of_the_published_design(checkout, default_plan):
    draws = {"split_redrawn", "measure_draws", "plot_draws"}
    assert set(checkout.plan("--configfile", "config/demo.yaml")) == set(default_plan) - draws


@pytest.mark.parametrize("overlay", ["middle", pytest.param("middle_small", marks=pytest.mark.slow)])
def test_the_middle_size_joins_packaged_halves_and_trains_or_fetches_no_base(checkout, overlay):
    made = checkout.outputs("--configfile", f"config/{overlay}.yaml")
    assert made["data/models/assembled/base"] == "assemble_base"
    assert not {"train_tiny_base", "train_projector", *FETCHING} & set(made.values())


@pytest.mark.slow
def test_two_families_are_trained_each_by_a_job_and_share_what_is_no_models(checkout):
    made = checkout.outputs("--configfile", "config/two_families.yaml")
    trained = {path for path, rule in made.items() if rule == "train_tiny_base"}
    assert {"data/models/tiny/base", "data/models/tiny/flamingo"} <= trained
    shared = {path for path, rule in made.items() if rule == "probe_acoustics" and path.endswith(".parquet")}
    assert shared == {f"results/predictions/{stimuli}/encoder_probes/acoustics_probe.parquet" for stimuli in ("factorial", "baseline")}


@pytest.mark.slow
def test_halves_from_the_hub_are_fetched_and_a_projector_is_trained_between_them(checkout):
    hub = {"origin": "hub", "repository": "owner/name", "revision": "0" * 40}
    model = {"origin": "assembled", "encoder": hub, "language_model": hub, "projector": {"origin": "trained"}}
    made = checkout.outputs("--configfile", checkout.overlay({"models": {"base": model}}), "--", "data/models/assembled/base")
    assert {path for path, rule in made.items() if rule == "fetch_model"} == {"data/models/hub/base-encoder", "data/models/hub/base-language_model"}
    assert made["data/models/base.projector.safetensors"] == "train_projector"


@pytest.mark.slow
def test_recordings_that_a_projector_learns_from_are_catalogued_for_it_and_are_in_no_set_of_stimuli(checkout):
    folder = checkout.folder / "learned" / "speech" / "ana"
    folder.mkdir(parents=True)
    soundfile.write(folder / "one.wav", np.full(16_000, 0.1), 16_000)
    mine = {"origin": "folder", "path": "learned", "pattern": "{label}/{source}/*.wav", "labels": {"speech": "SPEECH"}, "role": "projector"}
    overlay = {"models": {"base": {"origin": "assembled", "projector": {"origin": "trained"}}}, "sources": {"mine": mine}}
    given = ("--configfile", checkout.overlay(overlay))
    made = checkout.outputs(*given, "--", "data/models/base.projector.safetensors")
    assert {made[f"results/recordings/mine{end}.parquet"] for end in ("", "_segments")} == {"catalogue_recordings"}
    assert "results/recordings/esc50.parquet" in made  # to see that no source of the study is among them
    assert "results/clips/mine.parquet" not in checkout.outputs(*given, "stimuli")


def test_a_half_that_is_not_pinned_is_refused(checkout):
    model = {"origin": "assembled", "encoder": {"origin": "hub", "repository": "openai/whisper-small"}}
    result = checkout.snakemake_without_jobs("-n", "--configfile", checkout.overlay({"models": {"base": model}}))
    assert result.returncode
    assert "models.base.encoder.revision is not set" in result.stderr


@pytest.mark.parametrize("target", ["stimuli", "audits"])
def test_stimuli_and_audits_need_no_model(checkout, target):
    made = checkout.outputs(target)
    assert not {"train_tiny_base", "encode_stimuli", "train_adapter", "write_report"} & set(made.values())
    assert {"stimuli": "results/stimuli/baseline/index.parquet", "audits": "results/audit/row_random/report.md"}[target] in made


@pytest.mark.parametrize(
    "target", ["ablations", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cross_validation", "learning_curve", "redrawn_often"))]
)
def test_an_experiment_that_is_disabled_can_be_asked_for_by_name_with_no_more_than_it_needs(checkout, target):
    made = checkout.outputs(target)
    experiment = Plan(complete_config(yaml.safe_load((ROOT / "config/config.yaml").read_text()))).experiment(target)
    assert not experiment.enabled
    trained = [path for path, rule in made.items() if rule == "train_adapter" and path.endswith("adapter_model.safetensors")]
    assert sorted(trained) == sorted(paths.adapters(experiment.adapters, "adapter_model.safetensors"))
    assert f"results/figures/experiments/{target}.svg" in made
    assert (f"results/figures/draws/{target}.svg" in made) == target.startswith("redrawn")
    assert not {"write_report", "predict_prompts", "fit_psychometrics"} & set(made.values())


@pytest.mark.parametrize("target", [pytest.param("adapters", marks=pytest.mark.slow), "detector"])
def test_adapters_and_the_detector_are_had_without_a_report(checkout, target):
    plan = checkout.plan(target)
    assert plan["train_adapter"] > 0
    assert (plan["hand_over_adapter"] > 0) == (target == "detector")
    assert "write_report" not in plan


def test_an_experiment_that_is_not_there_is_named(checkout):
    result = checkout.snakemake_without_jobs("--cores", "1", "-n", "results/tables/experiments/nothing.csv")
    assert result.returncode != 0
    assert "no experiment nothing; finetuning.experiments has main, ablations, cross_validation, learning_curve" in result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["workstation", "slurm"])
def test_the_profiles_plan_without_a_gpu_or_a_cluster(checkout, profile):
    if profile == "slurm" and importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("snakemake-executor-plugin-slurm is not installed")
    assert checkout.plan("--workflow-profile", f"config/profiles/{profile}")["write_report"] == 1


@pytest.mark.skipif(importlib.util.find_spec("snakemake_executor_plugin_slurm") is None, reason="no snakemake-executor-plugin-slurm")
@pytest.mark.parametrize("config", ["config", pytest.param("reproduction", marks=pytest.mark.slow)])
def test_a_cluster_gets_as_many_jobs_as_the_page_of_profiles_says(checkout, config):
    printed = checkout.dry_run("--workflow-profile", "config/profiles/slurm", "--configfile", f"config/{config}.yaml")
    rules = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "rules").glob("*.smk"))
    local = {name for name, body in re.findall(r"^rule (\w+):\n((?:    .*\n|\n)*)", rules, re.MULTILINE) if "    localrule: True" in body}
    sent = sum(count for rule, count in jobs_planned(printed).items() if rule not in local | {"all"})
    members, groups = (re.findall(line, printed, re.MULTILINE) for line in (r"^    Job \d+:", r"^\[.*\] Group job"))
    page = " ".join((ROOT / "config/profiles/README.md").read_text(encoding="utf-8").split())
    default, published = (r"the default study is (\d+) Slurm jobs instead of (\d+)", r"the published study (\d+) instead of (\d+)")
    told = re.search(default if config == "config" else published, page)
    assert told, "the page tells how many jobs there are"
    assert (sent - len(members) + len(groups), sent) == (int(told[1]), int(told[2]))


def own_recordings(checkout):
    speech, sounds = checkout.folder / "my speech", checkout.folder / "sounds"
    for name in ("my speech/audio/a.wav", "my speech/a.rttm", "sounds/audio/1-1-A-0.wav", "sounds/meta/esc50.csv"):
        path = checkout.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return {"sources": {"voxconverse": {"origin": "path", "path": str(speech)}, "esc50": {"origin": "path", "path": str(sounds)}}}


def test_own_recordings_replace_the_embedded_study_but_not_the_corpus_of_the_tiny_base(checkout):
    plan = checkout.plan("--configfile", checkout.overlay(own_recordings(checkout)))
    assert set(plan) >= EMBEDDED
    assert plan["make_embedded_corpus"] == 1, "the study's own is not made"


def test_a_manifest_replaces_the_embedded_study_and_its_faults_end_the_plan_by_line(checkout):
    (checkout.folder / "own").mkdir()
    table = checkout.folder / "own/mine.csv"
    table.write_text("path,label,source\na.wav,SPEECH,ana\nb.wav,NONSPEECH,street\n")
    settings = checkout.overlay({"sources": {"mine": {"origin": "manifest", "path": "own/mine.csv"}}})
    plan = checkout.plan("results/splits/grouped.csv", "--configfile", settings)
    assert plan["catalogue_recordings"] == 1
    assert "make_embedded_corpus" not in plan
    table.write_text("path,label,source\na.wav,SPEECH,ana\nb.wav,sound,street\n")
    done = checkout.snakemake_without_jobs("-n", "results/splits/grouped.csv", "--configfile", settings)
    assert "error: own/mine.csv:3: unknown label 'sound'" in done.stderr and "Traceback" not in done.stderr


def test_what_yaml_would_change_in_a_configuration_ends_the_plan_by_line(checkout):
    path = checkout.folder / "mine.yaml"
    path.write_text("stimuli:\n  snrs_db: [0, 20]\nseed: 7\nstimuli:\n  durations_ms: [200, 1000]\n")
    done = checkout.snakemake_without_jobs("-n", "--configfile", "mine.yaml")
    assert done.returncode != 0
    assert "mine.yaml:4: stimuli is given twice, first in line 1" in done.stderr and "Traceback" not in done.stderr


def test_numbers_in_a_section_are_given_on_the_command_line_as_in_a_file(checkout):
    settings = ("{durations_ms: [200, 1000], snrs_db: [0]}", "{window_ms: long}")
    assert checkout.dry_run("stimuli", "--config", f"stimuli={settings[0]}", "baseline={durations_ms: [20]}")
    done = checkout.snakemake_without_jobs("-n", "--config", f"stimuli={settings[1]}")
    assert done.returncode != 0 and 'error: --config: stimuli.window_ms = "long": must be of type integer' in done.stderr


def test_a_rule_or_resource_that_is_not_there_is_told_and_one_that_is_is_not(checkout):
    known = ("--set-threads", "train_adapter=2", "select_clips=1", "--set-resources", "predict_adapter:mem_mb=9", "--resources", "gpu=1", "mem_mb=99")
    assert "note: " not in checkout.snakemake_without_jobs("-n", "stimuli", *known).stderr
    done = checkout.snakemake_without_jobs("-n", "stimuli", "--set-threads", "train=2", "--set-resources", "x:mem_mb=9", "--resources", "gpus=1")
    assert done.returncode == 0
    assert [line.partition(": there")[0] for line in done.stderr.splitlines() if line.startswith("note: ")] == [
        "note: --set-resources x",
        "note: --set-threads train",
        "note: --resources gpus",
    ]


def test_a_default_that_cannot_be_read_ends_the_plan_by_line(checkout):
    (checkout.folder / "config/config.yaml").write_bytes(b"seed: 1\n# caf\xe9\n")
    done = checkout.snakemake_without_jobs("-n")
    assert done.returncode != 0 and "error: config/config.yaml:2: not UTF-8 text (byte 0xe9)" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--directory", "--snakefile"])
def test_a_run_from_elsewhere_is_told_where_to_run(checkout, tmp_path, option):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if option == "--directory":
        done = checkout.snakemake_without_jobs("-n", option, str(elsewhere))
    else:
        done = Checkout(elsewhere).snakemake_without_jobs("-n", option, str(checkout.folder / "Snakefile"))
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert f"error: {elsewhere}: Earwitness runs in its own folder" in done.stderr and f"run `cd {checkout.folder}` first" in done.stderr


@pytest.mark.slow
def test_three_hundred_recordings_under_twenty_conditions_are_as_many_jobs_as_two(checkout):
    settings = own_recordings(checkout) | {"stimuli": {"durations_ms": [200, 400, 600, 800], "snrs_db": [0, 5, 10, 15, 20]}}
    few = checkout.plan("--configfile", checkout.overlay(settings))
    for number in range(150):
        for name in (f"my speech/audio/{number}.wav", f"my speech/{number}.rttm", f"sounds/audio/1-{number}-A-0.wav"):
            (checkout.folder / name).touch()
    assert checkout.plan("--configfile", checkout.overlay(settings)) == few


PROMPT_RULES = {"search_prompts", "choose_prompt", "predict_prompts", "compare_prompts", "plot_prompts"}


@pytest.mark.slow
def test_the_prompt_search_can_be_left_out(checkout):
    plan = checkout.plan("--configfile", checkout.overlay({"prompt_search": {"proposers": []}}))
    assert not PROMPT_RULES & set(plan)
    assert plan["gate_tuning"] == plan["write_report"] == 1


@pytest.mark.slow
def test_the_searched_question_is_chosen_where_something_asks_it(checkout, default_plan):
    assert "choose_prompt" not in default_plan
    settings = {"prompt_search": {"use_question_of": "edits", "systems": ["base", "attention-grouped-seed-42"]}}
    assert checkout.plan("--configfile", checkout.overlay(settings))["choose_prompt"] == 1


@pytest.mark.slow
def test_a_proposing_model_on_disk_is_not_fetched(checkout):
    (checkout.folder / "writer").mkdir()
    (checkout.folder / "writer/model.safetensors").touch()
    settings = {"prompt_search": {"proposers": ["opro"], "opro": {"origin": "path", "path": "writer"}}}
    plan = checkout.plan("--configfile", checkout.overlay(settings))
    assert plan["search_prompts"] > 0
    assert "fetch_model" not in plan


BASELINE_RULES = {"make_embedded_baseline", "make_baseline_stimuli"}


@pytest.mark.slow
def test_the_baseline_can_be_left_out_with_its_data_set(checkout):
    plan = checkout.plan("--configfile", checkout.overlay({"baseline": {"noise": "babble"}, "sources": {"fsd50k": {"origin": "none"}}}))
    assert not BASELINE_RULES & set(plan)
    assert plan["write_report"] == 1


@pytest.mark.slow
def test_the_baseline_can_be_drawn_from_the_recordings_of_the_study(checkout):
    roles = {"voxconverse": {"role": "both"}, "esc50": {"role": "both"}, "fsd50k": {"origin": "none"}}
    plan = checkout.plan("--configfile", checkout.overlay({"sources": roles}))
    assert plan["make_baseline_stimuli"] > 0
    assert "make_embedded_baseline" not in plan


@pytest.mark.slow
@pytest.mark.parametrize("temporary", [False, True])
def test_encoded_stimuli_are_removed_only_on_request(checkout, temporary):
    features = checkout.folder / "results/features/base/factorial/shard-000.parquet"
    features.parent.mkdir(parents=True)
    features.touch()
    settings = checkout.overlay({"resources": {"temporary_features": temporary}})
    done = checkout.snakemake_without_jobs("--delete-temp-output", "--configfile", settings, "--cores", "1")
    assert done.returncode == 0, done.stderr
    assert features.exists() != temporary


def noises(folder):
    return {"origin": "folder", "path": folder, "role": "noise"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sed": 3}, "error: /OVERLAY: unknown key sed = 3; hint: did you mean seed?"),
        pytest.param({"clips": {"per_source": "2"}}, 'error: /OVERLAY: clips.per_source = "2": must be of type integer', marks=pytest.mark.slow),
        pytest.param(
            {"baseline": {"noise": "babble"}},
            "error: config: sources: no data set has the role noise, but baseline.noise is babble",
            marks=pytest.mark.slow,
        ),
        ({"stimuli": {"noise": "recorded"}, "sources": {"n": noises("nowhere")}}, "error: role noise: no folder or table nowhere"),
        pytest.param(
            {"stimuli": {"noise": "recorded"}, "sources": {"n": noises("config")}}, "error: role noise: config holds no *.wav", marks=pytest.mark.slow
        ),
        ({"sources": {"esc50": {"origin": "path", "path": "no\x1bwhere"}}}, r"error: sources.esc50: no folder no\x1bwhere; set sources.esc50.path"),
        pytest.param(
            {"sources": {"esc50": {"origin": "path", "path": "config"}}}, "error: sources.esc50: config holds no audio/*.wav", marks=pytest.mark.slow
        ),
    ],
)
def test_a_wrong_configuration_ends_in_one_line_before_any_job(checkout, settings, message):
    overlay = checkout.overlay(settings)
    result = checkout.snakemake_without_jobs("--cores", "1", "--configfile", overlay)
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.returncode != 0
    assert len(errors) == 1, result.stderr
    assert errors[0].startswith(message.replace("/OVERLAY", overlay))
    assert "Traceback" not in result.stderr
    assert [path.name for path in (checkout.folder / "results").iterdir()] == ["README.md"]


@pytest.mark.parametrize("folder", [pytest.param(".", marks=pytest.mark.slow), "results"])
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
