from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import earwitness.report.model_card
from earwitness.audio.window import Level, Window
from earwitness.core.files import sha256_of
from earwitness.detectors.hand_over import Detector, Selection
from earwitness.detectors.presentation import Presentation
from earwitness.evaluation.probability import Calibration
from earwitness.model.families.registry import FAMILIES
from earwitness.report.model_card import BaseTerms, ModelCard, PassedAudit, Performance, TrainingData, render_card
from earwitness.systems import System
from earwitness.tables.accuracy import ACCURACY
from earwitness.tables.calibration import CALIBRATION
from earwitness.tables.comparisons import COMPARISONS

TEMPLATE = Path(earwitness.report.model_card.__file__).with_name("model_card.md.jinja")
STEADY, LUCKY = System("adapter", "steady", "grouped"), System("adapter", "lucky", "grouped")
DEVELOPMENT = {
    System("adapter", "lucky", "grouped", 1): 1.0, System("adapter", "lucky", "grouped", 2): 0.5,
    System("adapter", "steady", "grouped", 1): 0.9, System("adapter", "steady", "grouped", 2): 0.8,
}  # fmt: skip
BALANCED = {
    ("steady-grouped", "unseen", "1"): 0.81, ("steady-grouped", "unseen", "2"): 0.72, ("steady-grouped", "unseen", "all"): 0.765,
    ("steady-row_random", "unseen", "1"): 0.11, ("steady-row_random", "row_random", "1"): 0.99,
    ("base", "unseen", "-"): 0.60, ("base", "row_random", "-"): 0.12, ("silero", "unseen", "-"): 0.70,
}  # fmt: skip


def accuracy():
    rows = [
        [system, "?", test_set, seed, metric, value + shift, value + shift - 0.05, value + shift + 0.005, None, None, "jackknife_t", 9, 4, 5, "ok"]
        for (system, test_set, seed), value in BALANCED.items()
        for metric, shift in (("balanced_accuracy", 0), ("speech_accuracy", -0.02), ("nonspeech_accuracy", 0.003))
    ]
    return pd.DataFrame(rows, columns=list(ACCURACY.columns))


def calibration():
    rows = [
        {"system_id": system, "seed": seed, "method": method, "nll": nll, "brier": 0.2, "ece": 0.1, "ece_floor": 0.03}
        for system, seed, first in (("steady-grouped", "1", 0.9), ("steady-grouped", "2", 0.7), ("steady-grouped", "all", 0.8), ("base", "-", 0.6))
        for method, nll in (("none", first), ("temperature", first - 0.1), ("platt", first - 0.2))
    ]
    return pd.DataFrame(rows).reindex(columns=list(CALIBRATION.columns))


def comparisons():
    rows = [
        {"system_a": "lucky-grouped", "system_b": "base", "difference": -0.5, "low": -0.6, "high": -0.4, "conclusion": "different"},
        {"system_a": "steady-grouped", "system_b": "silero", "difference": 0.4, "low": 0.3, "high": 0.5, "conclusion": "different"},
        {"system_a": "steady-grouped", "system_b": "base", "difference": 0.165, "low": -0.01, "high": 0.34, "conclusion": "inconclusive"},
    ]
    return pd.DataFrame(rows).assign(test_set="unseen").reindex(columns=list(COMPARISONS.columns))


def data(embedded=()):
    stimuli = {"s1": 3, "s2": 1, "n1": 2, "s3": 2, "n2": 1, "s4": 1, "n3": 1, "n4": 1}
    parts = dict.fromkeys(("s1", "s2", "n1"), "train") | dict.fromkeys(("s3", "n2"), "dev") | dict.fromkeys(("s4", "n3", "n4"), "test")
    labels = {"s": "SPEECH", "n": "NONSPEECH"}
    split = [(f"{source}-{k}", source, labels[source[0]], parts[source]) for source, number in stimuli.items() for k in range(number)]
    recordings = [("vox", "s1", "CC BY 4.0"), ("vox", "s2", "CC BY 4.0"), ("esc", "n1", "CC BY-NC 3.0"), ("tests", "n3", "CC BY-NC-ND")]
    return TrainingData(
        pd.DataFrame(split, columns=["stimulus_id", "source_id", "label", "part"]),
        pd.DataFrame(recordings, columns=["dataset", "source_id", "licence"]),
        embedded,
        {"durations_ms": [200, 400], "snrs_db": [-5, 10], "noise": "white"},
    )


