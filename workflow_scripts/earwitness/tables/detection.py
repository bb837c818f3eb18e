"""Tables about speech found in recordings."""

from earwitness.tables import meanings
from earwitness.tables.columns import choice, count, number, schema, second, share, text

DETECTION = schema(
    "detection",
    {
        "system_id": text(means=meanings.SYSTEM),
        "rule": choice(["own", "tuned"], means="thresholds and shortest durations: the detector's own, or tuned on development recordings"),
        "n_recordings": count(means="recordings of the test part, annotated throughout"),
        "n_sources": count(means=meanings.N_SOURCES),
        "speech_s": second(means="speech in them"),
        "other_s": second(means="the rest of them"),
        "error_rate": number(means="detection error rate: (missed speech + false alarms) / speech", nullable=True),
        "low": number(means=meanings.LOW, nullable=True),
        "high": number(means=meanings.HIGH, nullable=True),
        "missed_rate": share(means="share of speech that was missed", nullable=True),
        "false_alarm_rate": number(means="false alarms / speech, the other part of the error rate", nullable=True),
        "false_alarm_share": share(means="share of the rest that was taken for speech", nullable=True),
        "roc_area": share(means="area under the ROC of frames of 10 ms", nullable=True),
        "shared_boundaries": share(
            means="share of the annotation's boundaries at one distance, to 1 ms, from the detector's: near 1 where it made the annotation",
            nullable=True,
        ),
        "onset": share(means="probability from which a segment begins"),
        "offset": share(means="probability below which it ends"),
        "min_speech_s": second(means="shortest segment"),
        "min_silence_s": second(means="shortest silence between segments"),
    },
    unique=["system_id", "rule"],
)
"""How well each detector finds the speech in test recordings, all recordings together."""

DETECTION_TRACKS = schema(
    "detection_tracks",
    {
        "recording_id": text(means="recording of the test part"),
        "frame": count(means="number of the frame, counted from the recording's start; `segments.json` has its length"),
        "probability": share(means="of speech in the frame; empty where there is no sound at all", nullable=True),
    },
    unique=["recording_id", "frame"],
)
"""What the detector that is handed over makes of test recordings, smoothed as it was tuned."""

DETECTION_ROC = schema(
    "detection_roc",
    {
        "system_id": text(means=meanings.SYSTEM),
        "threshold": share(means="probability from which a frame counts as speech"),
        "false_alarms": share(means="share of the frames without speech that count as speech"),
        "hits": share(means="share of the frames with speech that count as speech"),
    },
)
"""The receiver operating characteristic of frames of 10 ms, at up to 200 thresholds."""
