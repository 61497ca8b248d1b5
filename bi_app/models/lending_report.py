"""Circulation over time and by what it is made of: the figures of the page of that name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from bi_app import words
from bi_app.models import lending, measures, report
from bi_app.models.circulation import Array
from bi_app.models.lending import FACETS, Lending
from bi_app.models.measures import MEASURES
from bi_app.models.overview import change, spark
from bi_app.models.report import Card, Report, moving_mean, ratio, rounded, scope, span
from bi_app.models.selection import Select, Selection, day_number, day_of
from bi_app.models.table import Column, Table
from bi_app.words import N_, _, joined

GRAINS = {  # what the choice is called, how many make a moving mean, and how many make a year
    "day": (N_("Days"), 7, 364),
    "week": (N_("Weeks"), 4, 52),
    "month": (N_("Months"), 3, 12),
    "year": (N_("Years"), 2, 1),
}
YEAR_OF_WEEKS = 364
OVER_TIME = N_(
    "Sum of each day, week (from Monday), month or year, as far as it lies in the period. The line"
    " is the moving mean of 7 days, 4 weeks, 3 months or 2 years up to it, the dashed line that"
    " mean a year before. A year before is 364 days for days and weeks, so that weekdays match, and"
    " the same dates for months and years; it is missing where the data does not reach so far back."
)
BY = {
    "branch": measures.BRANCHES,
    "item_type": N_(
        "Sum over the period by kind of material, as the catalogue has it; the mark is the"
        " period before. An event of a copy that the catalogue lacks is counted apart."
    ),
    "dewey": N_(
        "Sum over the period by Dewey class in hundreds; the mark is the period before."
        " Fiction and media that bear no Dewey number are shelved otherwise."
    ),
}
CROSSED = N_("Filtered by what is chosen in the other charts, not by its own choice.")
TITLES = {  # of a part of the page, and of its table
    "branch": N_("By branch"),
    "item_type": N_("By kind of material"),
    "dewey": N_("By Dewey class"),
}
BY_GRAIN = {
    "day": N_("{title} by day"),
    "week": N_("{title} by week"),
    "month": N_("{title} by month"),
    "year": N_("{title} by year"),
}
TABLES_BY = {
    "branch": N_("{title} by branch"),
    "item_type": N_("{title} by kind of material"),
    "dewey": N_("{title} by dewey class"),
}
TIME_COLUMNS = (
    Column("start", "From", "date"),
    Column("end", "To", "date"),
    Column("value", "Count", "integer"),
    Column("mean", "Moving mean", "number"),
    Column("before", "A year before", "integer"),
    Column("mean_before", "Mean a year before", "number"),
    Column("change", "Change, %", "number"),
)


def facet_columns(facet: str) -> tuple[Column, ...]:
    """The columns of a table by a facet."""
    return (
        Column("name", lending.columns_by(facet)),
        Column("value", "Count", "integer"),
        Column("share", "Share, %", "number"),
        Column("before", "Period before", "integer"),
        Column("change", "Change, %", "number"),
    )


def selects(known: Lending) -> tuple[Select, ...]:
    """What can be chosen besides the period and branches."""
    kinds, classes = known.facets["item_type"], known.facets["dewey"]
    return (
        Select("grain", "By", tuple((k, v[0]) for k, v in GRAINS.items()), "segments"),
        Select("item_type", "Material", (("", "All"), *_pairs("item_type", kinds))),
        Select("dewey", "Dewey", (("", "All"), *_pairs("dewey", classes))),
    )


def _pairs(name: str, facet: lending.Facet) -> Iterator[tuple[str, str]]:
    for code, words_of in zip(facet.codes, facet.names, strict=True):
        yield code, lending.named(name, words_of)


def over_time(known: Lending, chosen: Selection) -> Table:
    """Sums of days, weeks, months or years, their moving mean, and the same a year before."""
    grain, days = chosen.get("grain"), known.days(chosen, chosen.measure)
    until = np.concatenate([[0], np.cumsum(days, dtype=np.int64)])
    starts = starts_of(known.first, len(days), grain)
    _name, smooth, year = GRAINS[grain]
    means = moving_mean(np.add.reduceat(days, starts - known.first), smooth)
    earlier = np.concatenate([np.full(year, np.nan), means])
    first, last = day_number(chosen.start), day_number(chosen.end)
    begin = int(np.searchsorted(starts, first, "right")) - 1
    end = int(np.searchsorted(starts, last, "right"))
    lows = np.maximum(starts[begin:end], first)
    highs = np.minimum(np.append(starts, known.first + len(days))[begin + 1 : end + 1] - 1, last)
    values = until[highs - known.first + 1] - until[lows - known.first]
    before = _year_before(until, known.first, lows, highs, grain)
    data = {
        "start": [day_of(d) for d in lows],
        "end": [day_of(d) for d in highs],
        "value": values.astype(int).tolist(),
        "mean": means[begin:end].tolist(),
        "before": rounded(before, 0),
        "mean_before": rounded(earlier[begin:end]),
        "change": rounded((ratio(values, before) - 1) * 100),
    }
    title = _(BY_GRAIN[grain], title=_(MEASURES[chosen.measure].title))
    return Table("over_time", title, TIME_COLUMNS, data, notes(known, chosen, OVER_TIME))


def starts_of(first: int, length: int, grain: str) -> Array:
    """Day numbers on which the days, weeks, months or years of the data begin, the first cut."""
    days = np.arange(first, first + length)
    if grain == "day":
        return days
    if grain == "week":
        bucket = (days + 3) // 7  # day 0, 1 January 1970, was a Thursday
    else:
        bucket = days.astype("datetime64[D]").astype(f"datetime64[{grain[0].upper()}]").astype(int)
    return days[np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))]


def _year_before(until: Array, first: int, lows: Array, highs: Array, grain: str) -> Array:
    """Sums of the spans a year before; not a number where the data does not reach so far."""
    if grain in ("day", "week"):
        low, high = lows - YEAR_OF_WEEKS, highs - YEAR_OF_WEEKS
    else:
        low = np.array([year_before(d) for d in lows])
        high = np.array([year_before(d + 1) - 1 for d in highs])
    known = low >= first
    sums = until[np.maximum(high - first + 1, 0)] - until[np.maximum(low - first, 0)]
    return np.where(known, sums, np.nan)


def year_before(number: int) -> int:
    """The day number of the same date a year before; of 29 February, that of 28 February."""
    day = day_of(number)
    leap = (day.month, day.day) == (2, 29)
    return day_number(dt.date(day.year - 1, 2, 28) if leap else day.replace(year=day.year - 1))


def by_facet(known: Lending, chosen: Selection, facet: str) -> Table:
    """Sums by the values of a facet, the greatest first, with the period before."""
    now = known.by(facet, chosen, chosen.measure)
    before = known.by(facet, chosen.before, chosen.measure)
    values = np.zeros(len(known.facets[facet].codes)) if now is None else now
    earlier = np.full(len(values), np.nan) if before is None else before
    order = [i for i in np.argsort(-values, kind="stable") if values[i] or earlier[i] > 0]
    place, values, earlier = known.facets[facet], values[order], earlier[order]
    data: dict[str, list[Any]] = {
        "code": [place.codes[i] for i in order],
        "name": [lending.named(facet, place.names[i]) for i in order],
        "value": values.astype(int).tolist(),
        "share": rounded(ratio(values * 100, np.full(len(values), values.sum()))),
        "before": rounded(earlier, 0),
        "change": rounded((ratio(values, earlier) - 1) * 100),
    }
    title = _(TABLES_BY[facet], title=_(MEASURES[chosen.measure].title))
    columns = facet_columns(facet)
    return Table(
        f"by_{facet}", title, columns, data, notes(known, chosen, joined(BY[facet], CROSSED))
    )


def notes(known: Lending, chosen: Selection, definition: str) -> list[str]:
    """What a table covers and means."""
    return [span(chosen), *scope(chosen, known, selects(known)), definition]


def cards(known: Lending, chosen: Selection) -> list[Card]:
    """One card a measure, with its change since the period before."""
    return [_card(known, chosen, name) for name in MEASURES]


def _card(known: Lending, chosen: Selection, name: str) -> Card:
    days = known.days(chosen, name)
    now = days[_days_of(known, chosen)]
    earlier = chosen.before
    before = days[_days_of(known, earlier)].sum() if earlier.start >= known.bounds.first else None
    return report.card(
        name, MEASURES[name].title, words.whole(int(now.sum())), MEASURES[name].definition,
        change=change(float(now.sum()), None if before is None else float(before)),
        spark=spark(now),
    )  # fmt: skip


def _days_of(known: Lending, chosen: Selection) -> slice:
    return slice(day_number(chosen.start) - known.first, day_number(chosen.end) + 1 - known.first)


REPORT: Report[Lending] = Report(
    "circulation",
    reads=(lending.TABLE,),
    load=lending.lending,
    cards=cards,
    measures={"over_time": over_time, **{f"by_{f}": partial(by_facet, facet=f) for f in FACETS}},
    selects=selects,
)
