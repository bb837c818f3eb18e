"""Tables of psychometric functions."""

import pandera.pandas as pa

from earwitness.tables import meanings
from earwitness.tables.columns import choice, count, duration_ms, number, reliability, schema, share, text, whole

_AXES = ["duration", "snr"]
_MEASURES = ["balanced_accuracy", "d_prime"]
_DESIGNS = ["grid", "factorial"]
_LEVEL = "ms or dB"
_LINE = "ms or dB; inf above, -inf below the tested range"
_PER_STEP = "per decade of duration, or per dB"

_CURVE_IDENTITY = {
    "system_id": text(means=meanings.SYSTEM),
    "design": choice(_DESIGNS, means=meanings.DESIGN),
    "axis": choice(_AXES, means=meanings.AXIS),
    "held_duration_ms": whole(means=meanings.HELD_DURATION, unit="ms", check=pa.Check.gt(0)),
    "measure": choice(_MEASURES, means=meanings.MEASURE),
}

POINTS = schema(
    "points",
    {
        "system_id": text(means=meanings.SYSTEM),
        "design": choice(_DESIGNS, means=meanings.DESIGN),
        "axis": text(means="what this condition changes: `reference`, `duration`, `snr`, `band`, `room` or `duration_x_snr`"),
        "duration_ms": duration_ms(),
        "snr_db": number(means=meanings.SNR, unit="dB", nullable=True),
        "band": text(means=meanings.BAND),
        "room": text(means=meanings.ROOM),
        "n_speech": count(means="answers to speech, of all seeds"),
        "hits": count(means="those that say SPEECH"),
        "n_nonspeech": count(means="answers to other sounds, of all seeds"),
        "false_alarms": count(means="those that say SPEECH"),
        "balanced_accuracy": share(means=meanings.BALANCED_ACCURACY),
        "low": share(means=meanings.LOW, nullable=True),
        "high": share(means=meanings.HIGH, nullable=True),
        "d_prime": number(means="sensitivity z(hits) - z(false alarms), with the log-linear correction; seeds are pooled"),
        "d_prime_low": number(means=meanings.LOW, nullable=True),
        "d_prime_high": number(means=meanings.HIGH, nullable=True),
        "criterion": number(means="bias -(z(hits) + z(false alarms)) / 2; above 0 where the system says SPEECH too rarely"),
        "criterion_low": number(means=meanings.LOW, nullable=True),
        "criterion_high": number(means=meanings.HIGH, nullable=True),
        "n_speech_sources": count(means=meanings.N_SPEECH_SOURCES),
        "n_nonspeech_sources": count(means=meanings.N_NONSPEECH_SOURCES),
        "reliability": reliability(),
    },
)
"""One row per system and condition of the baseline set. Intervals hold for new sources and new seeds."""

THRESHOLDS = schema(
    "thresholds",
    {
        **_CURVE_IDENTITY,
        "target": number(means="what the curve must reach: 0.75 balanced accuracy, or the d' of an unbiased observer there, 1.349"),
        "status": choice(
            ["ok", "right_censored", "left_censored", "never", "non_monotone", "flat", "undecided"],
            means="`right_censored`, `left_censored`: above, below the tested range; `never`: the curve levels off below the target;"
            " `non_monotone`: accuracy falls by more than 5 points; `flat`: no rise, and none above 10 points fits the data;"
            " `undecided`: no rise is shown and none is excluded",
        ),
        "threshold": number(means="where the curve reaches the target; empty where it has no threshold", unit=_LINE, nullable=True),
        "low": number(means="lower end of its interval, clustered by source", unit=_LINE, nullable=True),
        "high": number(means="upper end of its interval", unit=_LINE, nullable=True),
        "isotonic": number(means="the threshold without a family of curves: of the isotonic regression", unit=_LINE, nullable=True),
        "interval": choice(["jackknife_t", "two_way_t", "none"], means=meanings.INTERVAL),
        "lowest_level": number(means="lowest tested level", unit=_LEVEL),
        "highest_level": number(means="highest tested level", unit=_LEVEL),
        "n_levels": count(means="tested levels"),
        "location": number(means="location of the fitted curve, on its axis: log10 of the duration in ms, or dB", nullable=True),
        "scale": number(means="scale of the fitted curve", unit=_PER_STEP, nullable=True),
        "lapse_rate": share(means="fitted share of answers that are wrong at any level", nullable=True),
        "slope": number(means="change of the proportion (for d': of Phi(d'/2)) at the threshold", unit=_PER_STEP, nullable=True),
        "deviance": number(means="twice the log-likelihood ratio of the saturated model and the curve"),
        "goodness_of_fit_p_assumes_independent_items": share(
            means="share of simulated data sets with a higher deviance; it takes answers for independent", nullable=True
        ),
        "n_speech_sources": count(means=meanings.N_SPEECH_SOURCES),
        "n_nonspeech_sources": count(means=meanings.N_NONSPEECH_SOURCES),
        "reliability": reliability(),
    },
)
"""Where each system's curve reaches the target."""

CURVES = schema(
    "curves",
    {
        **_CURVE_IDENTITY,
        "level": number(means="level on a fine grid", unit=_LEVEL),
        "fitted": number(means="the fitted curve there, in units of its measure"),
        "low": number(means="lower end of its pointwise interval; empty where a class has a single source", nullable=True),
        "high": number(means="upper end of its pointwise interval", nullable=True),
    },
)
"""Fitted curves; one that is flat or not monotone has no rows."""

CONTRASTS = schema(
    "threshold_contrasts",
    {
        "question": choice(
            ["system", "model", "duration"],
            means="`system`: a against the base b on one curve; `model`: the base of one model against that of another; `duration`: the SNR that a"
            " system needs at one duration against that at the longest",
        ),
        "system_a": text(means=meanings.SYSTEM),
        "system_b": text(means="the system that it is compared with"),
        "design": choice(_DESIGNS, means=meanings.DESIGN),
        "axis": choice(_AXES, means=meanings.AXIS),
        "held_duration_a": whole(means="length of a's sounds; empty for a duration curve", unit="ms", check=pa.Check.gt(0)),
        "held_duration_b": whole(means="length of b's sounds", unit="ms", check=pa.Check.gt(0)),
        "measure": choice(_MEASURES, means=meanings.MEASURE),
        "status_a": text(means="status of a's threshold, as in the table of thresholds"),
        "status_b": text(means="status of b's threshold"),
        "contrast": choice(["ratio", "difference"], means="of durations a over b, or of SNRs a minus b"),
        "value": number(means="the contrast; empty where a threshold is outside the tested range", unit="none, or dB", nullable=True),
        "low": number(means=meanings.LOW, unit="none, or dB", nullable=True),
        "high": number(means=meanings.HIGH, unit="none, or dB", nullable=True),
        "p": share(means="two-sided p, before correction; empty below 6 sources in a class", nullable=True),
        "p_holm": share(
            means="after Holm's correction over the contrasts in balanced accuracy of one question and one model, or of all detectors, or of model"
            " against model; d' is a check",
            nullable=True,
        ),
        "interval": text(means=meanings.INTERVAL),
        "n_speech_sources": count(means=meanings.N_SPEECH_SOURCES),
        "n_nonspeech_sources": count(means=meanings.N_NONSPEECH_SOURCES),
    },
)
"""Thresholds against each other, on the same sources."""
