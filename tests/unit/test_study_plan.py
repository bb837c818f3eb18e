"""What small configurations ask for; every expectation is worked out by hand."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from snakemake.utils import update_config

from earwitness.config import complete_config
from earwitness.core.errors import InputError
from earwitness.plan import paths
from earwitness.plan.models import Models
from earwitness.plan.named_rules import unknown_names
from earwitness.plan.recordings import Recordings
from earwitness.plan.study import Plan, adapters_of, expected_verdict
from earwitness.plan.values import Search
from earwitness.systems import BASE, PROBES, System, asked_splits

ROOT = Path(__file__).parents[2]
SEEDS = (42, 123, 456)


def plan_of(**sections):
    return Plan(complete_config(sections))


def experiments(**named):
    """Sections of a configuration with these experiments, main among them."""
    return {"finetuning": {"experiments": {"main": {}} | named}}


def texts(systems):
    return [str(system) for system in systems]


def test_the_default_trains_one_recipe_honestly_and_leakily_with_three_seeds_and_on_the_published_design_drawn_five_times():
    plan = plan_of()
    arms = [f"attention-{split}-seed-{seed}" for split in ("grouped", "row_random") for seed in SEEDS]
    draws = [f"{kind}_{draw}" for draw in range(5) for kind in ("by_row", "by_source")]
    assert sorted(texts(plan.adapters)) == sorted([*arms, *(f"attention-{split}-seed-42" for split in draws)])
    assert texts(plan.arms) == arms
    assert texts(plan.honest_arms) == [f"attention-grouped-seed-{seed}" for seed in SEEDS]
    assert plan.splits == ["grouped", "row_random"]
    assert sorted(plan.audited_splits) == sorted([*plan.splits, *draws])


def test_the_leaky_arm_answers_the_factorial_set_alone():
    plan = plan_of(detectors=["energy"])
    honest = [f"attention-grouped-seed-{seed}" for seed in SEEDS]
    leaky = [f"attention-row_random-seed-{seed}" for seed in SEEDS]
    assert texts(plan.predictions("factorial")) == ["base", *PROBES, "energy", *honest, *leaky]
    assert texts(plan.predictions("baseline")) == ["base", *PROBES, "energy", *honest]


def test_votes_are_compared_but_not_calibrated_and_the_leaky_arm_is_no_honest_system():
    plan = plan_of(detectors=[], finetuning={"experiments": {"main": {"splits": ["grouped", "row_random"], "seeds": [1, 2]}}})
    arms = ["attention-grouped-seed-1", "attention-grouped-seed-2", "attention-row_random-seed-1", "attention-row_random-seed-2"]
    ensembles = ["attention-grouped+vote", "attention-grouped+mean"]
    assert texts(plan.compared) == ["base", *PROBES, *arms, *ensembles]
    assert texts(plan.honest_systems) == ["base", *arms[:2], *ensembles]
    assert texts(plan.calibrated_systems) == ["base", *arms[:2], "attention-grouped+mean"]


def together(jobs):
    return [(job.stimulus_set, [str(adapter).removeprefix("attention-") for adapter in job.adapters]) for job in jobs]


def test_adapters_that_every_experiment_needs_all_or_none_of_share_a_load():
    """Seed 1 of the grouped split is also a disabled experiment's, and must not be trained with others when that one alone is asked for."""
    both = {"splits": ["grouped", "row_random"], "seeds": [1, 2, 3]}
    named = experiments(main=both, folds={"enabled": False, "splits": ["grouped", "folds"], "seeds": [1]})
    plan = plan_of(**named, splits={"folds": 3}, resources={"adapters_per_job": 4})
    trained = [
        ("factorial", ["grouped-seed-1"]),
        ("factorial", ["row_random-seed-1", "grouped-seed-2", "row_random-seed-2", "grouped-seed-3"]),
        ("factorial", ["row_random-seed-3"]),
        ("factorial", ["fold_0-seed-1", "fold_1-seed-1", "fold_2-seed-1"]),
    ]
    assert together(plan.trained_together) == trained
    assert together(plan.asked_together) == [("baseline", ["grouped-seed-1", "grouped-seed-2", "grouped-seed-3"]), *trained]
    assert [job.first for job in plan.asked_together] == [
        "attention_grouped_seed_1",
        "attention_grouped_seed_1",
        "attention_row_random_seed_1",
        "attention_row_random_seed_3",
        "attention_fold_0_seed_1",
    ]
    assert (plan.trained_together[2].trained_splits, plan.trained_together[2].asked_splits) == (["row_random"], ["grouped", "row_random"])


