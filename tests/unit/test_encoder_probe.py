import json

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet as parquet
import pytest
import torch
from shards import write_shard
from small_study import study

from earwitness.audio.sounding import acoustics
from earwitness.core.errors import InputError
from earwitness.detectors.encoder_probe import COLUMNS, FITS, STRENGTHS, acoustic_vectors, fit_readout, probe, read_vectors
from earwitness.leakage.checks.tuning import TuningInput, _fitted_elsewhere
from earwitness.leakage.tuning_records import tuning_record
from earwitness.model.engine.batching import Batches
from earwitness.model.engine.loading import load_model
from earwitness.model.feature_files import encode_shard, read_features
from earwitness.model.identity import identified
from earwitness.model.untrained_tower import encode_controls, untrained_tower
from earwitness.report.hearing_text import hearing_sentences
from earwitness.systems import ACOUSTICS_PROBE, PROBES, System
from earwitness.tables.audio import iterate_audio
from earwitness.tables.stimuli import STIMULI

CPU = torch.device("cpu")


def vectors(split, informative=1.5, noise=12, seed=3):
    """One direction that tells speech, among others that tell nothing."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((len(split), 1 + noise))
    values[:, 0] += np.where(split.label == "SPEECH", informative, -informative)
    return pd.DataFrame(values, index=split.stimulus_id.tolist())


def test_the_readout_is_fitted_on_the_train_part_and_its_penalty_on_the_development_part():
    _, splits = study(n_sources=10)
    split = splits["grouped"]
    given = vectors(split)
    model, fitted = fit_readout(given, split)
    changed = given.copy()
    changed.loc[split.stimulus_id[split.part == "test"]] = 99.0
    assert fit_readout(changed, split)[1] == fitted
    changed.loc[split.stimulus_id[split.part == "dev"]] *= -1
    assert fit_readout(changed, split)[1]["strength"] == min(STRENGTHS)
    means = given.loc[split.stimulus_id[split.part == "train"]].mean().to_numpy()
    np.testing.assert_allclose(fitted["means"], means)
    by_hand = (given.to_numpy() - means) / fitted["scales"] @ fitted["weights"] + fitted["intercept"]
    np.testing.assert_allclose(model.decision_function(given.to_numpy()), by_hand)


def test_the_strength_is_the_one_of_least_loss_with_both_classes_weighing_the_same():
    from sklearn.linear_model import LogisticRegression

    _, splits = study(n_sources=12)
    split = splits["grouped"]
    split = split[(split.part != "dev") | (split.label == "SPEECH") | (np.arange(len(split)) % 3 == 0)]
    given = vectors(split, informative=0.3, noise=40)
    _, fitted = fit_readout(given, split)
    parts = {part: split[split.part == part] for part in ("train", "dev")}
    losses = []
    scaled = (given - np.array(fitted["means"])) / np.array(fitted["scales"])
    for strength in STRENGTHS:
        regression = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
        regression.fit(scaled.loc[parts["train"].stimulus_id].to_numpy(), parts["train"].label == "SPEECH")
        odds = regression.decision_function(scaled.loc[parts["dev"].stimulus_id].to_numpy())
        surprise = np.logaddexp(0, np.where(parts["dev"].label == "SPEECH", -odds, odds))
        losses.append(pd.Series(surprise).groupby(parts["dev"].label.to_numpy()).mean().mean())
    assert fitted["strength"] == STRENGTHS[int(np.argmin(losses))]
    assert fitted["development_loss"] == pytest.approx(min(losses))


def test_a_part_without_a_class_is_named():
    _, splits = study()
    split = splits["grouped"]
    split = split[(split.part != "dev") | (split.label == "SPEECH")]
    with pytest.raises(InputError, match="the dev part of the split does not hold both classes"):
        fit_readout(vectors(split), split)


def written(folder, split, column):
    given = vectors(split)
    values = [row.astype(np.float32).tobytes() for row in given.to_numpy()]
    table = pyarrow.table({"stimulus_id": pyarrow.array(given.index.tolist()), column: pyarrow.array(values, pyarrow.binary())})
    parquet.write_table(table, folder / f"{column}.parquet")
    return folder / f"{column}.parquet"


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_answers_every_stimulus_and_what_it_fitted_passes_the_audit(tmp_path, name):
    _, splits = study(n_sources=10)
    split = splits["grouped"]
    given = read_vectors([written(tmp_path, split, COLUMNS[name])], COLUMNS[name]) if name in COLUMNS else vectors(split, noise=2)
    split.to_csv(tmp_path / "split.csv", index=False)
    predictions, value, used = probe(System("encoder_probe", name), given, given, split)
    assert predictions.stimulus_id.tolist() == split.stimulus_id.tolist()
    assert predictions.kind.unique().tolist() == ["encoder_probe"]
    test = predictions.set_index("stimulus_id").loc[split.stimulus_id[split.part == "test"]]
    assert (test.answer.to_numpy() == split.label[split.part == "test"].to_numpy()).mean() > 0.85
    record = tuning_record(name, FITS[name], value, tmp_path / "split.csv", used)
    data = TuningInput(split, record["split_sha256"], [record], {name: FITS[name]}, pd.Series(dtype=str), pd.DataFrame(), {}, {})
    assert _fitted_elsewhere(data, {"statistics", "threshold"}).status == "pass"
    assert json.loads(json.dumps(record)) == record


def test_a_file_without_the_vectors_is_named(tmp_path):
    parquet.write_table(pyarrow.table({"stimulus_id": ["a"]}), tmp_path / "old.parquet")
    with pytest.raises(InputError, match=r"old\.parquet: holds no heard vectors"):
        read_vectors([tmp_path / "old.parquet"], "heard")


@pytest.mark.parametrize(("hertz", "amplitude", "milliseconds"), [(500, 0.1, 400), (2000, 0.5, 100), (250, 0.01, 1000)])
def test_level_bandwidth_and_duration_of_a_tone(hertz, amplitude, milliseconds):
    tone = amplitude * np.sin(2 * np.pi * hertz * np.arange(16 * milliseconds) / 16000)
    window = np.concatenate([np.zeros(3200), tone, np.zeros(3200)]).astype(np.float32)
    level, octaves, duration = acoustics(window)
    assert level == pytest.approx(20 * np.log10(amplitude / np.sqrt(2)), abs=0.05)
    assert octaves == pytest.approx(np.log2(hertz / 1000), abs=0.06)
    assert duration == milliseconds


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    return write_shard(tmp_path_factory.mktemp("shard") / "0.parquet", [f"s0-{number:02d}" for number in range(9)])


def test_what_is_heard_is_the_mean_of_what_is_projected(folder, shard, tmp_path):
    loaded = load_model(identified(folder))
    encode_shard(loaded, shard, tmp_path / "features.parquet", Batches(4, CPU))
    heard = read_vectors([tmp_path / "features.parquet"], "heard")
    [(names, embeddings)] = list(read_features(loaded, [tmp_path / "features.parquet"]))
    assert names == heard.index.tolist()
    with torch.no_grad():
        for name, own in zip(names, embeddings, strict=True):
            projected = loaded.model.model.multi_modal_projector(torch.tensor(heard.loc[name].to_numpy(), dtype=torch.float32))
            if len(own):
                torch.testing.assert_close(projected, own.mean(0), rtol=1e-4, atol=1e-5)
            else:
                assert not heard.loc[name].any()


def test_an_untrained_tower_has_the_bases_shape_and_positions_and_other_weights(folder):
    tower = untrained_tower(folder, seed=1).tower
    trained = load_model(identified(folder)).model.model.audio_tower.state_dict()
    own = tower.state_dict()
    assert {name: tensor.shape for name, tensor in own.items()} == {name: tensor.shape for name, tensor in trained.items()}
    assert torch.equal(own["embed_positions.weight"], trained["embed_positions.weight"])
    assert not torch.equal(own["layers.0.fc1.weight"], trained["layers.0.fc1.weight"])
    again, other = untrained_tower(folder, seed=1).tower.state_dict(), untrained_tower(folder, seed=2).tower.state_dict()
    assert torch.equal(own["layers.0.fc1.weight"], again["layers.0.fc1.weight"])
    assert not torch.equal(own["layers.0.fc1.weight"], other["layers.0.fc1.weight"])


def test_controls_hold_every_stimulus_whatever_the_batch(folder, shard, tmp_path):
    untrained = untrained_tower(folder, seed=1)
    for size in (1, 4):
        assert encode_controls(untrained, [shard], tmp_path / f"{size}.parquet", Batches(size, CPU)) == 9
    one, four = (read_vectors([tmp_path / f"{size}.parquet"], "untrained") for size in (1, 4))
    np.testing.assert_allclose(one, four, atol=1e-5)


def test_acoustics_of_stimuli_are_those_of_each_by_itself_and_no_models(shard):
    measured = acoustic_vectors([shard])
    for rows, waveforms in iterate_audio(shard, STIMULI):
        for name, waveform in zip(rows.stimulus_id, waveforms, strict=True):
            np.testing.assert_array_equal(measured.loc[name].to_numpy(), acoustics(waveform))
    assert measured.shape == (9, 3)
    assert System("encoder_probe", "acoustics_probe", model="") == ACOUSTICS_PROBE == System.parse("acoustics_probe") and not ACOUSTICS_PROBE.model
    for text in ("voxtral.acoustics_probe", "base.acoustics_probe"):
        with pytest.raises(InputError, match="no system"):
            System.parse(text)
    with pytest.raises(InputError, match="no system has these parts"):
        System("encoder_probe", "acoustics_probe", model="voxtral")


def tables(conclusion="different"):
    levels = {"base": 0.81, "tower_probe": 0.93, "untrained_probe": 0.70, "acoustics_probe": 0.62}
    rows = [(name, "-", "unseen", "balanced_accuracy", value, value - 0.02, value + 0.02) for name, value in levels.items()]
    accuracy = pd.DataFrame(rows, columns=["system_id", "seed", "test_set", "metric", "estimate", "low", "high"])
    pairs = [("tower_probe", "base", 0.12, 0.05, 0.19), ("tower_probe", "untrained_probe", 0.23, 0.15, 0.31)]
    comparisons = pd.DataFrame(pairs, columns=["system_a", "system_b", "difference", "low", "high"]).assign(test_set="unseen", conclusion=conclusion)
    return accuracy, comparisons, {"confidence": 0.95, "equivalence_margin": 0.05}


def test_the_paragraph_tells_ear_answers_and_controls_apart():
    text = " ".join(hearing_sentences(*tables()))
    for number in ("93", "81", "70", "62", "12", "23"):
        assert number in text
    assert "is lost before the answer" in text
    assert "has learned is worth" in text
    unsettled = " ".join(hearing_sentences(*tables("inconclusive")))
    assert "do not settle" in unsettled
    assert "not shown here" in unsettled


def test_without_probes_there_is_no_paragraph():
    accuracy, comparisons, statistics = tables()
    assert hearing_sentences(accuracy[accuracy.system_id != "untrained_probe"], comparisons, statistics) == []
