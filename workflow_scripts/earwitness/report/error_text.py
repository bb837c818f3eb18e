"""What systems get wrong, and how well their probabilities hold, in sentences."""

from collections.abc import Sequence

import pandas as pd

from earwitness.report.formats import decimal, percent, percent_range
from earwitness.report.style import LABEL_NAMES, headline, in_order, rows_of, system_name
from earwitness.systems import System


def error_sentences(rates: pd.DataFrame) -> list[str]:
    """A sentence for every base and for its first honest adapter: how often each class is wrong.

    rates: earwitness.tables.error_analysis.ERROR_RATES.
    """
    systems = in_order(rates.system_id)
    chosen = _bases_and_adapters([system for system in systems if not system.is_leaky])
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
    """By how much a temperature improves every base's and its first honest adapter's probabilities; empty without either.

    calibration: earwitness.tables.calibration.CALIBRATION.
    """
    systems = in_order(calibration.system_id)
    chosen = _bases_and_adapters(systems)
    parts = []
    for system in chosen:
        own = calibration[calibration.system_id == str(system)]
        before, after = (rows_of(headline(own[own.method == method])) for method in ("none", "temperature"))
        if before and after:
            parts.append(f"{decimal(before[0].ece_corrected, 3)} to {decimal(after[0].ece_corrected, 3)} for the {system_name(system)}")
    return f"One number fitted on development sources, a temperature, takes the calibration error from {', and from '.join(parts)}." if parts else ""


def _bases_and_adapters(systems: Sequence[System]) -> list[System]:
    """The bases among some systems, and the first adapter of each model."""
    first = {system.model: system for system in reversed(systems) if system.kind == "adapter"}
    return [system for system in systems if system.kind == "base" or first.get(system.model) == system]
