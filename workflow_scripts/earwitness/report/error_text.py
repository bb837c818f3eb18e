"""What systems get wrong, and how well their probabilities hold, in sentences."""

import pandas as pd

from earwitness.report.formats import decimal, percent, percent_range
from earwitness.report.style import LABEL_NAMES, headline, in_order, rows_of, system_name
from earwitness.systems import BASE


def error_sentences(rates: pd.DataFrame) -> list[str]:
    """A sentence for the base and for the first honest adapter: how often each class is wrong.

    rates: earwitness.tables.error_analysis.ERROR_RATES.
    """
    systems = in_order(rates.system_id)
    chosen = [system for system in systems if system == BASE] + [system for system in systems if system.kind == "adapter" and system.is_honest][:1]
    sentences = []
    for system in chosen:
        parts = []
        for label, wrong in (("SPEECH", "misses"), ("NONSPEECH", "takes for speech")):
            own = rates[(rates.system_id == str(system)) & (rates.label == label)]
            for row in rows_of(own[own.factor == "all"]):
                text = f"{wrong} {percent(row.error_rate)} {percent_range(row.low, row.high)} of {LABEL_NAMES[label]}".replace("  ", " ")
                parts.append(text)
        if parts:
            name = system_name(system)
            sentences.append(f"{name[0].upper()}{name[1:]} {' and '.join(parts)}.")
    return sentences


def calibration_sentence(calibration: pd.DataFrame) -> str:
    """By how much a temperature improves the base's and the first honest adapter's probabilities; empty without either.

    calibration: earwitness.tables.calibration.CALIBRATION.
    """
    systems = in_order(calibration.system_id)
    chosen = [system for system in systems if system == BASE] + [system for system in systems if system.kind == "adapter"][:1]
    parts = []
    for system in chosen:
        own = calibration[calibration.system_id == str(system)]
        before, after = (rows_of(headline(own[own.method == method])) for method in ("none", "temperature"))
        if before and after:
            parts.append(f"{decimal(before[0].ece_corrected, 3)} to {decimal(after[0].ece_corrected, 3)} for the {system_name(system)}")
    return f"One number fitted on development sources, a temperature, takes the calibration error from {', and from '.join(parts)}." if parts else ""