@pytest.fixture
def card(tmp_path):
    def render(seed=1, slope=2.0, tiny=False, waived=(), **changes):
        (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
        selection = Selection(System("adapter", "steady", "grouped", seed), DEVELOPMENT)
        presentation = Presentation(Window(600, 5.0, -80.0, Level("peak", -1.0)), 200, 400, Level())
        base = {"name": "some/base", "revision": "abc", "model_type": "qwen2_audio", "sha256": "f" * 64, "bytes": 1}
        prompt = {"question": "Is it speech?", "answer_format": "letters", "audio_position": "before", "template": None}
        detector = Detector(selection, tmp_path, base, tmp_path, "nf4", presentation, prompt, "temperature", Calibration(slope))
        recipe = {
            "target_modules": ["q_proj"],
            "scope": "language_model",
            "rank": 4,
            "alpha": 8,
            "steps": 10,
            "epochs": None,
            "batch_size": 8,
            "learning_rate": 0.001,
        }
        performance = Performance(accuracy(), calibration(), comparisons(), 0.9)
        audit = PassedAudit("c" * 64, 17, list(waived))
        values = ModelCard(detector, recipe, BaseTerms("Apache-2.0", tiny), data(**changes), audit, performance)
        return render_card(values, TEMPLATE).replace("\N{NO-BREAK SPACE}", " ").splitlines()

    return render


def table(lines, first):
    """The cells of the rows of the table whose head starts so."""
    start = next(k for k, line in enumerate(lines) if line.startswith(first)) + 2
    end = next((k for k in range(start, len(lines)) if not lines[k].startswith("|")), len(lines))
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[start:end]]


def test_the_accuracies_are_of_this_adapter_its_recipe_and_what_it_is_compared_with_on_unseen_sources(card):
    rows = table(card(), "| | balanced accuracy")
    assert [row[0] for row in rows] == ["this adapter", "mean over the recipe's seeds", "base model, zero-shot", "Silero VAD"]
    assert [row[1] for row in rows] == ["81.0 % [76.0, 81.5]", "76.5 % [71.5, 77.0]", "60.0 % [55.0, 60.5]", "70.0 % [65.0, 70.5]"]
    assert rows[0][2:] == ["79.0 % [74.0, 79.5]", "81.3 % [76.3, 81.8]", "4 + 5"]
    assert table(card(seed=2), "| | balanced accuracy")[0][1].startswith("72.0 %")


def test_the_difference_from_the_base_is_the_recipes_own(card):
    assert "Against the base (mean over seeds): +16.5 points [−1.0, +34.0]: inconclusive." in card()


def test_the_choice_shows_every_recipe_with_its_mean_and_seeds(card):
    assert table(card(), "| recipe | mean") == [
        ["lucky adapter, honest split", "75.0 %", "1: 100.0 %; 2: 50.0 %"],
        ["steady adapter, honest split", "85.0 %", "1: 90.0 %; 2: 80.0 %"],
    ]


def test_probabilities_are_told_before_and_after_the_chosen_calibration_of_this_very_seed(card):
    assert [row[1].split()[0] for row in table(card(), "| probabilities")] == ["0.900", "0.800"]
    assert [row[1].split()[0] for row in table(card(seed=2), "| probabilities")] == ["0.700", "0.600"]


def test_parts_are_counted_by_stimuli_and_sources_of_each_class(card):
    assert table(card(), "| part |") == [["train", "6", "2", "1"], ["dev", "3", "1", "1"], ["test", "3", "1", "2"]]
    assert any("* Tested on 1 + 2 sources" in line for line in card())


def test_licences_are_those_of_the_base_and_of_what_it_trained_on(card):
    assert table(card(), "| | licence") == [
        ["base model: some/base", "Apache-2.0"],
        ["training data: esc (1 source)", "CC BY-NC 3.0"],
        ["training data: vox (2 sources)", "CC BY 4.0"],
    ]
    assert "Not for commercial use as long as esc is in the training data." in card()
    made_here = card(embedded=["esc", "vox"])
    assert table(made_here, "| | licence")[1][1] == "synthesised by Earwitness" and not any("commercial" in line for line in made_here)


def test_what_must_not_be_used_says_so_and_a_waiver_is_told(card, tmp_path):
    assert not any("Not for use" in line for line in card())
    assert sum("**Not for use.**" in line for line in card(slope=0.0005, tiny=True)) == 2
    text = " ".join(card(waived=["L04", "L09"]))
    assert "audit (17 checks ran; waived: L04, L09)" in text and "c" * 64 in text
    assert sha256_of(tmp_path / "adapter_model.safetensors")[:16] in text


def test_what_the_family_of_the_base_does_not_hold_is_a_limit(card, monkeypatch):
    assert "| base's family | Qwen2-Audio (`qwen2_audio`), which hears a sound's own frames alone" in "\n".join(card())
    limited = replace(FAMILIES["qwen2_audio"], departures={"batch": "a sound moves by 0.1 beside a longer one"})
    monkeypatch.setitem(FAMILIES, "qwen2_audio", limited)
    assert "* Of this base's family: a sound moves by 0.1 beside a longer one." in card()
