"""An adapter answers nothing that it trained on."""

import json

import numpy as np
import pandas as pd
import soundfile

from earwitness.corpora.catalogue import catalogue
from earwitness.corpora.data_sets import DataSet
from earwitness.corpora.file_checks import Limits
from earwitness.splits.study import untrained_stimuli


def split_of(**parts: str) -> pd.DataFrame:
    return pd.DataFrame({"stimulus_id": list(parts), "source_id": [name[0] for name in parts], "part": list(parts.values())})


STIMULI = pd.DataFrame({"stimulus_id": ["a1", "b1", "b2", "c1", "d1"], "source_id": ["a", "b", "b", "c", "d"]})
GROUPED = split_of(a1="train", b1="test", b2="test", c1="dev")


def test_the_dev_and_test_parts_of_every_split_are_asked_about_and_sources_outside_all_splits():
    assert untrained_stimuli(STIMULI, [GROUPED]) == {"b1", "b2", "c1", "d1"}
    rows = split_of(a1="test")
    assert untrained_stimuli(STIMULI, [rows, GROUPED]) == {"a1", "b1", "b2", "c1", "d1"}


def test_what_the_adapter_trained_on_is_left_out_whatever_another_split_calls_it():
    own = split_of(a1="test", b1="train", b2="train", c1="dev")
    assert untrained_stimuli(STIMULI, [own, GROUPED]) == {"a1", "c1", "d1"}


def test_a_source_that_tunes_is_asked_about_in_its_split_alone():
    stimuli = pd.concat([STIMULI, pd.DataFrame({"stimulus_id": ["c2"], "source_id": ["c"]})])
    assert untrained_stimuli(stimuli, [GROUPED]) == {"b1", "b2", "c1", "d1"}


def test_sounds_of_freesound_that_trained_in_one_data_set_are_not_asked_about_in_another(tmp_path):
    """Of 30 sounds of FSD50K, 20 are in ESC-50 too, and train; by uploader, 2 more are of those who made them."""
    sounds, clips = tmp_path / "esc50", tmp_path / "fsd50k"
    for folder in ("esc50/audio", "esc50/meta", "fsd50k/FSD50K.dev_audio", "fsd50k/FSD50K.ground_truth", "fsd50k/FSD50K.metadata"):
        (tmp_path / folder).mkdir(parents=True)
    tone = 0.1 * np.sin(np.arange(8000))
    shared, alone = [str(number) for number in range(1000, 1020)], [str(number) for number in range(2000, 2010)]
    rows = [f"1-{name}-A-0.wav,dog,{name}" for name in shared]
    (sounds / "meta/esc50.csv").write_text("\n".join(["filename,category,src_file", *rows]))
    (clips / "FSD50K.ground_truth/dev.csv").write_text("\n".join(["fname,labels", *(f'{name},"Bark,Dog"' for name in shared + alone)]))
    for name in shared:
        soundfile.write(sounds / f"audio/1-{name}-A-0.wav", tone, 16_000)
    for name in shared + alone:
        soundfile.write(clips / f"FSD50K.dev_audio/{name}.wav", tone, 16_000)

    def ids(uploaders):
        info = clips / "FSD50K.metadata/dev_clips_info_FSD50K.json"
        info.write_text(json.dumps({name: {"uploader": person} for name, person in uploaders.items()}))
        limits = Limits(0.3, 0.01, 0.05, -60.0)
        return [
            catalogue(DataSet(name, path, layout=name), limits, uploaders=uploaders).recordings
            for name, path in (("esc50", sounds), ("fsd50k", clips))
        ]

    for uploaders, unheard in (({}, set(alone)), ({"1000": "ann", "2000": "Ann", "2001": "ann"}, set(alone[2:]))):
        trained, measured = ids(uploaders)
        split = pd.DataFrame({"stimulus_id": trained.recording_id, "source_id": trained.source_id, "part": "train"})
        stimuli = pd.DataFrame({"stimulus_id": measured.recording_id, "source_id": measured.source_id})
        assert untrained_stimuli(stimuli, [split]) == {f"fsd50k:{name}" for name in unheard}
        # Were a sound a source of its data set, as it once was, all would be asked about, the 20 that trained among them.
        naive = split.assign(source_id=split.stimulus_id)
        asked = untrained_stimuli(stimuli.assign(source_id=stimuli.stimulus_id), [naive])
        assert len(asked) == 30 and len(asked & {f"fsd50k:{name}" for name in shared}) == 20
