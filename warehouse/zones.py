"""Time zones by name."""

from __future__ import annotations

from zoneinfo import ZoneInfo


def known(name: str) -> str:
    """The name of a time zone that there is, as it was given.

    Raises:
        ValueError: there is none.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found, no plain name, a folder of zones
        raise ValueError(f"{name!r} is no time zone, such as Europe/Berlin") from None
    return name
