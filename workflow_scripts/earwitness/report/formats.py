"""How numbers read: one way for percentages, points, intervals and p-values, in every table and sentence."""

from earwitness.report.style import without_value

MISSING = "–"
_MINUS, _SPACE = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"


def percent(share: float | None) -> str:
    """A share in [0, 1] as a percentage with one decimal, such as "84.2 %"."""
    return MISSING if share is None or without_value(share) else f"{100 * share:.1f}{_SPACE}%"


def percent_range(low: float | None, high: float | None) -> str:
    """Two shares as "[79.9, 88.1]" in per cent; empty where either is missing."""
    if low is None or high is None or without_value(low) or without_value(high):
        return ""
    return f"[{100 * low:.1f},{_SPACE}{100 * high:.1f}]"


def chance(probability: float) -> str:
    """A probability in [0, 1] in whole per cent without the sign; near one half with as many decimals as show on which side it lies, up to 2."""
    texts = (f"{100 * probability:.{digits}f}" for digits in range(3))
    return next((text for text in texts if float(text) != 50), "50")


def points(difference: float | None) -> str:
    """A difference of shares in percentage points with its sign, such as "+3.2"."""
    if difference is None or without_value(difference):
        return MISSING
    text = f"{100 * difference:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", _MINUS)


def points_range(low: float | None, high: float | None) -> str:
    """Two differences of shares as "[−1.0, +7.4]" in points; empty where either is missing."""
    if low is None or high is None or without_value(low) or without_value(high):
        return ""
    return f"[{points(low)},{_SPACE}{points(high)}]"


def p_value(p: float | None) -> str:
    """A p-value to three decimals, "< 0.001" below that."""
    if p is None or without_value(p):
        return MISSING
    return f"<{_SPACE}0.001" if p < 0.001 else f"{p:.3f}"


def decimal(value: float | None, digits: int = 2) -> str:
    """A number with so many decimals and a true minus sign."""
    return MISSING if value is None or without_value(value) else f"{value:.{digits}f}".replace("-", _MINUS)


def counted(number: int, noun: str) -> str:
    """A number of things, such as "1 stimulus" or "2,400 clips"; nouns in -us take -i, others -s."""
    plural = noun if number == 1 else noun[:-2] + "i" if noun.endswith("us") else noun + "s"
    return f"{number:,} {plural}"