def test_an_adapter_that_only_questions_are_searched_for_is_trained_too():
    plan = plan_of(**experiments(main={"seeds": [1]}), prompt_search={"systems": ["base", "rms-grouped-seed-9"], "proposers": ["edits"]})
    assert [[str(adapter) for adapter in job.adapters] for job in plan.trained_together] == [["attention-grouped-seed-1"], ["rms-grouped-seed-9"]]


def test_the_name_of_a_job_stays_when_a_seed_comes_or_its_size_changes_and_has_that_of_its_model():
    def names(seeds, **resources):
        models = {"base": {}, "voxtral": {"origin": "path", "path": "own/voxtral"}}
        return [
            job.first
            for job in plan_of(**experiments(main={"seeds": seeds}), resources=resources, models=models, primary_model="base").trained_together
        ]

    two_seeds = ["attention_grouped_seed_1", "voxtral__attention_grouped_seed_1"]
    assert names([1, 2]) == two_seeds
    assert names([1, 2, 3], adapters_per_job=9) == two_seeds
    assert names([1, 2, 3], adapters_per_job=2) == [
        "attention_grouped_seed_1",
        "attention_grouped_seed_3",
        "voxtral__attention_grouped_seed_1",
        "voxtral__attention_grouped_seed_3",
    ]


def test_what_is_given_for_a_program_is_given_for_each_of_its_rules_that_is_not_named_itself():
    plan = plan_of(
        **experiments(main={"splits": ["grouped"], "seeds": [1]}), prompt_search={"systems": ["base"], "proposers": ["edits"], "seeds": [2]}
    )
    given = {"train_adapter": "a", "predict_adapter": "b", "predict_adapter__baseline_attention_grouped_seed_1": "c", "search_prompts": "d"}
    assert plan.for_each_rule(given) == given | {
        "train_adapter__attention_grouped_seed_1": "a",
        "predict_adapter__factorial_attention_grouped_seed_1": "b",
        "search_prompts__base_edits_seed_2": "d",
        "search_prompts__base_paraphrases_seed_2": "d",
    }
    assert plan.for_each_rule({"plot_accuracy": "e"}) == {"plot_accuracy": "e"}


def test_each_name_that_nothing_has_is_told_with_the_nearest():
    given = {"--set-threads": {"train_adaptor": 2, "select_clips": 1}, "--set-resources": ["x"]}
    assert unknown_names(given, ["select_clips", "train_adapter"], "rule") == [
        "note: --set-threads train_adaptor: there is no such rule here, and nothing changes by it; did you mean train_adapter?",
        "note: --set-resources x: there is no such rule here, and nothing changes by it",
    ]


