"""Edit this, and exactly these rules run again. Each edit is made in a finished run, and what Snakemake then plans is compared."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from checkout import Checkout, finish

pytestmark = pytest.mark.slow

LIBRARY = "workflow_scripts/earwitness/"

PAGE = {"write_report"}
PROVENANCE = {"record_provenance"} | PAGE
JUDGED = {"judge_claims"} | PROVENANCE
OF_CLAIMS = {"plot_leakage", "plot_psychometrics", "plot_draws"} | JUDGED
SELECTED = {"select_adapter", "follow_recordings", "measure_detection"}
CARD = {"hand_over_adapter"}
SECOND_AUDIT = {"audit_tuning", "render_audit", "gate_tuning"} | CARD
FIGURES_OF_SCORES = {"plot_accuracy", "plot_conditions", "plot_leakage", "plot_phases"}
PSYCHOACOUSTICS = {"fit_psychometrics", "fit_mixed_model", "plot_psychometrics"}
PHASES = {"measure_phases", "plot_phases"}
PROMPTS_TESTED = {"compare_prompts", "plot_prompts"} | PHASES
PROMPT_SEARCH = {"search_prompts", "predict_prompts"} | PROMPTS_TESTED
TEST_SIZES = {"compare_test_sizes", "plot_test_sizes"}
COSTS = {"measure_efficiency", "plot_efficiency"}
EXPERIMENTS = {"measure_experiment", "plot_experiment"} | COSTS
REDRAWN = {"measure_draws", "plot_draws"}
CALIBRATION = {"calibrate_systems", "plot_reliability"} | SECOND_AUDIT | SELECTED
AFTER_PREDICTIONS = (
    {"measure_accuracy", "compare_systems", "list_errors"}
    | PHASES
    | CALIBRATION
    | FIGURES_OF_SCORES
    | TEST_SIZES
    | EXPERIMENTS
    | REDRAWN
    | PSYCHOACOUSTICS
    | JUDGED
)
OF_HONEST_ADAPTERS = PSYCHOACOUSTICS | TEST_SIZES | (CALIBRATION - CARD) | {"measure_phases", "ensemble_seeds", "list_errors"}
AFTER_A_SEARCH = PROMPT_SEARCH | SECOND_AUDIT | JUDGED
AFTER_TRAINING = {"predict_adapter", "plot_training", "ensemble_seeds"} | AFTER_PREDICTIONS
ADAPTERS = {"train_adapter"} | AFTER_TRAINING
AFTER_SPLITS = (
    {
        "split_row_random",
        "split_redrawn",
        "audit_leakage",
        "gate_leakage",
        "detect_reference",
        "probe_encoder",
        "probe_acoustics",
        "probe_counterfactuals",
    }
    | SECOND_AUDIT
    | ADAPTERS
    | PROMPT_SEARCH
)
ASKED = {"predict_zeroshot", "check_generation"}
OF_THE_BASE = {"encode_stimuli", "encode_controls", "probe_encoder"} | ASKED | PROMPT_SEARCH
AFTER_STIMULI = {"audit_stimuli", "summarise_stimuli", "split_grouped"} | OF_THE_BASE | AFTER_SPLITS
AFTER_CLIPS = {"make_factorial_stimuli"} | AFTER_STIMULI
BASELINE = (
    {"make_baseline_stimuli", "audit_stimuli", "summarise_stimuli", "encode_stimuli", "encode_controls", "probe_encoder", "predict_zeroshot"}
    | {"detect_reference", "probe_acoustics", "predict_adapter"}
    | SECOND_AUDIT
    | PSYCHOACOUSTICS
    | JUDGED
)
RECORDED = {"catalogue_recordings", "select_clips"}
BASE = {"train_tiny_base", "identify_model", "probe_counterfactuals"} | OF_THE_BASE | ADAPTERS | SECOND_AUDIT
EVERYTHING = {"make_embedded_corpus", "make_embedded_baseline"} | BASE | RECORDED | AFTER_CLIPS | BASELINE
STYLED = (
    {"plot_training", "plot_prompts", "plot_psychometrics", "plot_experiment", "plot_efficiency", "plot_test_sizes", "plot_reliability"}
    | {"plot_phases", "plot_draws"}
    | CARD
    | FIGURES_OF_SCORES
    | PAGE
)

COUNTED = {"measure_accuracy"} | CARD | FIGURES_OF_SCORES | JUDGED
FITTED = {"fit_psychometrics", "plot_psychometrics"} | JUDGED
DRAWN = {"plot_accuracy"} | PAGE

Edit = Callable[[Checkout], Sequence[str]]
"""Changes a finished run; returns the arguments of Snakemake that the edit consists of, if any."""


@dataclass(frozen=True)
class Case:
    """An edit in words, how it is made, and the rules that then run again."""

    what: str
    edit: Edit
    expected: frozenset[str]


def replaced(path: str, before: str, after: str) -> Edit:
    """Other text in a file, where it stands once."""

    def edit(checkout: Checkout) -> Sequence[str]:
        file = checkout.folder / path
        text = file.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{path} holds {before!r} {text.count(before)} times"
        file.write_text(text.replace(before, after), encoding="utf-8")
        return []

    return edit


def appended(path: str, text: str) -> Edit:
    """Another line at the end of a file."""

    def edit(checkout: Checkout) -> Sequence[str]:
        with (checkout.folder / path).open("a", encoding="utf-8") as stream:
            stream.write(text)
        return []

    return edit


def touched(checkout: Checkout) -> Sequence[str]:
    for folder in ("workflow_scripts", "rules", "config", "envs"):
        for path in (checkout.folder / folder).rglob("*"):
            path.touch()
    return []


def with_settings(settings: dict[str, Any]) -> Edit:
    return lambda checkout: ["--configfile", checkout.overlay(settings)]


def case(what: str, edit: Edit, expected: set[str]) -> Case:
    return Case(what, edit, frozenset(expected))


HARMLESS = [
    case("every file touched, none changed", touched, set()),
    case(
        "a comment, or other layout, in any program or module",
        replaced(LIBRARY + "model/engine/losses.py", "    weights = -torch", "    # Focal.\n    weights = -torch"),
        set(),
    ),
    case("a docstring", replaced(LIBRARY + "model/finetuning.py", '"""Train one adapter.', '"""Fit one adapter.'), set()),
    case(
        "an error message",
        replaced(LIBRARY + "model/engine/loading.py", "is missing; copy the model's tokenizer", "is not there; copy the model's tokenizer"),
        set(),
    ),
    case("a log line", replaced(LIBRARY + "model/engine/optimisation.py", "; going on with", "; trying"), set()),
    case("a progress title", replaced(LIBRARY + "model/engine/optimisation.py", 'desc="training"', 'desc="learning"'), set()),
    case(
        "a help text of a program",
        replaced("workflow_scripts/train_adapter.py", 'help="the splits that they train on"', 'help="what they train on"'),
        set(),
    ),
    case(
        "how errors are told, in a module that `earwitness.core.code_identity` lists as cosmetic",
        replaced(LIBRARY + "core/errors.py", 'sys.exit("error: " + one_line(error))', 'sys.exit("failed: " + one_line(error))'),
        set(),
    ),
    case("a caption, such as `rules/captions/accuracy.rst`", appended("rules/captions/accuracy.rst", "More.\n"), set()),
    case("a rule's message", replaced("rules/stimuli.smk", "Counting the stimuli", "Adding up the stimuli"), set()),
    case("an environment, such as `envs/analysis.yaml`, without `--sdm conda`", appended("envs/analysis.yaml", "\n# More.\n"), set()),
    case("a profile, `--workflow-profile`", lambda checkout: ["--workflow-profile", "config/profiles/workstation"], set()),
    case(
        "a number in the file of another family than the base's, such as `model/families/voxtral.py`",
        appended(LIBRARY + "model/families/voxtral.py", "\nMORE = 1\n"),
        set(),
    ),
    case(
        "a number in the tiny base of another family, such as `model/families/tiny/audioflamingo3.py`",
        appended(LIBRARY + "model/families/tiny/audioflamingo3.py", "\nMORE = 1\n"),
        set(),
    ),
    case("the configuration in another order of its keys", with_settings({"statistics": {}, "prompt": {}, "seed": 20260101}), set()),
]
"""Edits that run nothing again, not even all together."""

CODE = [
    case("a number in `splits/study.py`", appended(LIBRARY + "splits/study.py", "\nMORE = 1\n"), {"split_grouped"} | AFTER_SPLITS),
    case("a number in `stimuli/mixing.py`", appended(LIBRARY + "stimuli/mixing.py", "\nMORE = 1\n"), BASE | AFTER_CLIPS | BASELINE),
    case("a number in `model/engine/losses.py`", appended(LIBRARY + "model/engine/losses.py", "\nMORE = 1\n"), BASE),
    case(
        "a number in the base's own family, `model/families/qwen2_audio.py`",
        appended(LIBRARY + "model/families/qwen2_audio.py", "\nMORE = 1\n"),
        BASE,
    ),
    case(
        "a number in the tiny base of that family, `model/families/tiny/qwen2_audio.py`",
        appended(LIBRARY + "model/families/tiny/qwen2_audio.py", "\nMORE = 1\n"),
        BASE,
    ),
    case("a number in `model/finetuning.py`", replaced(LIBRARY + "model/finetuning.py", "COMPACT_ROWS = 8", "COMPACT_ROWS = 4"), ADAPTERS),
    case("a number in `gate_leakage.py`", appended("workflow_scripts/gate_leakage.py", "\nMORE = 1\n"), {"gate_leakage"} | ADAPTERS),
    case(
        "a number in `prompt_search/edits.py`",
        replaced(LIBRARY + "prompt_search/edits.py", "PARENTS = 5", "PARENTS = 6"),
        AFTER_A_SEARCH,
    ),
    case("a column of a table of results, `tables/accuracy.py`", appended(LIBRARY + "tables/accuracy.py", "\nMORE = 1\n"), COUNTED),
    case("a number in `psychometrics/fitting.py`", appended(LIBRARY + "psychometrics/fitting.py", "\nMORE = 1\n"), FITTED),
    case(
        "a number in a figure, `report/accuracy_figure.py`", appended(LIBRARY + "report/accuracy_figure.py", "\nMORE = 1\n"), {"plot_accuracy"} | PAGE
    ),
    case("the style of all figures, `report/style.py`", appended(LIBRARY + "report/style.py", "\nMORE = 1\n"), STYLED | PROVENANCE),
    case("the page's template or a part of it, `report/html/*.jinja`", appended(LIBRARY + "report/html/answer.html.jinja", "\n"), PAGE),
    case(
        "a rule's command",
        replaced("rules/report.smk", '"python workflow_scripts/plot_training.py ', '"python  workflow_scripts/plot_training.py '),
        {"plot_training"} | PAGE,
    ),
    case("a claim of the published study, `config/claims.yaml`", appended("config/claims.yaml", "\n"), OF_CLAIMS),
    case("how claims are judged, `evaluation/claims.py`", appended(LIBRARY + "evaluation/claims.py", "\nMORE = 1\n"), OF_CLAIMS),
    case("`config/pretraining_corpora.csv`", appended("config/pretraining_corpora.csv", "\n"), SECOND_AUDIT | PROVENANCE),
    case("the environments' lock, `envs/requirements.lock`", appended("envs/requirements.lock", "\n"), PROVENANCE),
]

SETTINGS: list[tuple[dict[str, Any], set[str]]] = [
    ({"seed": 1}, EVERYTHING),
    ({"models": {"base": {"tiny": {"steps": 10}}}}, BASE),
    # Too few stimuli for the published design, which is then drawn no more.
    ({"clips": {"per_source": 1}}, ({"select_clips"} | AFTER_CLIPS | BASELINE) - REDRAWN - {"split_redrawn"}),
    ({"stimuli": {"snrs_db": [0, 10]}}, AFTER_CLIPS - REDRAWN - {"split_redrawn"}),
    ({"baseline": {"rooms": ["anechoic"]}}, BASELINE),
    ({"splits": {"test_fraction": 0.3}}, {"split_grouped"} | AFTER_SPLITS),
    (
        {"splits": {"row_random": {"stimuli": 100}}},
        {"split_row_random", "audit_leakage", "render_audit", "gate_leakage"} | (ADAPTERS - OF_HONEST_ADAPTERS - REDRAWN),
    ),
    ({"finetuning": {"recipe": {"rank": 32, "alpha": 16}}}, ADAPTERS),
    ({"finetuning": {"recipes": {"rms": {"rank": 8}}}}, PROVENANCE),
    ({"prompt": {"question": "Is anyone speaking?"}}, {"probe_counterfactuals"} | ASKED | PROMPT_SEARCH | SECOND_AUDIT | ADAPTERS),
    ({"prompt_search": {"iterations": 2}}, AFTER_A_SEARCH),
    ({"prompt_search": {"use_question_of": "edits"}}, {"choose_prompt", "probe_counterfactuals"} | ASKED | SECOND_AUDIT | ADAPTERS),
    ({"statistics": {"confidence": 0.9}}, AFTER_PREDICTIONS | PROMPTS_TESTED),
    ({"resources": {"batch_size": 7, "memory": "compact", "gpus_per_prediction": 2}}, PROVENANCE),
    ({"report": {"title": "Another"}}, PROVENANCE),
]

ANOTHER_SEED = {"finetuning": {"experiments": {"main": {"seeds": [42, 123, 456, 7]}}}}
ANOTHER_SEARCH = {"prompt_search": {"seeds": [1, 2, 3, 7]}}
AFTER_A_RECORDING = (RECORDED | AFTER_CLIPS) - REDRAWN - {"split_redrawn"}
"""Of recordings of one's own, of which the published design is not drawn unless it is asked for."""


