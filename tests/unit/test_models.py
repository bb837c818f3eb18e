"""A study of several models: its configuration and plan, what is compared for each and between them, and how they are drawn."""

import functools

import pandas as pd
import pytest
import report_examples
from baseline_answers import baseline_index, no_split, observer
from matplotlib.colors import to_hex
from report_examples import accuracy, comparisons
from small_study import predictions, study

from earwitness.config import complete_config
from earwitness.core.errors import InputError
from earwitness.evaluation.comparison import compare_systems
from earwitness.evaluation.scored_answers import score_systems
from earwitness.plan import paths
from earwitness.plan.study import Plan
from earwitness.psychometrics.study import collect_answers, fit_study, point_table
from earwitness.report.accuracy_figure import draw_accuracy
from earwitness.report.leakage_figure import draw_leakage
from earwitness.report.models_figure import draw_models
from earwitness.report.models_text import model_sentences
from earwitness.report.phases_figure import draw_phases
from earwitness.report.psychometric_figures import FIGURES as PSYCHOMETRIC_FIGURES
from earwitness.report.psychometric_figures import PsychometricTables
from earwitness.report.style import figure_style, look_of, models_in, system_name
from earwitness.report.test_sizes_figure import draw_test_sizes
from earwitness.systems import BASE, System
from earwitness.tables.comparisons import COMPARISONS
from earwitness.tables.files import validate
from earwitness.tables.one_model import of_model
from earwitness.tables.psychometrics import CURVES, THRESHOLDS

SIX = ("base", "flamingo", "gemma", "omni", "qwen_7b", "voxtral")
TWO = {"base": {}, "voxtral": {"origin": "path", "path": "models/voxtral"}}
SIDE_BY_SIDE = {"models": TWO, "primary_model": "base"}


def test_the_default_has_one_model_and_a_second_beside_it_is_completed_like_the_first():
    assert list(complete_config({})["models"]) == ["base"]
    models = complete_config(SIDE_BY_SIDE)["models"]
    assert models["voxtral"]["quantisation"] == "none" and models["voxtral"]["tiny"]["steps"] == models["base"]["tiny"]["steps"] == 900


def test_the_only_model_is_the_primary_one_and_among_several_it_must_be_named():
    assert complete_config({})["primary_model"] == "base"
    with pytest.raises(InputError, match=r"primary_model is not set: several models are studied; hint: one of base, voxtral"):
        complete_config({"models": TWO})
    with pytest.raises(InputError, match=r'primary_model = "omni": no such model is studied; hint: one of base, voxtral'):
        complete_config({"models": TWO, "primary_model": "omni"})
    with pytest.raises(InputError, match=r'primary_model = "base": no such model is studied; hint: one of voxtral'):
        complete_config({"models": TWO | {"base": {"origin": "none"}}, "primary_model": "base"})


def test_the_primary_model_alone_is_handed_over_and_judged_wherever_it_stands():
    plans = {model: Plan(complete_config(SIDE_BY_SIDE | {"primary_model": model})) for model in TWO}
    assert plans["voxtral"].claim_tables["generation"] == "results/tables/generation/voxtral.csv"
    assert plans["voxtral"].claim_tables["experiments/main"] == "results/tables/experiments/voxtral.main.csv"
    assert plans["base"].claim_tables["experiments/main"] == "results/tables/experiments/main.csv"
    assert len({str(plan.adapters) for plan in plans.values()}) == 1, "nothing else follows it"


@pytest.mark.parametrize(
    ("models", "told"),
    [
        ({"Voxtral": {}}, r"a model's name is small letters, digits and underscores"),
        ({"proposer": {}}, r"and is not proposer"),
        ({"base": {"orgin": "tiny"}}, r"unknown key models\.base\.orgin = .*did you mean origin\?"),
        ({"base": {"origin": "none"}}, r"models: every origin is none; hint: set the origin of one"),
        ({"x": {"origin": "path"}}, r"models\.x\.path is not set: its origin is path"),
        ({"x": {"origin": "assembled", "encoder": {"origin": "hub"}}}, r"models\.x\.encoder\.repository is not set"),
        ({"origin": "tiny"}, r"models\.origin = \"tiny\": must be of type object; hint: A model is written \{origin: hub,"),
        ({}, r"models = \{\}: needs at least 1 key"),
    ],
)
def test_what_is_no_model_is_refused_by_name(models, told):
    with pytest.raises(InputError, match=told):
        complete_config({"models": models})