def test_seeds_of_one_proposer_for_one_system_are_searched_by_one_load():
    searched = {"systems": ["base", "attention-grouped-seed-1"], "proposers": ["edits"], "seeds": [1, 2, 3]}
    plan = plan_of(**experiments(main={"seeds": [1]}), prompt_search=searched, resources={"adapters_per_job": 2})
    assert [(job.first, str(job.system), job.proposer, job.seeds) for job in plan.searched_together] == [
        ("base_edits_seed_1", "base", "edits", [1, 2]),
        ("base_edits_seed_3", "base", "edits", [3]),
        ("base_paraphrases_seed_1", "base", "paraphrases", [1, 2]),
        ("base_paraphrases_seed_3", "base", "paraphrases", [3]),
        ("attention_grouped_seed_1_edits_seed_1", "attention-grouped-seed-1", "edits", [1, 2]),
        ("attention_grouped_seed_1_edits_seed_3", "attention-grouped-seed-1", "edits", [3]),
        ("attention_grouped_seed_1_paraphrases_seed_1", "attention-grouped-seed-1", "paraphrases", [1, 2]),
        ("attention_grouped_seed_1_paraphrases_seed_3", "attention-grouped-seed-1", "paraphrases", [3]),
    ]


def test_a_later_seed_and_a_later_experiment_leave_full_jobs_as_they_are():
    sizes = {"adapters_per_job": 2}
    before = together(plan_of(**experiments(main={"seeds": [1, 2]}), resources=sizes).asked_together)
    more = {"recipes": ["attention", "rms"], "seeds": [2, 4]}
    after = together(plan_of(**experiments(main={"seeds": [1, 2, 3]}, more=more), resources=sizes).asked_together)
    assert [job for job in before if job not in after] == []
    assert [job for job in after if job not in before] == [
        ("baseline", ["grouped-seed-3"]),
        ("factorial", ["grouped-seed-3"]),
        ("factorial", ["rms-grouped-seed-2", "rms-grouped-seed-4"]),
        ("factorial", ["grouped-seed-4"]),
    ]


@given(st.integers(1, 7), st.lists(st.integers(0, 9), min_size=1, max_size=5, unique=True))
def test_every_adapter_of_every_experiment_is_asked_once_whatever_the_size_of_a_job(most, seeds):
    plan = plan_of(**experiments(main={"splits": ["grouped", "row_random"], "seeds": seeds}), resources={"adapters_per_job": most})
    asked = [(job.stimulus_set, adapter) for job in plan.asked_together for adapter in job.adapters]
    assert sorted(map(str, asked)) == sorted(
        map(str, [*(("factorial", adapter) for adapter in plan.adapters), *(("baseline", adapter) for adapter in plan.honest_arms)])
    )
    assert max(len(job.adapters) for job in plan.asked_together) <= most


def test_one_seed_is_no_ensemble():
    plan = plan_of(finetuning={"experiments": {"main": {"recipes": ["rms", "attention"], "seeds": [7]}}})
    assert plan.ensembles == []
    assert "rms-grouped-seed-7" in texts(plan.calibrated_systems)


def test_seeds_of_other_recipes_do_not_make_an_ensemble_and_recipes_have_one_each_by_name():
    plan = plan_of(finetuning={"experiments": {"main": {"recipes": ["rms", "attention"], "seeds": [7, 8]}}})
    assert texts(plan.ensembles) == ["attention-grouped+vote", "attention-grouped+mean", "rms-grouped+vote", "rms-grouped+mean"]
    assert texts(plan.seeds_of(System("adapter", "rms", "grouped"))) == ["rms-grouped-seed-7", "rms-grouped-seed-8"]


def test_an_experiment_that_is_disabled_trains_nothing_but_can_be_asked_for():
    plan = plan_of(**experiments(folds={"enabled": False, "splits": ["folds"], "seeds": [1]}), splits={"folds": 3})
    assert not any(adapter.split.startswith("fold_") for adapter in plan.adapters)
    assert "fold_0" not in plan.audited_splits
    assert texts(plan.experiment("folds").adapters) == [f"attention-fold_{fold}-seed-1" for fold in range(3)]
    assert plan.experiment("folds").measured_splits == ["fold_0", "fold_1", "fold_2", "grouped"]
    assert [found.name for found in plan.named("folds")] == ["folds"]
    assert "folds" not in [found.name for found in plan.enabled_experiments]


