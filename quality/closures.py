"""Closed days that somebody named, in the setting `closed_days`."""

from __future__ import annotations

import datetime as dt
import re

from warehouse.errors import ConfigurationError
from warehouse.settings import settings

REMEDY = "Write days as 2026-04-03, or as 12-25 for every year, with commas between."


def closures(first: dt.date, last: dt.date) -> set[dt.date]:
    """The closed days from `first` to `last`.

    Raises:
        ConfigurationError: the setting holds what is no day.
    """
    found = set()
    for written in filter(None, (part.strip() for part in settings().closed_days.split(","))):
        yearly = re.fullmatch(r"\d\d-\d\d", written) is not None
        for year in range(first.year, last.year + 1) if yearly else [0]:
            found |= _day(f"{year}-{written}" if yearly else written, yearly=yearly)
    return {day for day in found if first <= day <= last}


def _day(written: str, *, yearly: bool) -> set[dt.date]:
    """The day; nothing for 29 February of a common year."""
    try:
        return {dt.date.fromisoformat(written)}
    except ValueError as error:
        if yearly and written.endswith("-02-29"):
            return set()
        raise ConfigurationError(
            f"CARREL_CLOSED_DAYS: {written!r} is no day.", remedy=REMEDY
        ) from error
