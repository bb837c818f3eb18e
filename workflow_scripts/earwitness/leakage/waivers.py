"""Waivers: failed checks that someone answers for, with a reason, until a day."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from earwitness.core.arguments import settings_of
from earwitness.core.errors import InputError


@dataclass(frozen=True)
class Waiver:
    """A check that may fail without stopping training.

    check: its id; reason, by: why, and who says so; expires: the last day (ISO 8601, YYYY-MM-DD) on which it counts.
    """

    check: str
    reason: str
    by: str
    expires: str


def read_waivers(entries: Iterable[dict[str, Any]], known_checks: Sequence[str], today: date) -> list[Waiver]:
    """The waivers of the configuration's `audit.waivers`, ordered by check.

    known_checks: ids of the checks that there are. today is only compared: on any day before a waiver expires the result
    is the same.
    Raises InputError where an entry is malformed, waives an unknown check or one twice, or has expired.
    """
    waivers: dict[str, Waiver] = {}
    for position, entry in enumerate(entries):
        where = f"audit.waivers[{position}]"
        waiver = settings_of(Waiver, where, entry)
        for key, value in entry.items():
            if not isinstance(value, str) or not value.strip():
                raise InputError(f"{where}: {key} = {value!r}; give a text (a date in quotes)")
        if waiver.check not in known_checks:
            raise InputError(f"{where}: there is no check {waiver.check}; hint: one of {', '.join(known_checks)}")
        if waiver.check in waivers:
            raise InputError(f"{where}: check {waiver.check} is waived twice; keep one waiver")
        if iso_day(waiver.expires, where) < today:
            raise InputError(f"{where}: the waiver of {waiver.check} expired on {waiver.expires}; repair the split, or renew the waiver")
        waivers[waiver.check] = waiver
    return [waivers[check] for check in sorted(waivers)]


def iso_day(text: str, where: str) -> date:
    """Parse YYYY-MM-DD; raises InputError naming `where`."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{where}: {text!r} is no date; give YYYY-MM-DD") from error
