"""When the desks are busy: by weekday, hour, month and branch, and for each opened hour."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bi_app import words
from bi_app.models import measures, report
from bi_app.models.circulation import WEEKDAYS, Array, Circulation, circulation, measured
from bi_app.models.measures import MEASURES
from bi_app.models.report import Card, Report, number, ratio, rounded, scope, span
from bi_app.models.selection import Select, Selection, day_number, months_before
from bi_app.models.table import Column, Table
from bi_app.words import N_, _, joined
from warehouse.access import Viewer

MONTHS_SHOWN = 12
OPENED = N_(
    "An hour of a day counts as opened at a branch when its desk recorded a checkout, a return or"
    " an in-house use in it: renewals are left out, as they come from home too, and opening hours"
    " themselves are not on record."
)
WEEK = joined(
    measures.BUSY,
    N_(
        "Where “an opened hour” is chosen: the sum divided by the hours in which the chosen"
        " branches were opened."
    ),
    OPENED,
)
BY_BRANCH = joined(
    N_("Sum over the period divided by the hours in which the branch was opened."),
    OPENED,
    N_("The peak is the hour of the week with the highest mean."),
)
HOURS = N_(
    "Mean number of events in that hour of a day, by branch: the sum over the period divided by the"
    " number of days, or of the chosen weekday, in it."
)
MONTHS = N_(
    "Mean number of events in that hour of that weekday, for the last 12 months that the period"
    " touches:"
    " the sum divided by the number of such weekdays of the month in the period."
)
WEEK_COLUMNS = (
    Column("row", "Weekday"),
    Column("from", "Hour"),
    Column("value", "Mean", "number"),
    Column("sum", "Sum", "integer"),
    Column("opened", "Opened hours", "integer"),
)
BRANCH_COLUMNS = (
    Column("name", "Branch"),
    Column("value", "An opened hour", "number"),
    Column("sum", "Sum", "integer"),
    Column("opened", "Opened hours", "integer"),
    Column("peak", "Peak"),
    Column("peak_mean", "Mean at peak", "number"),
)
HOUR_COLUMNS = (
    Column("row", "Branch"),
    Column("from", "Hour"),
    Column("value", "Mean", "number"),
    Column("sum", "Sum", "integer"),
)
MONTH_COLUMNS = (
    Column("month", "Month", "date"),
    Column("weekday", "Weekday"),
    Column("from", "Hour"),
    Column("value", "Mean", "number"),
)
EACH = Select("each", "Mean of", (("week", "A week"), ("opened", "An opened hour")), "segments")


def selects(known: Circulation) -> tuple[Select, ...]:
    """What can be chosen besides the period and branches."""
    named = zip(WEEKDAYS, weekday_names(), strict=True)
    return EACH, Select("weekday", "Weekday", (("", N_("All")), *named))


def weekday_names() -> list[str]:
    """The weekdays in the language of the task, Monday first."""
    return [words.weekday(day) for day in range(7)]


def clock(hour: int) -> str:
    """An hour of the day as a span: 14:00–15:00."""
    return f"{hour:02}:00–{(hour + 1) % 24:02}:00"


def _here(known: Circulation, chosen: Selection) -> tuple[Array, Array, Array]:
    """The chosen measure and the opened hours by branch, day and hour; and the days' weekdays."""
    start = day_number(chosen.start) - known.first
    days = slice(start, start + chosen.days)
    hours = known.hours_of(chosen.measure)
    cut = slice(hours.start - known.first_hour, hours.stop - known.first_hour)
    places = [known.codes.index(c) for c in chosen.branches]
    where: Any = places or slice(None)
    counts = measured(known.counts[where, days, cut], chosen.measure)
    weekdays = (np.arange(chosen.days) + chosen.start.weekday()) % 7
    return counts, known.opened[where, days, cut], weekdays


def by_weekday(days: Array, weekdays: Array) -> Array:
    """Sums over days, the first axis, by weekday, Monday first."""
    return np.stack([days[weekdays == w].sum(axis=0, dtype=np.int64) for w in range(7)])


def week(known: Circulation, chosen: Selection) -> Table:
    """Each hour of the week: its mean, sum, and the hours that were opened."""
    counts, opened, weekdays = _here(known, chosen)
    sums = by_weekday(counts.sum(axis=0), weekdays)
    hours_open = by_weekday(opened.sum(axis=0), weekdays)
    each = np.bincount(weekdays, minlength=7)[:, None]
    means = ratio(sums, hours_open if chosen.get("each") == "opened" else each + 0 * sums)
    hours = known.hours_of(chosen.measure)
    data: dict[str, list[Any]] = {
        "row": [w for w in weekday_names() for _hour in hours],
        "hour": [h for _day in WEEKDAYS for h in hours],
        "from": [clock(h) for _day in WEEKDAYS for h in hours],
        "value": rounded(means.ravel(), 2),
        "sum": sums.ravel().tolist(),
        "opened": hours_open.ravel().tolist(),
    }
    title = _("{title} by hour of the week", title=_(MEASURES[chosen.measure].title))
    return Table("week", title, WEEK_COLUMNS, data, notes(known, chosen, WEEK))