def test_the_former_way_of_naming_one_model_is_refused_with_the_new_one():
    with pytest.raises(InputError, match=r"unknown key model = .*did you mean models\?"):
        complete_config({"model": {"origin": "tiny"}})


def test_a_model_without_origin_is_left_out():
    plan = Plan(complete_config({"models": TWO | {"base": {"origin": "none"}}}))
    assert plan.models == ["voxtral"] and plan.primary_model == "voxtral"


def test_every_model_has_systems_searches_experiments_and_files_of_its_own_and_detectors_are_no_models():
    one, two = Plan(complete_config({})), Plan(complete_config(SIDE_BY_SIDE))
    for systems in ("bases", "probes", "arms", "ensembles", "compared", "searched_systems"):
        own = [system for system in getattr(two, systems) if system.model in ("base", "")]
        other = [system for system in getattr(two, systems) if system.model == "voxtral"]
        assert own == getattr(one, systems), systems
        assert [system.alone() for system in other] == [system for system in own if system.model], systems
    assert two.detectors == one.detectors
    assert list(two.experiments)[: len(one.experiments)] == list(one.experiments) and "voxtral.main" in two.experiments
    assert two.asked_together[: len(one.asked_together)] == one.asked_together, "so that no job of the first is made again"
    files = [path for plan in (one, two) for path in paths.predictions("factorial", plan.compared)]
    added = [path for path in files if files.count(path) == 1]
    assert all("/voxtral" in path for path in added) and len(added) == 1 + 2 + 6 + 1, "as it is, probes, adapters, ensembles"
    assert len(set(paths.adapters(two.arms, "history.csv"))) == len(two.arms)
    assert two.figures.count("models") == 1 and "models" not in one.figures


SYSTEMS = ("base", "attention-grouped", "attention-row_random", "tower_probe", "untrained_probe")


def answers_of(models, index):
    """Every kind of system of some models, each model better than the one before, and a detector."""
    tables = [predictions(index, "silero", (None,), 0.7)]
    for k, model in enumerate(models):
        for number, text in enumerate(SYSTEMS):
            system = System.parse(text if model == "base" else f"{model}.{text}")
            tables.append(predictions(index, str(system), (1, 2) if system.split else (None,), 0.55 + 0.2 * k + 0.01 * number, number))
    return pd.concat(tables, ignore_index=True)


def compared(models):
    index, splits = study(16)
    answers = answers_of(models, index)
    systems = score_systems(answers, index, splits)
    return validate(compare_systems(systems, answers, index, splits["grouped"], 0.95, 0.03), COMPARISONS)


def test_what_is_said_of_a_model_is_the_same_whatever_other_models_a_study_has():
    alone, together = compared(["base"]), compared(["base", "voxtral"])
    between = together.question.isin(["models", "adapted_models"])
    assert not alone.question.isin(["models", "adapted_models"]).any()
    pd.testing.assert_frame_equal(of_model(together[~between], "base"), alone)
    assert len(of_model(together[~between], "voxtral")) == len(alone)
    assert of_model(together[between], "base").empty, "what sets another model beside this one is no study's of this one alone"


def test_the_best_model_on_development_sources_is_set_against_each_other_and_first_against_the_next():
    table = compared(["base", "flamingo", "voxtral"])
    found = table[table.question.isin(["models", "adapted_models"])]
    assert found[["system_a", "system_b", "question", "role"]].to_numpy().tolist() == [
        ["voxtral.base", "flamingo.base", "models", "primary"],
        ["voxtral.base", "base", "models", "exploratory"],
        ["voxtral.attention-grouped", "flamingo.attention-grouped", "adapted_models", "primary"],
        ["voxtral.attention-grouped", "attention-grouped", "adapted_models", "exploratory"],
    ]
    exploratory = found[found.role == "exploratory"]
    assert (exploratory.p_holm <= 2 * exploratory.p_clustered_t + 1e-12).all(), "two exploratory contrasts between models, whatever was asked of each"