def rules_of(plan: Counter[str]) -> set[str]:
    return set(plan) - {"all"}


def test_everything_is_covered_by_the_table(checkout):
    assert rules_of(checkout.plan()) == EVERYTHING


def test_edits_without_meaning_run_nothing_even_all_together(finished):
    arguments = [argument for harmless in HARMLESS for argument in harmless.edit(finished)]
    assert rules_of(finished.plan(*arguments)) == set()


@pytest.mark.parametrize("edited", CODE, ids=lambda edited: edited.what)
def test_a_changed_meaning_reruns_what_depends_on_it(finished, edited):
    assert rules_of(finished.plan(*edited.edit(finished))) == edited.expected


@pytest.mark.parametrize(("settings", "expected"), SETTINGS, ids=[str(settings) for settings, _ in SETTINGS])
def test_a_changed_setting_reruns_what_reads_it(finished, settings, expected):
    assert rules_of(finished.plan(*with_settings(settings)(finished))) == expected


def test_another_seed_trains_and_asks_only_its_own_adapters(finished):
    """One job trains both, one asks both about the factorial set, another one of them about the baseline; the default's jobs are full."""
    plan = finished.plan(*with_settings(ANOTHER_SEED)(finished))
    assert (plan["train_adapter"], plan["predict_adapter"]) == (1, 2)
    assert rules_of(plan) == ADAPTERS - REDRAWN


