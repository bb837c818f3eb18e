"""Tables of psychometric functions."""

import pandera.pandas as pa

from earwitness.tables.columns import count, number, schema, share, text

_CURVE_IDENTITY = {
    "system_id": text(),
    "design": pa.Column(str, pa.Check.isin(["grid", "factorial"])),
    "axis": pa.Column(str, pa.Check.isin(["duration", "snr"])),
    "held_duration_ms": pa.Column("Int64", pa.Check.gt(0), nullable=True),
    "measure": pa.Column(str, pa.Check.isin(["balanced_accuracy", "d_prime"])),
}

POINTS = schema(
    "points",
    {
        "system_id": text(),
        "design": pa.Column(str, pa.Check.isin(["grid", "factorial"])),
        "axis": text(),
        "duration_ms": pa.Column(int, pa.Check.gt(0)),
        "snr_db": number(nullable=True),
        "band": text(),
        "room": text(),
        "n_speech": count(),
        "hits": count(),
        "n_nonspeech": count(),
        "false_alarms": count(),
        "balanced_accuracy": share(),
        "low": share(nullable=True),
        "high": share(nullable=True),
        "d_prime": number(),
        "d_prime_low": number(nullable=True),
        "d_prime_high": number(nullable=True),
        "criterion": number(),
        "criterion_low": number(nullable=True),
        "criterion_high": number(nullable=True),
        "n_speech_sources": count(),
        "n_nonspeech_sources": count(),
        "reliability": pa.Column(str, pa.Check.isin(["ok", "few_sources", "descriptive_only"])),
    },
)
"""One row per system and condition of the baseline set. Counts are answers of all seeds. d' and criterion with the
log-linear correction; criterion is above 0 where the system says speech too rarely. Intervals hold for new sources and new seeds."""

THRESHOLDS = schema(
    "thresholds",
    {
        **_CURVE_IDENTITY,
        "target": number(),
        "status": pa.Column(str, pa.Check.isin(["ok", "right_censored", "left_censored", "never", "non_monotone", "flat", "undecided"])),
        "threshold": number(nullable=True),
        "low": number(nullable=True),
        "high": number(nullable=True),
        "isotonic": number(nullable=True),
        "interval": pa.Column(str, pa.Check.isin(["jackknife_t", "two_way_t"])),
        "lowest_level": number(),
        "highest_level": number(),
        "n_levels": count(),
        "location": number(nullable=True),
        "scale": number(nullable=True),
        "lapse_rate": share(nullable=True),
        "slope": number(nullable=True),
        "deviance": number(),
        "goodness_of_fit_p_assumes_independent_items": share(nullable=True),
        "n_speech_sources": count(),
        "n_nonspeech_sources": count(),
        "reliability": pa.Column(str, pa.Check.isin(["ok", "few_sources", "descriptive_only"])),
    },
)
"""Where each system's curve reaches the target: 75 % balanced accuracy, or the d' of an unbiased observer there. Thresholds and
levels in ms (axis duration) or dB (axis snr, at held_duration_ms); -inf and inf mean below and above the tested range, empty no
threshold. location, scale and slope (change of the proportion) are per decade of duration or dB; for d' they are of Phi(d'/2)."""

CURVES = schema(
    "curves",
    {**_CURVE_IDENTITY, "level": number(), "fitted": number(), "low": number(), "high": number()},
)
"""Fitted curves in units of their measure, with pointwise intervals; a curve that is flat or not monotone has no rows."""

CONTRASTS = schema(
    "threshold_contrasts",
    {
        "question": pa.Column(str, pa.Check.isin(["system", "duration"])),
        "system_a": text(),
        "system_b": text(),
        "design": pa.Column(str, pa.Check.isin(["grid", "factorial"])),
        "axis": pa.Column(str, pa.Check.isin(["duration", "snr"])),
        "held_duration_a": pa.Column("Int64", pa.Check.gt(0), nullable=True),
        "held_duration_b": pa.Column("Int64", pa.Check.gt(0), nullable=True),
        "measure": pa.Column(str, pa.Check.isin(["balanced_accuracy", "d_prime"])),
        "status_a": text(),
        "status_b": text(),
        "contrast": pa.Column(str, pa.Check.isin(["ratio", "difference"])),
        "value": number(nullable=True),
        "low": number(nullable=True),
        "high": number(nullable=True),
        "p": share(nullable=True),
        "p_holm": share(nullable=True),
        "interval": text(),
        "n_speech_sources": count(),
        "n_nonspeech_sources": count(),
    },
)
"""Thresholds against each other, on the same sources. question: "system" (a against the base b on one curve) or "duration" (the SNR that a
system needs at one duration against that at the longest). The contrast is the ratio of durations (a over b) or the difference of SNRs
in dB (a minus b). Empty where a threshold is outside the tested range; p empty below 6 sources in a class. p_holm: over the tested
contrasts of the question, in balanced accuracy; d' is a check."""
