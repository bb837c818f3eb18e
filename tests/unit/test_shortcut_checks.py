from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from earwitness.leakage.audit_input import AuditInput, Policy
from earwitness.leakage.checks import shortcuts as shortcut_checks
from earwitness.leakage.checks.shortcuts import (
    CONDITIONS,
    MOST_ITEMS,
    MOST_PER_SOURCE,
    acoustic_features,
    clustered_auc,
    out_of_fold_scores,
    sample_items,
    shortcut_features,
)

POLICY = Policy(**dict.fromkeys((key.name for key in fields(Policy)), 1) | {"shortcut_auc_warn": 0.6})
RATE = 16_000


@pytest.fixture(autouse=True)
def few_permutations(monkeypatch):
    monkeypatch.setattr(shortcut_checks, "PERMUTATIONS", 9)


@dataclass(frozen=True, eq=False)
class InMemory(AuditInput):
    """Evidence whose stimuli are a dictionary of waveforms."""

    audio: dict[str, np.ndarray] = field(default_factory=dict)

    def stimulus_audio(self) -> Iterator[tuple[str, np.ndarray]]:
        return ((name, self.audio[name]) for name in self.stimuli.stimulus_id if name in self.audio)


def make_evidence(
    change: Callable[[str, np.ndarray], np.ndarray] = lambda label, samples: samples, sources: int = 10, rates=(16_000, 16_000)
) -> InMemory:
    """Per class `sources` sources of two recordings of four stimuli: noise of every source's own level and colour, the classes alike."""
    rng = np.random.default_rng(7)
    recordings, stimuli, audio = [], [], {}
    for label, rate in zip(("SPEECH", "NONSPEECH"), rates, strict=True):
        for source in range(sources):
            source_id, level, colour = f"{label}{source}", rng.uniform(0.05, 0.3), rng.uniform(0.0, 0.8)
            for k in range(2):
                recording_id = f"{source_id}-{k}"
                recordings.append(
                    (recording_id, "small", f"{len(recordings):05d}.wav", "0" * 64, rate, 10.0 + rng.uniform(), source_id, "any", label, "CC0-1.0")
                )
                for j, duration_ms in enumerate((100, 200, 300, 400)):
                    stimulus_id = f"{recording_id}-{j}"
                    noise = rng.standard_normal(round(duration_ms * RATE / 1000))
                    noise[1:] += colour * noise[:-1]
                    audio[stimulus_id] = change(label, (level * noise).astype(np.float32))
                    condition = (duration_ms, 10.0, "full", "none", "peak", 10.0)
                    stimuli.append((stimulus_id, recording_id, source_id, label, ("train", "test")[source % 2], *condition))
    columns = ["stimulus_id", "recording_id", "source_id", "label", "part", *CONDITIONS, "achieved_snr_db"]
    names = ["recording_id", "dataset", "path", "sha256", "sample_rate", "duration_s", "source_id", "category", "label", "licence"]
    return InMemory(pd.DataFrame(stimuli, columns=columns), (), POLICY, pd.DataFrame(recordings, columns=names), (), audio=audio)


def test_classes_that_differ_in_nothing_trivial_raise_no_alarm():
    finding = shortcut_features(make_evidence())
    assert finding.status == "pass" and finding.offenders.empty
    assert finding.n_compared == 40 + 160 and finding.statistic is not None and finding.threshold == 0.6


def louder(label: str, samples: np.ndarray) -> np.ndarray:
    return samples / (1.0 if label == "SPEECH" else 6.0)


def padded(label: str, samples: np.ndarray) -> np.ndarray:
    return np.pad(samples, (1600 if label == "NONSPEECH" else 0, 0))


def offset(label: str, samples: np.ndarray) -> np.ndarray:
    return samples + np.float32(0.05 if label == "NONSPEECH" else 0.0)