def test_another_seed_of_the_prompt_searches_makes_only_its_own(finished):
    """A job for the edits and one for their control; the default's jobs are full."""
    plan = finished.plan(*with_settings(ANOTHER_SEARCH)(finished))
    assert (plan["search_prompts"], plan["predict_prompts"]) == (2, 1)
    assert rules_of(plan) == AFTER_A_SEARCH


def test_an_experiment_trains_only_what_no_other_has_trained(finished):
    settings = {"recipes": {"small": {"rank": 4}}, "experiments": {"sizes": {"recipes": ["attention", "small"], "seeds": [42, 7]}}}
    plan = finished.plan(*with_settings({"finetuning": settings})(finished))
    assert (plan["train_adapter"], plan["predict_adapter"]) == (2, 2), "small with both seeds by one load, attention with the new one"
    assert rules_of(plan) == {"train_adapter", "predict_adapter"} | EXPERIMENTS | JUDGED


def test_a_second_model_is_asked_and_trained_and_the_first_is_not_again(finished):
    base = finished.folder / "own/voxtral"
    base.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (base / name).write_text("made in spring")
    models = {"voxtral": {"origin": "path", "path": "own/voxtral"}}
    plan = finished.plan(*with_settings({"models": models, "primary_model": "base"})(finished))
    assert (plan["encode_stimuli"], plan["encode_controls"], plan["predict_zeroshot"], plan["probe_encoder"]) == (4, 2, 2, 4)
    assert (plan["train_adapter"], plan["search_prompts"], plan["check_generation"], plan["identify_model"]) == (7, 2, 1, 1)
    assert not {"train_tiny_base", "make_factorial_stimuli", "split_grouped", "audit_leakage", "detect_reference", "probe_acoustics"} & set(plan)


