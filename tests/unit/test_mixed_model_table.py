import numpy as np
import pandas as pd
import pytest
from simulated_observers import TRUTH, simulated_answers, simulated_index

from earwitness.evaluation.response_models import mixed_model_tables
from earwitness.report.mixed_model_table import left_out_sentence, mixed_model_rows, mixed_model_sentences
from earwitness.tables.files import validate
from earwitness.tables.mixed_models import MIXED_MODEL_EFFECTS, MIXED_MODEL_FITS
from earwitness.tables.splits import SPLIT

NO_SPLIT = pd.DataFrame({name: [] for name in SPLIT.columns})


def tables(*answers, index):
    effects, fits = mixed_model_tables(pd.concat(answers), index, NO_SPLIT, 0.95)
    return validate(effects, MIXED_MODEL_EFFECTS), validate(fits, MIXED_MODEL_FITS)


@pytest.fixture(scope="module")
def study():
    """A base for which a higher SNR helps more at short durations, an adapter with two seeds, and a detector that is never wrong."""
    noisy, clean = simulated_index(14), simulated_index(14, durations=(20, 80, 300, 1000), snrs=(np.nan,))
    index = pd.concat([noisy, clean], ignore_index=True)
    base = simulated_answers(index, TRUTH | {"label:logdur:snr": -1.5}, system="base")
    adapters = [simulated_answers(noisy, system="attention-grouped", seed=k).assign(seed=pd.array([k] * len(noisy), dtype="Int64")) for k in (1, 2)]
    adapters = [pd.concat([rows, simulated_answers(clean, system="attention-grouped").assign(seed=rows.seed[0])]) for rows in adapters]
    perfect = simulated_answers(index, system="silero").assign(answer=index.label)
    return tables(base, *adapters, perfect, index=index)


def test_the_sign_of_the_interaction_becomes_words(study):
    effects, fits = study
    first = mixed_model_sentences(effects, fits, 0.95)[0]
    assert first.startswith("base model, zero-shot, in noise: a tenfold duration changes d′ by ")
    assert "A higher SNR helps more at short durations (−" in first
    turned = effects.assign(estimate=-effects.estimate, low=-effects.high, high=-effects.low)
    assert "A higher SNR helps more at long durations" in mixed_model_sentences(turned, fits, 0.95)[0]


def test_an_interaction_that_was_not_found_is_not_claimed(study):
    effects, fits = study
    doubtful = effects.assign(p_holm=effects.p_holm.where(effects.p_holm.isna(), 0.3))
    first = mixed_model_sentences(doubtful, fits, 0.95)[0]
    assert "these data do not settle" in first
    assert "A higher SNR helps more at short durations (" not in first
    untested = mixed_model_sentences(effects.assign(p_holm=np.nan), fits, 0.95)[0]
    assert "is not tested" in untested


def test_every_fit_with_estimates_is_there_and_one_without_is_named_with_the_reason(study):
    effects, fits = study
    sentences, rows = mixed_model_sentences(effects, fits, 0.95), mixed_model_rows(effects, fits)
    assert len(sentences) == 4 and len(fits) == 10, "of both seeds, their mean"
    assert not [row for row in rows if row["system"] == "Silero VAD"] and not [text for text in sentences if text.startswith("Silero")]
    assert "Silero VAD in noise, Silero VAD without noise: its answers are predicted perfectly" in left_out_sentence(effects, fits)
    assert left_out_sentence(effects, fits).count("predicted perfectly") == 1
    assert all("nan" not in value.lower() for row in rows for value in row.values())
    assert all("nan" not in sentence.lower().replace("and", "") for sentence in sentences)


def test_seeds_stand_alone_where_their_mean_has_no_estimate(study):
    effects, fits = study
    alone = fits.assign(status=fits.status.mask(fits.seed == "all", "not_pooled"))
    assert len([text for text in mixed_model_sentences(effects, alone, 0.95) if ", seed 2, in noise" in text]) == 1


def test_rows_give_the_tables_numbers_and_interval(study):
    effects, fits = study
    chosen = {"system": "attention adapter, honest split", "stimuli": "in noise"}
    rows = [row for row in mixed_model_rows(effects, fits) if row | chosen == row]
    assert rows[0]["effect"] == "sensitivity (d′) at 100 ms and 0 dB"
    table = effects[(effects.system_id == "attention-grouped") & (effects.seed == "all") & (effects.stimuli == "noisy")].set_index("term")
    assert rows[0]["estimate"] == f"{table.estimate.label:.2f}"
    assert rows[0]["interval"] == f"[{table.low.label:.2f},\N{NO-BREAK SPACE}{table.high.label:.2f}]"
    clean = [row["effect"] for row in mixed_model_rows(effects, fits) if row["stimuli"] == "without noise" and row["system"].startswith("base")]
    assert clean == ["sensitivity (d′) at 100 ms", "gain in d′ per tenfold duration", "leaning towards “speech” at 100 ms"]


def test_an_effect_whose_interval_is_wider_than_all_of_d_prime_is_not_shown(study):
    effects, fits = study
    vague = (effects.system_id == "base") & (effects.term == "label:logdur")
    wide = effects.assign(low=effects.low.mask(vague, -7.48), high=effects.high.mask(vague, 14.07))
    rows = [row for row in mixed_model_rows(wide, fits) if row["system"].startswith("base")]
    assert not [row for row in rows if "tenfold duration" in row["effect"] and "change" not in row["effect"]]
    assert "-7.48" not in str(rows) and "what a tenfold duration changes is too uncertain to say" in mixed_model_sentences(wide, fits, 0.95)[0]
    assert "base model, zero-shot in noise: 1 of its effects has an interval wider than 4.7 in d′" in left_out_sentence(wide, fits)


def test_few_sources_are_described_not_tested():
    index = simulated_index(4)
    effects, fits = tables(simulated_answers(index, system="base"), index=index)
    assert "describes these sources only" in mixed_model_sentences(effects, fits, 0.95)[0]
    assert "describes these sources only" in mixed_model_rows(effects, fits)[0]["remark"]