def band_limited(label: str, samples: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(samples)
    spectrum[len(spectrum) // 2 :] *= 0.0 if label == "SPEECH" else 1.0
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def clipped(label: str, samples: np.ndarray) -> np.ndarray:
    return np.clip(samples * 4, -1, 1) / (1.0 if label == "SPEECH" else 1.01)


@pytest.mark.parametrize(
    ("change", "feature", "higher"),
    [
        (louder, "rms_dbfs", "SPEECH"),
        (padded, "leading_low_level_s", "NONSPEECH"),
        (offset, "dc_offset", "NONSPEECH"),
        (band_limited, "roll_off_hz", "NONSPEECH"),
        (clipped, "clipped_share", "SPEECH"),
    ],
)
def test_a_planted_shortcut_is_noted_and_the_evidence_puts_it_first(change, feature, higher):
    finding = shortcut_features(make_evidence(change))
    assert finding.status == "fail" and finding.statistic is not None and finding.statistic > 0.8
    assert finding.reason.startswith("acoustics tell the class of unseen sources with AUC ")
    assert finding.offenders.item_a.iloc[0] == feature and finding.offenders.detail.iloc[0].endswith(f"higher in {higher}")
    assert set(finding.offenders.source_a) == {""}


def test_it_says_how_far_it_is_while_it_asks_what_chance_does(monkeypatch, capsys):
    monkeypatch.setattr("earwitness.core.progress.QUIET_S", 0.0)
    shortcut_features(make_evidence(louder))
    assert "asking what chance does: 9 permutations in " in capsys.readouterr().err


def test_a_sample_rate_of_its_own_per_class_is_noted_with_what_it_means_for_the_model():
    finding = shortcut_features(make_evidence(rates=(16_000, 44_100)))
    assert finding.status == "fail" and finding.statistic == 1.0
    assert finding.reason.startswith("metadata tell the class") and "the model sees no header" in finding.reason and "acoustics" not in finding.reason
    assert finding.offenders.item_a.iloc[0] == "sample_rate_hz" and len(finding.offenders) == 5


def test_a_property_that_tells_sources_apart_but_not_classes_is_no_shortcut():
    """Every source has a level of its own, so folds by item, not by source, would tell the class nearly always."""
    evidence = make_evidence(sources=8)
    stimuli = evidence.stimuli
    levels = stimuli.source_id.map({name: 0.01 * 1.3**k for k, name in enumerate(np.random.default_rng(0).permutation(stimuli.source_id.unique()))})
    audio = {name: level * np.ones(1600, np.float32) for name, level in zip(stimuli.stimulus_id, levels, strict=True)}
    stimuli = stimuli.assign(duration_ms=100)
    assert shortcut_features(InMemory(stimuli, (), POLICY, evidence.recordings, (), audio=audio)).status == "pass"


def test_few_sources_are_not_judged():
    finding = shortcut_features(make_evidence(louder, sources=5))
    assert finding.status == "not_run" and "has 5; 6 are needed" in finding.reason


def test_missing_audio_is_not_taken_as_compared():
    evidence = make_evidence()
    finding = shortcut_features(InMemory(evidence.stimuli, (), POLICY, evidence.recordings))
    assert finding.status == "not_run" and "acoustics: 0 items" in finding.reason


@pytest.mark.slow
def test_the_finding_does_not_depend_on_the_order_of_rows():
    evidence = make_evidence(padded)
    shuffled = InMemory(
        evidence.stimuli.sample(frac=1, random_state=1), (), POLICY, evidence.recordings.sample(frac=1, random_state=2), (), audio=evidence.audio
    )
    one, other = shortcut_features(evidence), shortcut_features(shuffled)
    assert one.statistic == other.statistic and one.reason == other.reason
    pd.testing.assert_frame_equal(one.offenders, other.offenders)


def test_features_have_the_values_that_their_names_say():
    silence, tone = np.zeros(1600, np.float32), np.sin(2 * np.pi * 1000 * np.arange(3200) / RATE).astype(np.float32)
    features = acoustic_features(np.concatenate([silence, 0.5 * tone, silence, silence]))
    assert features["leading_low_level_s"] == pytest.approx(0.1) and features["trailing_low_level_s"] == pytest.approx(0.2)
    assert features["roll_off_hz"] == pytest.approx(1000, abs=30) and features["clipped_share"] == 0
    assert features["peak_dbfs"] == pytest.approx(-6.02, abs=0.01) and features["dc_offset"] == pytest.approx(0, abs=1e-6)
    assert acoustic_features(0.5 * tone)["crest_factor_db"] == pytest.approx(3.01, abs=0.01)
    assert acoustic_features(np.ones(16, np.float32))["clipped_share"] == 1


def test_digital_silence_has_finite_features():
    assert np.isfinite(list(acoustic_features(np.zeros(10, np.float32)).values())).all()


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 9)), min_size=4, max_size=40))
@settings(max_examples=50)
def test_the_clustered_auc_is_the_auc(rows):
    speech = np.array([row[1] for row in rows])
    if speech.all() or not speech.any():
        return
    sources = np.array([f"{row[1]}{row[0]}" for row in rows], object)
    scores = np.array([float(row[2]) for row in rows])
    assert clustered_auc(scores, speech, sources).value == pytest.approx(roc_auc_score(speech, scores))


def test_more_items_of_the_same_sources_do_not_narrow_the_interval():
    rng = np.random.default_rng(3)
    speech, sources = np.repeat([True, False], 10), np.arange(20).astype(str).astype(object)
    scores = rng.standard_normal(20) + speech
    one, many = (clustered_auc(np.repeat(scores, n), np.repeat(speech, n), np.repeat(sources, n)) for n in (1, 50))
    assert many.value == pytest.approx(one.value) and many.variance == pytest.approx(one.variance)


def test_no_source_is_scored_by_a_model_that_saw_it():
    """The label is random, but every source can be recognised, so only a leak between folds could score above chance."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(40), 6)
    features, speech = rng.standard_normal((40, 8))[codes], rng.permutation(np.arange(40) % 2 == 0)[codes]
    scores = out_of_fold_scores(features, speech, codes.astype(str).astype(object))
    assert scores is not None and max(roc_auc_score(speech, values) for values in scores.values()) < 0.75


def test_the_sample_is_bounded_equal_over_sources_and_of_the_same_conditions():
    sources = [f"{label}{k}" for label in ("SPEECH", "NONSPEECH") for k in range(30)]
    rows = [
        (f"{source}-{clip}-{duration}-{snr}", source, source.rstrip("0123456789"), duration, snr, "full", "none", "peak")
        for source in sources
        for clip in range(2)
        for duration in (200, 400, 600, 800, 1000)
        for snr in (0, 5, 10, 15, 20)
    ]
    items = pd.DataFrame(rows, columns=["stimulus_id", "source_id", "label", *CONDITIONS])
    sample = sample_items(items, "stimulus_id", CONDITIONS)
    assert sample.groupby("source_id").size().eq(MOST_PER_SOURCE).all() and list(sample.columns) == list(items.columns)
    conditions = sample.groupby("source_id").apply(lambda rows: tuple(sorted(zip(rows.duration_ms, rows.snr_db, strict=True))))
    assert len(set(conditions)) == 1 and len(set(conditions.iloc[0])) == MOST_PER_SOURCE
    many = pd.DataFrame(
        {"stimulus_id": np.arange(20_000).astype(str), "source_id": np.arange(20_000).astype(str), "label": ["SPEECH", "NONSPEECH"] * 10_000}
    )
    assert sample_items(many, "stimulus_id").label.value_counts().eq(MOST_ITEMS // 2).all()