def test_thresholds_of_models_are_set_against_each_other_and_detectors_against_every_model():
    index = baseline_index(8, 8)
    observers = {"base": 150, "voxtral.base": 60, "silero": 100}
    answers = pd.concat([observer(index, system, seed=k, threshold_ms=ms, threshold_db=0) for k, (system, ms) in enumerate(observers.items())])
    _, _, contrasts = fit_study(collect_answers(answers, index, no_split()), "normal", 0.75, 0.95, 10, seed=1)
    pairs = contrasts[(contrasts.axis == "duration") & (contrasts.measure == "balanced_accuracy")]
    assert sorted(pairs[["question", "system_a", "system_b"]].to_numpy().tolist()) == [
        ["model", "voxtral.base", "base"],
        ["system", "silero", "base"],
        ["system", "silero", "voxtral.base"],
    ]
    ratio = pairs.set_index("question").value["model"]
    assert 0.2 < ratio < 0.8, "60 ms against 150 ms"


def test_what_thresholds_say_of_a_model_is_the_same_whatever_other_models_a_study_has():
    index = baseline_index(6, 6)

    def contrasts_of(observers):
        levels = enumerate(observers.items())
        answers = pd.concat([observer(index, system, seed=k, threshold_ms=ms, threshold_db=0) for k, (system, ms) in levels])
        return fit_study(collect_answers(answers, index, no_split()), "normal", 0.75, 0.95, 10, seed=1)[2]

    alone = contrasts_of({"base": 150, "silero": 100})
    together = contrasts_of({"base": 150, "silero": 100, "voxtral.base": 60})
    own = of_model(together[together.question != "model"], "base")
    assert alone.p_holm.notna().sum() > 2 and {"system", "duration"} <= set(alone.question)
    columns = list(alone.columns)
    pd.testing.assert_frame_equal(own.sort_values(columns[:9], ignore_index=True), alone.sort_values(columns[:9], ignore_index=True))


def test_six_models_have_a_colour_and_a_marker_each_and_the_first_looks_as_alone():
    bases = [System("base", "base", model=model) for model in SIX]
    alone = look_of(BASE)
    with models_in(map(str, bases)):
        looks = [look_of(base) for base in bases]
        adapters = [look_of(System("adapter", "attention", "grouped", model=model)) for model in SIX]
        assert system_name(BASE) == "base, zero-shot" and system_name(bases[5]) == "voxtral, zero-shot"
    assert looks[0] == alone and system_name(BASE) == "base model, zero-shot"
    for part in ("colour", "marker", "dashes", "glyph"):
        assert len({getattr(look, part) for look in looks}) == 6, part
    assert len({(look.colour, look.marker) for look in [*looks, *adapters]}) == 12
    assert [adapter.colour for adapter in adapters[1:]] == [look.colour for look in looks[1:]]


def ids_of(models, *texts):
    return [text if model == "base" else f"{model}.{text}" for model in models for text in texts]


def of_six():
    tables = [comparisons().assign(system_a=a, system_b=b) for a, b in zip(ids_of(SIX, "attention-grouped"), ids_of(SIX, "base"), strict=True)]
    between = comparisons().assign(system_a="voxtral.base", system_b="base", question="models")
    return accuracy([*ids_of(SIX, *SYSTEMS[:3]), "silero"]), pd.concat([*tables, between], ignore_index=True)


