"""The table of stimuli."""

from earwitness.tables import meanings
from earwitness.tables.columns import choice, duration_ms, label, number, schema, second, text

STIMULI = schema(
    "stimuli",
    {
        "stimulus_id": text(means=meanings.STIMULUS, unique=True),
        "clip_id": text(means=meanings.CLIP),
        "recording_id": text(means=meanings.RECORDING),
        "source_id": text(means=meanings.SOURCE),
        "label": label(),
        "category": text(means=meanings.CATEGORY),
        "noise_id": text(means="`none`, the noise's kind and seed, or its kind and the recordings that it was cut from"),
        "design": choice(["grid", "factorial"], means=meanings.DESIGN),
        "axis": text(
            means="`duration_x_snr` (factorial), or what the grid changes: `reference`, `duration`, `snr`, `band` or `room`; all else is the longest"
            " duration, no noise, band clean, room none"
        ),
        "duration_ms": duration_ms(),
        "snr_db": number(means=meanings.SNR + "; as asked for", unit="dB", nullable=True),
        "band": text(means=meanings.BAND),
        "room": text(means=meanings.ROOM),
        "normalisation": choice(["peak", "rms"], means="what was brought to a common level: the largest sample, or the root mean square"),
        "achieved_snr_db": number(means="signal-to-noise ratio, measured in the finished stimulus", unit="dB", nullable=True),
        "achieved_level_dbfs": number(means="level, measured in the finished stimulus", unit="dBFS"),
        "segment_start_s": second(means="where its sound starts in the recording"),
        "segment_end_s": second(means="where it ends in the recording", above=True),
    },
)
"""One row per stimulus; the shards carry an `audio` column besides. The grid's longest duration, its band "clean" and its room "anechoic"
equal the reference in content by construction; their floors are drawn apart."""
