"""The prompt search in figures and words."""

import numpy as np
import prompt_examples as examples
import pytest

from earwitness.plan.figure_names import PROMPT_FIGURES
from earwitness.report.prompt_figures import FIGURES, PromptTables, draw_gains, draw_progress, proposers
from earwitness.report.prompt_text import prompt_rows, prompt_sentences
from earwitness.report.style import figure_style

BASE, BOTH = ("base",), ("base", "attention-grouped-seed-42")


def tables(names=("edits", "paraphrases"), seeds=examples.SEEDS, systems=BASE, **changes):
    gains = examples.gains(names, seeds, systems=systems, **changes)
    return PromptTables(gains, examples.history(names, seeds, systems), examples.conditions(names, systems))


def test_the_page_knows_every_figure():
    assert tuple(FIGURES) == PROMPT_FIGURES


@pytest.mark.parametrize(
    ("names", "seeds", "systems"),
    [
        (("edits", "paraphrases"), ("1",), BASE),
        (("edits", "opro", "paraphrases"), ("1", "2", "3", "4", "5"), BASE),
        (("edits", "paraphrases"), ("1", "2"), BOTH),
    ],
)
@pytest.mark.parametrize("figure", PROMPT_FIGURES)
def test_every_figure_is_drawn_and_its_texts_lie_inside_it(figure, names, seeds, systems):
    with figure_style():
        drawn = FIGURES[figure](tables(names, seeds, systems))
        drawn.set_dpi(50)
        drawn.draw_without_rendering()
        room = drawn.get_tightbbox().padded(-0.02)
    assert room.x0 >= 0 and room.y0 >= 0
    assert room.x1 <= drawn.get_figwidth() and room.y1 <= drawn.get_figheight()


def test_the_best_so_far_never_falls_and_counts_only_what_was_asked_about_everything():
    shown = tables()
    partial = shown.history.assign(gain=shown.history.gain.where(shown.history.n_stimuli == 120, 0.9))
    with figure_style():
        figure = draw_progress(PromptTables(shown.gains, partial, shown.conditions))
    for axes in figure.axes:
        for line in axes.lines[: len(examples.SEEDS)]:
            best = np.asarray(line.get_ydata(), dtype=float)
            assert (np.diff(best) >= 0).all() and best.max() < 50


def test_an_unknown_interval_leaves_the_dot():
    with figure_style():
        figure = draw_gains(tables(low=np.nan))
    assert [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2 and line.get_xdata()[0] != line.get_xdata()[1]] == []


def test_the_control_comes_last():
    assert proposers(["paraphrases", "opro", "edits"]) == ["edits", "opro", "paraphrases"]
    assert [row["proposer"] for row in prompt_rows(examples.gains(("paraphrases", "edits"), ("1",)))] == ["edits", "paraphrases"]


@pytest.mark.parametrize(("low", "verdict"), [(-0.01, "which covers zero"), (0.002, "which does not cover zero")])
def test_the_sentence_says_no_more_than_the_interval_does(low, verdict):
    sentences = prompt_sentences(examples.gains(low=low), 0.95, "none")
    assert len(sentences) == 2 and all(verdict in sentence and "in 3 searches" in sentence for sentence in sentences)
    assert "in 3 searches of 45 questions and 6,600 answers each" in sentences[0]
    assert "gains +1.2 points" in sentences[0] and "expected to show +3.0" in sentences[0]
    assert "of the adapter attention, seed 42 on test sources" in prompt_sentences(examples.gains(systems=BOTH), 0.95, "none")[-1]
    [single] = prompt_sentences(examples.gains(("edits",), ("1",), low=np.nan), 0.95, "none")
    assert "in one search" in single and "interval" not in single


def test_a_proposer_that_contributed_nothing_gets_no_credit():
    [text] = prompt_sentences(examples.gains(("opro",), searched=0, origin="direct"), 0.95, "none")
    assert text.startswith("Language model (OPRO) contributed nothing: none of its questions could be asked of the base model,")
    assert "gains" not in text
    [some] = prompt_sentences(examples.gains(("edits",), origin="initial"), 0.95, "none")
    assert some.endswith("; in 3 of 3 the choice was the initial question or one written by hand.")
    assert "written by hand" not in prompt_sentences(examples.gains(("edits",)), 0.95, "none")[0]
