import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroomacoustics.experimental import measure_rt60

from earwitness.audio.io import SAMPLE_RATE
from earwitness.audio.rooms import ROOMS, room_response
from earwitness.stimuli.design import factorial, grid
from earwitness.stimuli.mixing import BANDS_HZ

levels = st.lists(st.integers(-40, 60), min_size=1, max_size=6, unique=True)
durations = st.lists(st.integers(20, 2000), min_size=1, max_size=6, unique=True)


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_reverberates_as_long_as_it_says(name):
    response = room_response(name)
    for decay_db in (20, 30):
        assert measure_rt60(response, fs=SAMPLE_RATE, decay_db=decay_db) == pytest.approx(ROOMS[name].rt60_s, rel=0.1)


@pytest.mark.parametrize("name", ROOMS)
def test_a_response_begins_with_the_direct_sound_and_holds_the_first_second(name):
    response = room_response(name)
    assert response[0] == 1
    assert np.abs(response[1:]).max() < 1
    assert np.abs(response[10:]).max() > 0.05
    assert len(response) > ROOMS[name].rt60_s * SAMPLE_RATE


def test_the_anechoic_response_is_the_direct_sound_alone():
    np.testing.assert_array_equal(room_response("anechoic"), [1.0])


@given(durations, levels)
def test_a_factorial_design_has_every_pair_once_and_no_name_twice(durations_ms, snrs_db):
    made = factorial(durations_ms, snrs_db)
    assert {(condition.duration_ms, condition.snr_db) for condition in made} == {(d, s) for d in durations_ms for s in snrs_db}
    assert len({condition.name for condition in made}) == len(made) == len(durations_ms) * len(snrs_db)
    assert not {condition.name for condition in made} & {condition.name for condition in factorial(durations_ms, snrs_db, "other@")}


@given(durations, levels)
def test_a_grid_varies_one_thing_at_a_time(durations_ms, snrs_db):
    reference, *others = grid(durations_ms, snrs_db, list(BANDS_HZ), ["anechoic", *ROOMS])
    assert reference.duration_ms == max(durations_ms)
    assert len({condition.name for condition in others}) == len(others) == len(durations_ms) + len(snrs_db) + 3 + 3
    for condition in others:
        differing = {
            name for name, value in condition.columns.items() if value not in (reference.columns[name], None) and name not in ("axis", "design")
        }
        allowed = {"duration": "duration_ms", "snr": "snr_db", "band": "band", "room": "room"}[condition.axis]
        assert differing - {"snr_db"} <= {allowed}
        assert np.isnan(condition.columns["snr_db"]) == (condition.axis != "snr")