def test_what_two_experiments_share_is_trained_once():
    plan = plan_of(**experiments(main={"seeds": [1]}, rates={"recipes": ["attention", "rate_third"], "seeds": [1, 2]}))
    assert texts(plan.adapters) == [
        "attention-grouped-seed-1",
        "attention-grouped-seed-2",
        "rate_third-grouped-seed-1",
        "rate_third-grouped-seed-2",
    ]


def test_an_experiment_that_is_not_there_is_named_and_its_target_is_empty():
    plan = plan_of(**experiments())
    with pytest.raises(InputError, match=r"no experiment ablations; finetuning.experiments has main$"):
        plan.experiment("ablations")
    assert plan.named("ablations") == []


def test_the_learning_curve_ends_with_the_whole_train_part_and_the_report_compares_only_that():
    plan = plan_of(finetuning={"experiments": {"main": {"splits": ["learning_curve"], "seeds": [1]}}}, splits={"training_sources": [6, 3]})
    assert [adapter.split for adapter in plan.adapters] == ["train_3", "train_6", "grouped"]
    assert [arm.split for arm in plan.arms] == plan.splits == ["grouped"]
    assert plan.audited_splits == ["grouped", "train_3", "train_6"]


@given(
    st.lists(st.sampled_from(["grouped", "row_random", "folds", "learning_curve", "by_row", "by_source"]), min_size=1, unique=True),
    st.lists(st.sampled_from(["attention", "rms"]), min_size=1, unique=True),
    st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True),
    st.integers(3, 6),
    st.lists(st.integers(2, 40), min_size=1, max_size=4, unique=True),
    st.integers(1, 4),
)
def test_an_experiment_is_every_combination_of_its_lists_once(splits, recipes, seeds, folds, sizes, draws):
    adapters = adapters_of({"recipes": recipes, "splits": splits, "seeds": seeds, "draws": draws}, {"folds": folds, "training_sources": sizes})
    assert len(adapters) == len(set(adapters))
    names = {adapter.split for adapter in adapters}
    assert len(adapters) == len(recipes) * len(names) * len(seeds)
    assert sum(name.startswith("fold_") for name in names) == (folds if "folds" in splits else 0)
    for kind in ("by_row", "by_source"):
        assert {name for name in names if name.startswith(kind)} == ({f"{kind}_{draw}" for draw in range(draws)} if kind in splits else set())
    assert {int(name.removeprefix("train_")) for name in names if name.startswith("train_")} == (set(sizes) if "learning_curve" in splits else set())
    assert ("grouped" in names) == bool({"grouped", "learning_curve"} & set(splits)), "the whole train part ends the learning curve"


@pytest.mark.parametrize(
    ("split", "asked", "verdict"),
    [
        ("grouped", ["grouped"], "pass"),
        ("row_random", ["row_random", "grouped"], "fail"),
        ("train_3", ["train_3", "grouped"], "pass"),
        ("fold_1", ["fold_1"], "pass"),
        ("by_row_4", ["by_row_4", "grouped"], "fail"),
        ("by_source_4", ["by_source_4", "grouped"], "pass"),
    ],
)
def test_an_adapter_is_asked_only_about_parts_that_it_did_not_train_on_and_only_the_leaky_split_may_fail(split, asked, verdict):
    assert asked_splits(split) == asked
    assert expected_verdict(split) == verdict


def test_only_the_published_design_by_source_may_be_tested_on_one_speaker():
    plan = plan_of(audit={"min_sources_per_class": 3})
    assert [plan.audit_policy(split)["min_sources_per_class"] for split in ("grouped", "by_row_0", "by_source_0")] == [3, 3, 1]


