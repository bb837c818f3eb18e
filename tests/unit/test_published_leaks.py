"""Leaks that others published, rebuilt in small (docs/published_leaks.md): the audit finds each, in made sounds and in real recordings."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from test_same_voice import spectral_ear, voice

from earwitness.audio.io import SAMPLE_RATE, Waveform, read_mono
from earwitness.audio.speaker_embedding import not_installed
from earwitness.config import complete_config
from earwitness.leakage.audit import checks
from earwitness.leakage.audit_input import Policy
from earwitness.leakage.checks import same_voice, shortcuts
from earwitness.leakage.manifests import Columns, audited_manifests
from earwitness.leakage.registry import Finding

SPEAKERS = SOUNDS = 12


@dataclass(frozen=True)
class Sounds:
    """Recordings to build cases of: at least SPEAKERS speakers and SOUNDS sounds, a waveform of 4 s or a little less each."""

    speakers: list[Waveform]
    sounds: list[Waveform]


@pytest.fixture(params=["made", "real"])
def sounds(request, monkeypatch) -> Sounds:
    monkeypatch.setattr(shortcuts, "PERMUTATIONS", 8)
    if request.param == "made":
        monkeypatch.setattr(same_voice, "not_installed", lambda model: "")
        monkeypatch.setattr(same_voice, "speaker_embedding", spectral_ear)
        rng = np.random.default_rng(5)
        return Sounds([voice(k, 4.0, k) for k in range(SPEAKERS)], [voice(100 + k, 4.0, k) * rng.uniform(0.5, 2) for k in range(SOUNDS)])
    real_data = request.getfixturevalue("real_data")
    spoken = sorted((real_data / "voxconverse" / "audio").glob("*.wav"))[:SPEAKERS]
    other = sorted((real_data / "ESC-50" / "audio").glob("*.wav"))[: 2 * SOUNDS]
    heard = [sound for path in other if np.abs(sound := read_mono(path, 0, 4)[: 4 * SAMPLE_RATE]).max() > 0.01]
    if len(spoken) < SPEAKERS or len(heard) < SOUNDS:
        pytest.skip(f"{real_data} has too few recordings")
    return Sounds([read_mono(path, 0, 4) for path in spoken], heard[:SOUNDS])


Item = tuple[str, str, str, Waveform]
"""Part, file name, source (the class is SPEECH where it begins with "s"), and sound."""


def run_check(folder: Path, id: str, items: list[Item]) -> Finding:
    manifests = {}
    for part in ("train", "test"):
        rows = []
        for _, name, source, sound in (item for item in items if item[0] == part):
            path = folder / part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.clip(sound, -1, 1), SAMPLE_RATE, subtype="PCM_16")
            rows.append((f"{part}/{name}", "SPEECH" if source.startswith("s") else "NONSPEECH", source))
        manifests[part] = folder / f"{part}.csv"
        pd.DataFrame(rows, columns=["path", "label", "group"]).to_csv(manifests[part], index=False)
    settings = complete_config({})["audit"]
    del settings["waivers"]
    data = audited_manifests(manifests, Columns(), Policy.from_settings(settings), folder).data
    return next(check for check in checks() if check.id == id).run(data)


def clean(sounds: Sounds) -> list[Item]:
    """Two thirds of the sources train, the others test; every source has one name and is in one part."""
    items = []
    for letter, waveforms in (("s", sounds.speakers), ("n", sounds.sounds)):
        for k, waveform in enumerate(waveforms):
            items.append(("test" if k % 3 == 0 else "train", f"{letter}{k}.wav", f"{letter}{k}", waveform))
    return items


def by_source(items: list[Item]) -> list[Item]:
    """The same items, each source whole in one part."""
    return [("test" if int(source[1:]) % 3 == 0 else "train", name, source, sound) for _, name, source, sound in items]


def cut(waveform: Waveform, part: int, parts: int = 2) -> Waveform:
    return np.array_split(waveform, parts)[part]


def speakers_of_another_corpus(sounds: Sounds) -> list[Item]:
    """Two speakers of the evaluation corpus are in the training corpus too, recorded at another time, under that corpus's names."""
    items = [item for item in clean(sounds) if item[2] not in ("s0", "s3")]
    for k in (0, 3):
        items.append(("test", f"sitw/{k}.wav", f"s-sitw-{k}", cut(sounds.speakers[k], 0)))
        items.append(("train", f"vox/id{k}.wav", f"s-id{k}", cut(sounds.speakers[k], 1)))
    return items