@functools.cache
def points_of_six():
    """Points, curves and thresholds of one observer, in the name of every base and of a detector; not to be changed."""
    index = baseline_index(6, 6)
    answers = collect_answers(observer(index, "base", threshold_ms=150), index, no_split())
    thresholds, curves, _ = fit_study(answers, "normal", 0.75, 0.95, 20, seed=1)
    named = [
        pd.concat([table.assign(system_id=system) for system in [*ids_of(SIX, "base"), "silero"]], ignore_index=True)
        for table in (point_table(answers, 0.95), validate(curves, CURVES), validate(thresholds, THRESHOLDS))
    ]
    return PsychometricTables(*named, {})


@pytest.mark.parametrize("name", ["duration_curves", "snr_curves", "sensitivity", "bands_and_rooms"])
def test_of_several_models_each_is_drawn_as_it_is_and_then_its_adapters_and_of_one_all_in_one_panel(name):
    points, ids = points_of_six(), ids_of(SIX[:2], "attention-grouped")
    answers = {}
    for table in ("points", "curves", "thresholds"):
        rows = getattr(points, table)
        of_one = rows[rows.system_id == "base"]
        answers[table] = pd.concat([rows, *(of_one.assign(system_id=system) for system in ids)], ignore_index=True)
    tables = PsychometricTables(**answers, published={})
    with figure_style(tables.points.system_id):
        drawn = PSYCHOMETRIC_FIGURES[name](tables)
        markers = [{line.get_marker() for line in axes.lines} for axes in drawn.axes]
        adapter, detector = look_of(System.parse("attention-grouped")).marker, look_of(System.parse("silero")).marker
    panels = [axes.get_title() for axes in drawn.axes]
    assert any(title.startswith("as they are") or title.endswith("as they are") for title in panels)
    for title, found in zip(panels, markers, strict=True):
        if "as they are" in title:
            assert detector in found and adapter not in found
        if "fine-tuned" in title:
            assert adapter in found and detector not in found
    assert any("fine-tuned" in title for title in panels)
    alone = tables.only([BASE, System.parse("attention-grouped"), System.parse("silero")])
    with figure_style(alone.points.system_id):
        [single] = alone.panels.values()
        assert len(single.systems) == 3 and not any("fine-tuned" in axes.get_title() for axes in PSYCHOMETRIC_FIGURES[name](alone).axes)


def drawn_of_six():
    table, pairs = of_six()
    points, ids = points_of_six(), ids_of(SIX, *SYSTEMS[:3])
    many = report_examples.sources(ids, number=2)
    return {
        "models": draw_models(table, pairs, points.thresholds),
        "accuracy": draw_accuracy(table, many),
        "phases": draw_phases(report_examples.phases(ids), table, many),
        "leakage": draw_leakage(report_examples.leakage(ids), table, many, {}),
        "test sizes": draw_test_sizes(report_examples.test_sizes(ids)),
        "duration curves": PSYCHOMETRIC_FIGURES["duration_curves"](points),
        "SNR curves": PSYCHOMETRIC_FIGURES["snr_curves"](points),
    }


@pytest.mark.slow
def test_six_models_are_drawn_in_every_figure_each_in_its_own_look():
    with figure_style(of_six()[0].system_id):
        figures = drawn_of_six()
        for name, figure in figures.items():
            lines = [line for axes in figure.axes for line in axes.lines]
            drawn = {(to_hex(colour), line.get_marker()) for line in lines for colour in (line.get_markeredgecolor(), line.get_markerfacecolor())}
            for model in SIX:
                look = look_of(System("base", "base", model=model))
                assert (look.colour, look.marker) in drawn, f"{name}: {model}"
            assert max(figure.get_size_inches()) < 20, name
        assert [label.get_text() for label in figures["models"].axes[0].get_yticklabels()] == list(SIX)


def test_the_first_sentence_says_which_model_hears_best_and_whether_that_is_settled():
    _, pairs = of_six()
    with models_in(pairs.system_a):
        [sentence] = model_sentences(pairs, {"confidence": 0.95, "equivalence_margin": 0.03})
    assert sentence.startswith("As they are, voxtral and base did best on development sources;")
    assert sentence.endswith("voxtral's balanced accuracy less base's is +10.0 points [+4.0,\N{NO-BREAK SPACE}+16.0]: the two differ.")