def test_the_published_study_trains_its_settings_to_the_letter_on_both_of_its_splits():
    """128 of 160 rows make 3 x 128 / 16 = 24 steps; 136 make 25.5, so 26."""
    config, overlay = (yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8")) for name in ("config.yaml", "reproduction.yaml"))
    update_config(config, overlay)
    plan = Plan(complete_config(config))
    published = plan.experiment("published")
    attention, mlp, rms, all_text, before = (
        plan.recipe_of(System("adapter", name, "by_row_0", 42))
        for name in ("published", "published_mlp", "published_rms", "published_all_text", "published_rms_all_text")
    )
    seeds = (42, 123, 456, 789, 2024)
    expected = [(recipe, f"{kind}_0", seed) for recipe in ("published", "published_mlp", "published_rms", "published_all_text",
                "published_rms_all_text") for kind in ("by_row", "by_source") for seed in seeds]  # fmt: skip
    assert [(adapter.name, adapter.split, adapter.seed) for adapter in published.adapters] == expected
    letter = {"rank": 16, "alpha": 32, "dropout": 0.05, "learning_rate": 2e-4, "epochs": 3, "batch_size": 16, "micro_batch_size": 2}
    for recipe in (attention, mlp, rms, all_text, before):
        assert {key: recipe[key] for key in letter} == letter
    assert [(recipe["normalisation"], recipe["loss_on"]) for recipe in (attention, mlp, rms, all_text, before)] == [
        ("peak", "answer"), ("peak", "answer"), ("rms", "answer"), ("peak", "text"), ("rms", "text"),
    ]  # fmt: skip
    # Not above: it loads torch, which no other test here needs.
    from earwitness.model.finetuning import optimiser_steps

    assert [optimiser_steps(attention, stimuli) for stimuli in (128, 136)] == [24, 26]
    assert set(mlp["target_modules"]) - set(attention["target_modules"]) == {"gate_proj", "up_proj", "down_proj"}
    assert plan.config["splits"]["redrawn"] == {
        "speech_sources": 3, "sound_sources": 10, "stimuli": 160, "test_fraction": 0.2, "extended": 96, "test_speech_sources": 1,
        "test_sound_sources": 2, "test_stimuli": 24, "durations_ms": [200, 1000], "snrs_db": [0, 5, 10, 20],
    }  # fmt: skip
    assert plan.clip_settings("voxconverse")["per_source"] == 6 and plan.clip_settings("esc50")["per_source"] == 2


def test_a_fold_is_audited_beside_all_folds():
    plan = plan_of(splits={"folds": 4})
    assert plan.siblings_of("fold_2") == ["fold_0", "fold_1", "fold_2", "fold_3"]
    assert plan.siblings_of("grouped") == plan.siblings_of("train_3") == []


def test_every_search_is_run_for_each_system_and_seed_beside_its_control():
    plan = plan_of(prompt_search={"proposers": ["edits"], "systems": ["base", "attention-grouped-seed-42"], "seeds": [1, 2]})
    adapter = System("adapter", "attention", "grouped", 42)
    expected = [Search(system, proposer, seed) for system in (BASE, adapter) for proposer in ("edits", "paraphrases") for seed in (1, 2)]
    assert plan.searches == expected
    assert plan.searches_of(adapter) == expected[4:]
    assert plan.searched_systems == [BASE, adapter]
    assert str(expected[4]) == "attention-grouped-seed-42-edits-seed-1"


def test_without_a_proposer_nothing_is_searched_tabled_or_drawn():
    plan = plan_of(prompt_search={"proposers": []}, sources={"fsd50k": {"origin": "none"}})
    assert plan.searches == plan.searched_systems == plan.chosen_questions == plan.baseline_and_prompt_tables == []
    assert "accuracy" in plan.figures
    assert not any(figure.startswith("prompt_") for figure in plan.figures)


def test_the_searched_question_takes_the_configured_ones_place_but_for_folds_which_test_sources_it_was_chosen_on():
    asking = {"proposers": ["edits", "opro"], "use_question_of": "edits", "seeds": [3, 4], "systems": ["base", "attention-grouped-seed-42"]}
    plan = plan_of(prompt_search=asking)
    assert plan.choosing_searches("base") == [Search(BASE, "edits", 3), Search(BASE, "edits", 4)]
    assert plan.chosen_question("base") == ["results/prompts/chosen/base.json"]
    for split, asked in (("grouped", True), ("row_random", True), ("train_3", True), ("fold_0", False)):
        assert plan.question_trained_with(System("adapter", "attention", split, 42)) == plan.chosen_questions * asked, split
    assert plan.question_trained_with(BASE) == [], "its own searches start from the configured question"


def test_the_configured_question_stays_where_no_search_is_to_be_used():
    plan = plan_of(prompt_search={"proposers": ["edits"], "use_question_of": "none"})
    assert plan.chosen_question("base") == plan.question_trained_with(System("adapter", "attention", "grouped", 42)) == []


def test_only_opro_needs_a_writer():
    hub = plan_of(prompt_search={"proposers": ["opro"], "opro": {"quantisation": "nf4"}})
    disk = plan_of(prompt_search={"proposers": ["opro"], "opro": {"origin": "path", "path": "writers/small"}})
    assert (Models.of(hub).folder("proposer"), hub.writer_quantisation("opro")) == ("data/models/hub/proposer", "nf4")
    assert Models.of(disk).on_disk == {"proposer": "writers/small"}
    assert hub.writer_quantisation("edits") == "none"
    edits = plan_of(prompt_search={"proposers": ["edits"], "opro": {"origin": "path", "path": "writers/small"}})
    assert Models.of(edits).on_disk == {}


def test_an_adapter_that_changes_the_audio_tower_hears_audio_and_any_other_hears_features():
    plan = plan_of(resources={"stimulus_shards": 2})
    tower, language = System("adapter", "attention", "grouped", 42), System("adapter", "language_model", "grouped", 42)
    audio = ["results/stimuli/baseline/shard-000.parquet", "results/stimuli/baseline/shard-001.parquet"]
    features = ["results/features/base/baseline/shard-000.parquet", "results/features/base/baseline/shard-001.parquet"]
    assert (plan.features_of(tower, "baseline"), plan.audio_of(tower, "baseline")) == ([], audio)
    for system in (language, BASE):
        assert (plan.features_of(system, "baseline"), plan.audio_of(system, "baseline")) == (features, [])


def test_an_adapter_hears_the_level_of_its_recipe_and_the_base_the_stimulis_own():
    plan = plan_of(finetuning={"recipes": {"quiet": {"normalisation": "rms", "level_dbfs": -50.0}}, "experiments": {"main": {"recipes": ["quiet"]}}})
    assert plan.level_of(System("adapter", "quiet", "grouped", 1)) == {"normalisation": "rms", "level_dbfs": -50.0}
    assert plan.level_of(BASE) == {}


def test_the_baseline_is_left_out_with_its_figures_and_tables():
    plan = plan_of(sources={"fsd50k": {"origin": "none"}})
    assert plan.stimulus_sets == ["factorial"]
    assert plan.datasets(*plan.stimulus_sets) == ["voxconverse", "esc50"]
    assert "duration_curves" not in plan.figures
    assert not any("thresholds" in table for table in plan.baseline_and_prompt_tables)


def test_a_role_says_which_stimuli_a_data_set_is_for():
    sources = {
        "mine": {"origin": "manifest", "path": "mine.csv", "role": "both"},
        "traffic": {"origin": "folder", "path": "noises", "role": "noise"},
        "esc50": {"origin": "none"},
    }
    plan = plan_of(sources=sources, stimuli={"noise": "recorded"})
    assert plan.datasets("factorial") == ["voxconverse", "mine"]
    assert plan.datasets("baseline") == ["fsd50k", "mine"]
    assert [plan.stimulus_settings(name)["noise_recordings"] for name in plan.stimulus_sets] == ["noises", None]


def test_the_baseline_has_its_levels_from_the_factorial_set_and_its_conditions_of_its_own():
    plan = plan_of(stimuli={"window_ms": 1500, "rms_dbfs": -30.0, "normalisation": "peak"}, baseline={"normalisation": "rms", "durations_ms": [20]})
    settings = plan.stimulus_settings("baseline")
    assert (settings["window_ms"], settings["rms_dbfs"], settings["normalisation"], settings["durations_ms"]) == (1500, -30.0, "rms", [20])
    assert plan.stimulus_settings("factorial")["normalisation"] == "peak"


@pytest.mark.parametrize(
    ("model", "folder", "name", "tiny"),
    [
        ({"origin": "tiny"}, "data/models/tiny/base", "data/models/tiny/base", True),
        ({"origin": "hub", "repository": "Qwen/Qwen2-Audio-7B-Instruct"}, "data/models/hub/base", "Qwen/Qwen2-Audio-7B-Instruct", False),
        ({"origin": "path", "path": "models/mine"}, "models/mine", "models/mine", False),
        ({"origin": "path", "path": "/scratch/me/Qwen2-Audio"}, "/scratch/me/Qwen2-Audio", "Qwen2-Audio", False),
    ],
)
def test_the_base_model_is_where_its_origin_says(model, folder, name, tiny):
    models = Models.of(plan_of(models={"base": model}))
    assert models.folder("base") == folder
    assert (models.name("base")[0], models.terms("base")["tiny"]) == (name, tiny)
    known = "identity" if tiny else "checked"
    assert models.identity("base") == f"results/models/base.{known}.json", "jobs wait for the preflight of what was not trained here"


def test_a_fetched_model_is_the_one_of_its_own_section():
    base = {"origin": "hub", "repository": "one/base", "revision": "a" * 40, "encoder": {"repository": "three/ear", "revision": "c" * 40}}
    models = Models.of(plan_of(models={"base": base}, prompt_search={"opro": {"repository": "two/writer", "revision": "b" * 40}}))
    assert models.hub_source("base-encoder") == {"section": "models.base.encoder", "repository": "three/ear", "revision": "c" * 40}
    assert models.hub_source("base") == {"section": "models.base", "repository": "one/base", "revision": "a" * 40}
    assert models.hub_source("proposer") == {"section": "prompt_search.opro", "repository": "two/writer", "revision": "b" * 40}


def test_nothing_is_handed_over_where_nothing_trained_honestly():
    assert plan_of(finetuning={"experiments": {"main": {"splits": ["row_random"]}}}).detector_files == []
    assert "results/detector/calibration.json" in plan_of().detector_files


def test_every_system_answers_in_a_file_of_its_kind_and_the_ensembles_of_a_recipe_in_one():
    systems = [BASE, *(System.parse(text) for text in ("energy", "attention-grouped-seed-42", "attention-grouped+vote", "attention-grouped+mean"))]
    assert paths.predictions("factorial", systems) == [
        "results/predictions/factorial/zeroshot/base.parquet",
        "results/predictions/factorial/detectors/energy.parquet",
        "results/predictions/factorial/adapters/base/attention-grouped-seed-42.parquet",
        "results/predictions/factorial/ensembles/base/attention-grouped.parquet",
    ]
    assert paths.adapters(systems, "history.csv") == ["results/adapters/base/attention/grouped/seed-42/history.csv"]


def recordings_of(**sources):
    return Recordings.find(complete_config({"sources": sources})["sources"])


def write_speech(folder):
    """One recording in VoxConverse's layout; its files."""
    files = [folder / "audio/a.wav", folder / "rttm/a.rttm"]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return sorted(map(str, files))


def test_an_embedded_data_set_is_in_the_folder_of_its_corpus():
    recordings = recordings_of()
    assert recordings.inputs("voxconverse") == ["data/embedded/study/voxconverse"]
    assert recordings.inputs("fsd50k") == ["data/embedded/baseline/fsd50k"]
    assert recordings.path("esc50") == "data/embedded/study/esc50"


def test_a_data_set_on_disk_depends_on_every_file_of_it(tmp_path):
    files = write_speech(tmp_path / "speech")
    recordings = recordings_of(voxconverse={"origin": "path", "path": str(tmp_path / "speech")})
    assert sorted(recordings.inputs("voxconverse")) == files
    assert recordings.path("voxconverse") == str(tmp_path / "speech")


def test_sounds_of_esc50_have_their_uploaders_from_a_real_fsd50k_alone(tmp_path):
    (tmp_path / "esc50/audio").mkdir(parents=True)
    (tmp_path / "esc50/meta").mkdir()
    for name in ("audio/1-1-A-0.wav", "meta/esc50.csv"):
        (tmp_path / "esc50" / name).touch()
    own = {"origin": "path", "path": str(tmp_path / "esc50")}
    archive = {"url": "https://example.org/a.zip", "checksum": "md5:" + "0" * 32}
    fetched = recordings_of(esc50=own, fsd50k={"origin": "download", "archives": [archive]})
    assert fetched.uploader_tables("esc50") == ["data/downloads/fsd50k"]
    assert recordings_of(esc50=own).uploader_tables("esc50") == [], "the embedded one has no uploaders"
    assert fetched.uploader_tables("voxconverse") == []


def test_a_data_set_that_is_not_on_disk_is_named():
    with pytest.raises(InputError, match="nowhere"):
        recordings_of(voxconverse={"origin": "path", "path": "nowhere"})


def test_ties_are_tables_that_the_study_does_not_make_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text("source_a,source_b,why\n")
    assert plan_of().ties == [] and plan_of(splits={"ties": ["mine.csv"]}).ties == ["mine.csv"]
    with pytest.raises(InputError, match=r"splits\.ties: no file other\.csv; name a table with the columns source_a, source_b and why"):
        _ = plan_of(splits={"ties": ["mine.csv", "other.csv"]}).ties
    for path in ("results/proposals/grouped/ties.csv", "./results/ties.csv"):
        with pytest.raises(InputError, match=r"follows from the split that it is to change; copy it to a place outside results/"):
            _ = plan_of(splits={"ties": [path]}).ties


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ({"origin": "tiny"}, "tiny base"),
        ({"origin": "hub"}, "Qwen2-Audio"),
        ({"origin": "path", "path": "/models/Qwen2-Audio-7B"}, "Qwen2-Audio"),
        ({"origin": "hub", "repository": "nvidia/audio-flamingo-3-hf"}, "nvidia/audio-flamingo-3-hf"),
        ({"origin": "path", "path": "/models/Voxtral-Mini-3B-2507"}, "Voxtral-Mini-3B-2507"),
    ],
)
def test_what_is_known_of_one_bases_training_is_not_told_of_another(model, name):
    assert Models.of(plan_of(models={"base": model})).declared_name("base") == name


def test_an_assembled_base_is_named_and_licensed_by_its_halves():
    models = Models.of(plan_of(models={"base": {"origin": "assembled"}}))
    assert models.name("base") == ["the encoder of Whisper tiny.en with SmolLM2-135M-Instruct"]
    assert "MIT (Whisper tiny.en), Apache 2.0 (SmolLM2-135M-Instruct)" in models.terms("base")["licence"]
    assert models.declared_name("base") == "assembled base"
    hub = {"origin": "hub", "repository": "owner/name", "revision": "abc"}
    other = Models.of(plan_of(models={"base": {"origin": "assembled", "encoder": hub, "licence": "MIT and others"}}))
    assert other.name("base") == ["owner/name at abc with SmolLM2-135M-Instruct"]
    assert other.terms("base")["licence"] == "MIT and others"
    assert other.folders_of_halves("base") == ["data/models/hub/base-encoder"]
