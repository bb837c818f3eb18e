"""The table of stimuli."""

import pandera.pandas as pa

from earwitness.tables.columns import label, number, schema, text

STIMULI = schema(
    "stimuli",
    {
        "stimulus_id": text(unique=True),
        "clip_id": text(),
        "recording_id": text(),
        "source_id": text(),
        "label": label(),
        "category": text(),
        "noise_id": text(),
        "design": pa.Column(str, pa.Check.isin(["grid", "factorial"])),
        "axis": text(),
        "duration_ms": pa.Column(int, pa.Check.gt(0)),
        "snr_db": number(nullable=True),
        "band": text(),
        "room": text(),
        "normalisation": pa.Column(str, pa.Check.isin(["peak", "rms"])),
        "achieved_snr_db": number(nullable=True),
        "achieved_level_dbfs": number(),
        "segment_start_s": pa.Column(float, pa.Check.ge(0)),
        "segment_end_s": pa.Column(float, pa.Check.gt(0)),
    },
)
"""One row per stimulus; the shards carry an `audio` column besides. segment_start_s and segment_end_s are seconds in
the recording that the stimulus's segment was cut from.

design "factorial": axis "duration_x_snr". design "grid": one axis at a time, axis "reference", "duration", "snr", "band" or
"room"; off the axis, the longest duration, no noise, band "clean", room "none". The grid's longest duration, its band "clean"
and its room "anechoic" equal the reference in content by construction; their floors are drawn apart. snr_db: NaN where no
noise was added; active speech (sound) level over noise level. band: clean, telephone or am_radio. room: none, anechoic,
small_room or large_hall. noise_id: "none", the noise's kind and seed, or its kind and the recordings that it was cut from."""
