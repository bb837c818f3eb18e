"""The published design drawn again: who is in a draw, and what the draws say together."""

import numpy as np
import pandas as pd
import pytest
from draws_by_hand import answers_of, drawn_by_hand

from earwitness.core.errors import InputError
from earwitness.evaluation.draws import draw_table
from earwitness.report.draws_figure import draw_draws
from earwitness.report.draws_text import draws_sentences
from earwitness.report.style import figure_style
from earwitness.splits.study import PublishedDesign, redraw_design
from earwitness.tables.columns import LABELS

PUBLISHED = PublishedDesign(3, 10, 160, 0.2, 96, 1, 2, 24, (200, 1000), (0, 5, 10, 20))


def pool(speakers: int = 8, sounds: int = 14, clips: int = 6) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A grouped split whose first sources of each class are tested, and the index: every clip at 3 durations x 5 SNRs."""
    rows = [
        (f"{source}@{clip}@{duration}@{snr}", f"{source}@{clip}", source, label, "test" if number < 3 else "train", duration, float(snr))
        for label, count in zip(LABELS, (speakers, sounds), strict=True)
        for number in range(count)
        for source in [f"{label}{number}"]
        for clip in range(clips)
        for duration in (200, 600, 1000)
        for snr in (0, 5, 10, 15, 20)
    ]
    table = pd.DataFrame(rows, columns=["stimulus_id", "clip_id", "source_id", "label", "part", "duration_ms", "snr_db"])
    return table[["stimulus_id", "clip_id", "source_id", "label", "part"]], table


def test_a_draw_has_the_published_numbers_to_the_letter():
    grouped, index = pool()
    parts = redraw_design(grouped, index, PUBLISHED, 0, 1)
    by_row, by_source = parts["by_row"], parts["by_source"]
    assert by_row.groupby(["part", "label"]).size().to_dict() == {
        ("dev", "NONSPEECH"): 16, ("dev", "SPEECH"): 16, ("test", "NONSPEECH"): 48, ("test", "SPEECH"): 48,
        ("train", "NONSPEECH"): 64, ("train", "SPEECH"): 64,
    }  # fmt: skip
    assert by_source.groupby(["part", "label"]).size().to_dict() == {
        ("test", "NONSPEECH"): 16, ("test", "SPEECH"): 8, ("train", "NONSPEECH"): 64, ("train", "SPEECH"): 72,
    }  # fmt: skip
    assert by_source.groupby(["part", "label"]).source_id.nunique().to_dict() == {
        ("test", "NONSPEECH"): 2, ("test", "SPEECH"): 1, ("train", "NONSPEECH"): 8, ("train", "SPEECH"): 2,
    }  # fmt: skip
    assert by_source[by_source.part == "test"].groupby("source_id").size().tolist() == [8, 8, 8]
    assert by_source.groupby("source_id").part.nunique().eq(1).all()
    assert set(by_row.source_id) == set(by_source.source_id) <= set(grouped.source_id[grouped.part == "train"])
    assert by_row.groupby("label").source_id.nunique().to_dict() == {"SPEECH": 3, "NONSPEECH": 10}
    asked = index.set_index("stimulus_id").loc[pd.concat([by_row, by_source]).stimulus_id]
    assert set(zip(asked.duration_ms, asked.snr_db, strict=True)) <= {(ms, snr) for ms in (200, 1000) for snr in (0.0, 5.0, 10.0, 20.0)}


def test_draws_differ_in_sources_and_rows_and_are_the_same_every_time():
    grouped, index = pool()
    draws = [redraw_design(grouped, index, PUBLISHED, draw, 1) for draw in range(6)]
    again = redraw_design(grouped.sample(frac=1, random_state=3), index.sample(frac=1, random_state=4), PUBLISHED, 2, 1)
    for kind in ("by_row", "by_source"):
        pd.testing.assert_frame_equal(draws[2][kind], again[kind])
        assert len({frozenset(draw[kind].source_id) for draw in draws}) > 3
    tested = {draw["by_source"].query("part == 'test' and label == 'SPEECH'").source_id.iloc[0] for draw in draws}
    assert len(tested) > 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"speakers": 5}, "has 2 SPEECH sources"),
        ({"clips": 2}, "3 SPEECH sources of draw 0 have 48 stimuli in all, splits.redrawn needs 128; raise clips.per_source"),
    ],
)
def test_too_few_sources_or_stimuli_are_refused_with_numbers_and_remedy(given, words):
    with pytest.raises(InputError, match=words):
        redraw_design(*pool(**given), PUBLISHED, 0, 1)


def test_the_draws_together_are_the_mean_over_draws_and_its_spread_by_hand():
    table = drawn_by_hand().set_index(["metric", "quantity", "draw"])
    accuracy, balanced = table.loc["accuracy"], table.loc["balanced_accuracy"]
    assert accuracy.value["honest_own"].to_dict() == pytest.approx({"0": 1.0, "1": 4 / 6, "all": 5 / 6})
    assert balanced.value["honest_own"].to_dict() == {"0": 1.0, "1": 0.5, "all": 0.75}
    row = accuracy.loc["honest_own", "all"]
    sd = (1 / 3) / np.sqrt(2)
    assert row.sd == pytest.approx(sd)
    assert (row.low, row.high) == (0.0, 1.0), "5/6 +- 12.706 sd / sqrt(2) is cut to what a share can be"
    assert (row.lowest, row.highest, row.n_draws, row.n_items) == (pytest.approx(4 / 6), 1.0, 2, 6)
    assert accuracy.value["leaky_first", "all"] == accuracy.value["leaky_extended", "all"] == 1.0
    assert accuracy.value["leaky_unseen", "all"] == accuracy.value["leaky_unseen", "1"] == 0.75
    assert accuracy.value["drop"].to_dict() == pytest.approx({"0": 0.0, "1": 1 / 3, "all": 1 / 6})
    assert balanced.value["leakage_buys", "all"] == 0.25
    assert accuracy.sd["leaky_extended", "all"] == 0.0
    assert np.isnan(accuracy.low["leaky_extended", "all"]), "two draws without a mistake are no interval without a width"


def test_six_draws_tell_where_the_mean_lies_and_where_one_more_draw_falls():
    """Five draws of 1 and one of 2/3: mean 17/18, standard deviation 1 / (3 sqrt(6)) = 0.1361, t(5) = 2.5706."""
    row = drawn_by_hand(6).set_index(["metric", "quantity", "draw"]).loc["accuracy", "honest_own", "all"]
    assert (row.value, row.sd) == (pytest.approx(17 / 18), pytest.approx(0.13608, abs=1e-5))
    assert row.low == pytest.approx(17 / 18 - 2.5706 * 0.13608 / 6**0.5, abs=1e-4)
    assert row.next_low == pytest.approx(17 / 18 - 2.5706 * 0.13608 * (7 / 6) ** 0.5, abs=1e-4)
    assert row.high == row.next_high == 1 and row.n_draws == 6


def test_what_leakage_buys_knows_that_all_draws_share_the_unseen_sources():
    """Every draw buys the same, so between draws nothing varies; the interval is that of the unseen sources, and is not empty."""
    row = drawn_by_hand().set_index(["metric", "quantity", "draw"]).loc["balanced_accuracy", "leakage_buys", "all"]
    assert row.sd == 0 and row.high - row.low > 0.1


def test_a_missing_split_is_named_and_other_systems_say_nothing():
    rows = answers_of("by_row_3", pool()[1], {})
    with pytest.raises(InputError, match=r"no split called (by_row_3|grouped) among none"):
        draw_table(rows, pool()[1], {}, 0.95)
    with pytest.raises(InputError, match="no adapter was trained on a redrawn split"):
        draw_table(rows.assign(split="grouped"), pool()[1], {}, 0.95)


def test_figure_and_sentences_tell_of_single_draws_and_of_the_published_one():
    draws = drawn_by_hand()
    with figure_style():
        [axes] = draw_draws(draws, {"attention_by_source": "79.2"}).axes
    assert "split by source: its own few test rows" in [label.get_text() for label in axes.get_yticklabels()]
    assert any(79.2 in line.get_xdata() for line in axes.lines)
    text = " ".join(draws_sentences(draws, 0.95)).replace("\N{NO-BREAK SPACE}", " ")
    assert "drawn 2 times: by row 100.0 % of 4 stimuli" in text
    assert "in single draws 66.7 % to 100.0 %" in text
    assert "leakage bought +25.0 points" in text