def validation_list_inside_the_training_list(sounds: Sounds) -> list[Item]:
    """Every file of the held-out list is also in the training list."""
    items = clean(sounds)
    return items + [("train", f"again/{name}", f"{source}-again", sound) for part, name, source, sound in items if part == "test"]


def a_folder_copied_into_itself(sounds: Sounds) -> list[Item]:
    """Files are there twice, in a folder and in its subfolder, and rows are split at random."""
    items = clean(sounds)
    copies = [(source, name, sound) for _, name, source, sound in items if source in ("s1", "s5", "n2")]
    return items + [("test", f"read_speech/read_speech/{name}", f"{source}-copy", sound) for source, name, sound in copies]


def clips_of_one_recording_drawn_at_random(sounds: Sounds) -> list[Item]:
    """Clips are cut from one Freesound recording; a fifth of the clips, drawn at random, validates."""
    rng = np.random.default_rng(3)
    items = []
    for letter, waveforms in (("s", sounds.speakers), ("n", sounds.sounds)):
        for k, waveform in enumerate(waveforms):
            for take in range(4):
                items.append(("test" if rng.random() < 0.2 else "train", f"{letter}{k}-{take}.wav", f"{letter}{k}", cut(waveform, take, 4)))
    return items


def silence_that_tells_the_class(sounds: Sounds) -> list[Item]:
    """One class begins with silence of a third of a second, the other does not."""
    silence = np.zeros(SAMPLE_RATE // 3, np.float32)
    items = []
    for part, name, source, sound in clean(sounds):
        body = cut(sound, 1, 4)
        items.append((part, name, source, np.concatenate([silence, body]) if source.startswith("s") else np.concatenate([body, silence])))
    return items


def test_one_speaker_in_two_corpora_is_heard(sounds, tmp_path, request):
    if "real" in request.node.callspec.id and (reason := not_installed("campplus")):
        pytest.skip(reason)
    finding = run_check(tmp_path, "L16", speakers_of_another_corpus(sounds))
    assert finding.status == "fail"
    assert {frozenset(pair) for pair in zip(finding.offenders.source_a, finding.offenders.source_b, strict=True)} == {
        frozenset({"s-sitw-0", "s-id0"}),
        frozenset({"s-sitw-3", "s-id3"}),
    }


@pytest.mark.parametrize(
    ("id", "case", "named"),
    [
        ("L03", validation_list_inside_the_training_list, {"s0", "s0-again", "s3", "s3-again", "n9", "n9-again"}),
        ("L03", a_folder_copied_into_itself, {"s1", "s1-copy", "s5", "s5-copy", "n2", "n2-copy"}),
        ("L01", clips_of_one_recording_drawn_at_random, {"s0", "n0"}),
        ("L10", silence_that_tells_the_class, set()),
    ],
)
def test_the_leak_is_found_where_it_is_and_not_without_it(sounds, tmp_path, id: str, case: Callable[[Sounds], list[Item]], named: set[str]):
    finding = run_check(tmp_path / "leaky", id, case(sounds))
    assert finding.status == "fail"
    if id == "L10":
        best = finding.offenders[finding.offenders.item_a == "leading_low_level_s"].detail.iloc[0]
        assert "higher in SPEECH" in best and float(best.split("AUC ")[1].split()[0]) > 0.9
        return
    assert named <= {*finding.offenders.source_a, *finding.offenders.source_b}
    # What is in one item only could not have been shared, so L01 needs sources of several.
    honest = by_source(case(sounds)) if id == "L01" else clean(sounds)
    assert run_check(tmp_path / "clean", id, honest).status == "pass"