def branches(known: Circulation, chosen: Selection) -> Table:
    """Each branch: its load of an opened hour, and its peak; the busiest first."""
    everywhere = report.everywhere(chosen)
    counts, opened, weekdays = _here(known, everywhere)
    each = np.bincount(weekdays, minlength=7)[:, None]
    hours = known.hours_of(chosen.measure)
    records: list[dict[str, Any]] = []
    for place, name in enumerate(known.names):
        means = ratio(by_weekday(counts[place], weekdays), each + np.zeros(len(hours)))
        peak = int(np.nanargmax(means)) if not np.isnan(means).all() else 0
        weekday, hour = divmod(peak, len(hours))
        total, open_hours = int(counts[place].sum()), int(opened[place].sum())
        records.append({
            "code": known.codes[place], "name": name, "sum": total, "opened": open_hours,
            "value": round(total / open_hours, 1) if open_hours else None,
            "peak": f"{words.weekday(weekday)} {clock(hours[hour])}",
            "peak_mean": round(float(np.nan_to_num(means.ravel()[peak])), 1),
        })  # fmt: skip
    records.sort(key=lambda r: -(r["value"] or 0))
    columns = (Column("code", "Code"), *BRANCH_COLUMNS)
    title = _("{title} of an opened hour", title=_(MEASURES[chosen.measure].title))
    covered = notes(known, everywhere, BY_BRANCH)
    return report.table_of("branches", title, columns, records, covered)


def branch_hours(known: Circulation, chosen: Selection) -> Table:
    """Each branch by hour of the day, on all days or one weekday."""
    everywhere = report.everywhere(chosen)
    counts, _opened, weekdays = _here(known, everywhere)
    weekday = chosen.get("weekday")
    kept = weekdays == WEEKDAYS.index(weekday) if weekday else np.ones(len(weekdays), bool)
    sums = counts[:, kept].sum(axis=1, dtype=np.int64)
    means = ratio(sums, np.full(sums.shape, kept.sum()))
    hours = known.hours_of(chosen.measure)
    data: dict[str, list[Any]] = {
        "row": [n for n in known.names for _hour in hours],
        "hour": [h for _name in known.names for h in hours],
        "from": [clock(h) for _name in known.names for h in hours],
        "value": rounded(means.ravel(), 2),
        "sum": sums.ravel().tolist(),
    }
    title = _("{title} by branch and hour", title=_(MEASURES[chosen.measure].title))
    return Table("branch_hours", title, HOUR_COLUMNS, data, notes(known, everywhere, HOURS))


def months(known: Circulation, chosen: Selection) -> Table:
    """Each month by weekday and hour: what the surface shows."""
    start = max(chosen.start, months_before(chosen.end, MONTHS_SHOWN - 1))
    chosen = replace(chosen, start=start)
    counts, _opened, weekdays = _here(known, chosen)
    first = day_number(start)
    days = np.arange(first, first + chosen.days).astype("datetime64[D]")
    names, month = np.unique(days.astype("datetime64[M]"), return_inverse=True)
    bucket = month * 7 + weekdays
    spread = (np.arange(len(names) * 7)[:, None] == bucket).astype(np.float32)
    means = ratio(
        spread @ counts.sum(axis=0), np.repeat(spread.sum(axis=1)[:, None], counts.shape[2], 1)
    )
    hours = known.hours_of(chosen.measure)
    data: dict[str, list[Any]] = {
        "month": [
            d for d in names.astype("datetime64[D]").tolist() for _hour in range(7 * len(hours))
        ],
        "weekday": [w for _month in names for w in weekday_names() for _hour in hours],
        "from": [clock(h) for _month in names for _day in WEEKDAYS for h in hours],
        "value": rounded(means.ravel(), 2),
    }
    title = _("{title} by month, weekday and hour", title=_(MEASURES[chosen.measure].title))
    return Table("months", title, MONTH_COLUMNS, data, notes(known, chosen, MONTHS))


def notes(known: Circulation, chosen: Selection, definition: str) -> list[str]:
    """What a table covers and means."""
    return [span(chosen), *scope(chosen, known, selects(known)), definition]


def cards(known: Circulation, chosen: Selection) -> list[Card]:
    """A card a measure, then the peak and the load of an opened hour."""
    days = known.days(chosen)[known.span(chosen)]
    found = []
    for name, measure in MEASURES.items():
        values = measured(days, name)
        found.append(report.card(
            name, measure.title, words.whole(int(values.sum())), measure.definition,
            note=_("{number} a day", number=number(values.sum() / len(days))),
        ))  # fmt: skip
    table = week(known, chosen).data
    known_values = [-1.0 if v is None else v for v in table["value"]]
    peak = int(np.argmax(known_values))
    opened, unit = sum(table["opened"]), _(MEASURES[chosen.measure].unit)
    return [
        *found,
        report.card(
            "peak", "Busiest hour", f"{table['row'][peak]} {table['from'][peak][:5]}", WEEK,
            note=_("{peak} {unit} on average", peak=number(max(known_values[peak], 0)), unit=unit),
            text=True,
        ),
        report.card(
            "opened", "An opened hour", number(sum(table["sum"]) / opened if opened else 0),
            OPENED, note=_("{unit}, {opened} hours opened", unit=unit, opened=opened),
        ),
    ]  # fmt: skip


def load(viewer: Viewer) -> Circulation | None:
    """The hourly circulation that a viewer may see; None where there is none."""
    known = circulation(viewer)
    return None if known.empty else known


REPORT: Report[Circulation] = Report(
    "busy_hours",
    reads=("gold.library_circulation",),
    load=load,
    cards=cards,
    measures={"week": week, "months": months, "branches": branches, "branch_hours": branch_hours},
    selects=selects,
)
