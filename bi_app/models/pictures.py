"""What a summary looks like: bars, lines over time, and the sentence that says it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from bi_app import words
from bi_app.models import report
from bi_app.models.figures import OTHERS, Answer
from bi_app.models.table import Table
from bi_app.words import _

DRAWN = ("integer", "ratio")


def when(day: Any, grain: str) -> str:
    """A span by its first day, as people say it: Mar 2026, Q1 2026."""
    if not isinstance(day, dt.date):
        return str(day)
    if grain == "quarter":
        return _("Q{quarter} {year}", quarter=(day.month + 2) // 3, year=str(day.year))
    if grain == "year":
        return str(day.year)
    if grain == "week":
        return _("Week of {day}", day=words.day(day))
    return words.month(day) if grain == "month" else words.day(day)


def drawn_measure(found: Answer) -> int | None:
    """Which measure is drawn: the first that is a number; None where none is."""
    kinds = [c.kind for c in found.question.columns[len(found.question.by) :]]
    return next((n for n, kind in enumerate(kinds) if kind in DRAWN), None)


def _value(found: Answer, record: tuple[Any, ...]) -> float | None:
    place = drawn_measure(found)
    value = None if place is None else record[len(found.question.by) + place]
    return None if value is None else float(value)


def label(found: Answer, record: tuple[Any, ...], first: int = 0) -> str:
    """The name of a group, from its values of the dimensions."""
    by = found.question.by
    names = [when(record[n], d.grain) if d.grain else _(str(record[n])) for n, d in enumerate(by)]
    return " · ".join(name for name in names[first:] if name)


def readable(found: Answer) -> Table:
    """The table as a page shows it: spans as people say them."""
    table, by = found.table, found.question.by
    columns, data = list(table.columns), dict(table.data)
    for n, one in enumerate(by):
        if one.grain:
            columns[n] = replace(columns[n], kind="text")
            data[columns[n].key] = [when(v, one.grain) for v in data[columns[n].key]]
    return replace(table, columns=columns, data=data)


def bars(found: Answer) -> tuple[list[str], list[float | None]]:
    """The groups' names and the figures that are drawn; the others last, if they have one."""
    records = [*found.shown, *([found.others] if found.others else [])]
    kept = [r for r in records if r[0] != OTHERS or _value(found, r) is not None]
    return [label(found, r) for r in kept], [_value(found, r) for r in kept]


def lines(found: Answer) -> dict[str, list[tuple[Any, float | None]]]:
    """Points by series, the greatest series first; one series where time is the only dimension."""
    series: dict[str, list[tuple[Any, float | None]]] = {}
    for record in found.shown:
        series.setdefault(label(found, record, 1), []).append((record[0], _value(found, record)))
    return dict(sorted(series.items(), key=lambda s: -sum(v or 0 for _day, v in s[1])))


def sentence(found: Answer) -> str:
    """What the chart shows, in a sentence or two."""
    place = drawn_measure(found)
    if place is None or not found.question.by:
        return ""
    names = [label(found, r) for r in found.shown]
    values = [_value(found, r) for r in found.shown]
    column = found.question.columns[len(found.question.by) + place]
    table = Table("summary", found.question.title, [column], {"name": names, column.key: values})
    return report.summary(table, "name", column.key)


def figure(value: Any) -> str:
    """A value as a card writes it."""
    if value is None:
        return "–"
    return report.number(float(value)) if isinstance(value, int | float) else report.said(value)