def test_another_primary_model_is_handed_over_and_judged_and_nothing_else(checkout):
    models = {"flamingo": {"tiny": {"family": "audioflamingo3"}}}
    finish(checkout, *with_settings({"models": models, "primary_model": "base"})(checkout))
    assert rules_of(checkout.plan(*with_settings({"models": models, "primary_model": "flamingo"})(checkout))) == SELECTED | CARD | JUDGED


def test_a_replaced_recording_is_catalogued_again_with_all_that_follows_and_a_touched_one_is_not(finished_on_own_recordings):
    checkout = finished_on_own_recordings
    recording, config = checkout.folder / "own/speech/audio/a.wav", ["--configfile", str(checkout.folder / "overlay.yaml")]
    recording.touch()
    assert rules_of(checkout.plan(*config)) == set()
    recording.write_text("recorded in autumn")
    plan = checkout.plan(*config)
    assert plan["catalogue_recordings"] == plan["select_clips"] == 1
    assert rules_of(plan) == AFTER_A_RECORDING


def test_a_base_on_disk_is_identified_again_when_a_file_of_it_changes_and_not_when_its_folder_does(checkout):
    base = Path("own/base")
    (checkout.folder / base).mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (checkout.folder / base / name).write_text("made in spring")
    config = ["--configfile", checkout.overlay({"models": {"base": {"origin": "path", "path": str(base)}}})]
    finish(checkout, *config)
    (checkout.folder / base / ".earwitness-sha256").write_text("{}")
    (checkout.folder / base / "config.json").touch()
    assert rules_of(checkout.plan(*config)) == set()
    (checkout.folder / base / "model.safetensors").write_text("made in autumn")
    assert rules_of(checkout.plan(*config)) == BASE - {"train_tiny_base"} | {"check_model"}
    (checkout.folder / base / "model.safetensors").write_text("made in spring")
    appended(LIBRARY + "model/preflight.py", "\nMORE = 1\n")(checkout)
    (checkout.folder / "results/models/base.checked.json").touch()
    assert rules_of(checkout.plan(*config)) == set(), "what was found of a base stands until the base changes"


def test_another_plan_writes_the_page_of_a_preflight_again_and_looks_at_no_model(checkout):
    base = checkout.folder / "own/base"
    base.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (base / name).write_text("made in spring")
    model = {"models": {"base": {"origin": "path", "path": "own/base"}}}
    finish(checkout, "preflight", "--configfile", checkout.overlay(model))
    assert rules_of(checkout.plan("preflight", "--configfile", checkout.overlay(model))) == set()
    assert rules_of(checkout.plan("preflight", "--configfile", checkout.overlay(model | ANOTHER_SEED))) == {"render_preflight", "preflight"}
