"""Words: what was unusual, as one would say it."""

from __future__ import annotations

import datetime as dt

from quality.judge import Finding


def sentence(finding: Finding, today: dt.date, *, weekly: bool) -> str:
    """A finding in words, such as: Tuesday loads usually bring 3,900 to 4,600 rows; today 212.

    Args:
        finding: what was found.
        today: the day that is called today.
        weekly: whether weekdays of this dataset differ.
    """
    day, metric = finding.day, finding.metric
    when = "today" if day == today else f"on {day}"
    if finding.kind == "missing":
        return f"{day:%A} usually brings a load; {when} nothing came."
    if finding.kind == "joint":
        return (
            f"Each metric alone is as usual, but {when} not all of them together:"
            f" {finding.detail} for such a day."
        )
    low, high, value = (_told(metric, v) for v in (finding.low, finding.high, finding.value))
    if finding.kind == "drift":
        return (
            f"{_subject(metric)} drifted: over the ten days up to {day} {value},"
            f" in the weeks before usually {low} to {high}."
        )
    if metric == "volume":
        low, value = low.removesuffix(" rows"), value.removesuffix(" rows")
    return f"{_usually(metric, f'{day:%A} ' if weekly else '')} {low} to {high}; {when} {value}."


def _usually(metric: str, weekday: str) -> str:
    """The start of a sentence that goes on with a range."""
    kind, _, column = metric.partition(".")
    loads = f"{weekday}loads" if weekday else "loads"
    said = {
        "volume": f"{loads} usually bring",
        "duration_s": f"{loads} of so many rows usually take",
        "arrival_h": f"{loads} usually arrive at",
        "freshness_h": f"after {loads} the newest event is usually as old as",
        "quarantined": f"of {loads} usually are held back",
        "nulls": f"of {loads} {column} is usually empty in",
        "mean": f"the mean of {column} in {loads} is usually",
    }.get(kind, f"{metric} of {loads} is usually")
    return said[0].upper() + said[1:]


def _subject(metric: str) -> str:
    kind, _, column = metric.partition(".")
    return {
        "volume": "Rows a load",
        "duration_s": "Time a load takes",
        "arrival_h": "Time of arrival",
        "freshness_h": "Age of the newest event",
        "quarantined": "Records held back",
        "nulls": f"Empty values of {column}",
        "mean": f"The mean of {column}",
    }.get(kind, metric)


def _told(metric: str, value: float | None) -> str:
    """A value with its unit."""
    if value is None:
        return "nothing"
    minutes = round(max(value, 0) * 60)
    kind = metric.partition(".")[0]
    return {
        "volume": f"{round(value):,} rows",
        "duration_s": f"{value:.1f} s",
        "arrival_h": f"{minutes // 60 % 24:02}:{minutes % 60:02}",
        "freshness_h": f"{value:.1f} hours",
        "quarantined": f"{value:.1%}",
        "nulls": f"{value:.1%}",
    }.get(kind, f"{value:,.4g}")
