"""Sales as they happen: revenue, orders and returns, over time and by what they are made of.

The figures are the sums that the stream folds, so that they are as new as its last batch; late
events and duplicates, which are in no sum, stand beside them day by day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from psycopg import sql

from bi_app import words
from bi_app.models import report
from bi_app.models.circulation import Array
from bi_app.models.lending_report import GRAINS, starts_of
from bi_app.models.overview import change, spark
from bi_app.models.report import Card, Report, notes, percent, ratio, rounded, share, table_of
from bi_app.models.sales_sums import SUMMED, TABLES, Sales, sales
from bi_app.models.selection import Select, Selection, day_number, day_of
from bi_app.models.shop import amount, priced, shop
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from bi_app.words import N_, _

MOST = 1000
FIGURES = {
    "net": N_("Net revenue"),
    "gross": N_("Gross revenue"),
    "cancelled": N_("Cancelled"),
}
DEFINED = {
    "net": N_(
        "Net revenue: pieces times price of all lines of invoices, less what was taken back."
        " The day is the shop's own."
    ),
    "gross": N_(
        "Gross revenue: pieces times price of the lines that sell, which are those of no cancelling"
        " invoice with pieces and price above zero."
    ),
    "cancelled": N_(
        "Cancelled: what lines of cancelling invoices (their number begins with C) took back, on"
        " the day of the cancellation. The rate is that divided by gross revenue."
    ),
    "orders": N_(
        "Orders: invoices with at least one line that sells. One that runs past midnight counts on"
        " both days."
    ),
    "average": N_("Average order value: gross revenue divided by orders."),
    "nameless": N_(
        "Lines of invoices without a customer. They are in all figures but those of customers."
    ),
    "counters": N_(
        "Late: events too far behind the newest one of their partition; they are in no sum until"
        " somebody folds them in (carrel stream restate), and then the day is marked as restated."
        " Duplicates: events whose id had counted already; they are dropped. Both on the day of"
        " the sale."
    ),
    "last": N_(
        "Time of the newest sale, and the watermark: all sales before it are in, and one that is"
        " older and comes now is late."
    ),
}
OVER_TIME = N_(
    "Sum of each day, week (from Monday) or month, as far as it lies in the period; the line is the"
    " moving mean of 7 days, 4 weeks or 3 months. The marks, on the scale at the right, count late"
    " events and duplicates of the same days."
)
BY_COUNTRY = N_("Sum over the period by country of the customer; the mark is the period before.")
BY_SEGMENT = N_("Sum over the period; the mark is the period before.")
BY_HOUR = N_("Sum over the period by hour of the day, in the shop's own time.")
PRODUCTS = N_(
    "Sum over the period by product, the most first; the mark is the period before. Fees such as"
    " postage are listed by their code."
)
CUSTOMERS = N_("Sales with and without a customer on record, over the period.")
PARTITIONS = N_(
    "How far each partition of the log was read, and what became of its events since the beginning:"
    " events = counted + late + duplicates + quarantined."
)
FIGURE = Select("figure", N_("Figure"), tuple(FIGURES.items()), "segments")
GRAIN = Select(
    "grain", "By", tuple((k, GRAINS[k][0]) for k in ("day", "week", "month")), "segments"
)
PARTITION_COLUMNS = (
    Column("partition", "Partition", "integer"),
    Column("newest", "Newest sale", "moment"),
    Column("watermark", "Watermark", "moment"),
    Column("moved", "Last batch", "moment"),
    Column("events", "Events", "integer"),
    Column("counted", "Counted", "integer"),
    Column("late", "Late", "integer"),
    Column("duplicates", "Duplicates", "integer"),
    Column("quarantined", "Quarantined", "integer"),
    Column("state", "State", "badge"),
)


def time_columns() -> tuple[Column, ...]:
    """The columns of the figure over time."""
    return (
        Column("start", "From", "date"),
        Column("end", "To", "date"),
        Column("value", priced("Value"), "money"),
        Column("mean", "Moving mean", "money"),
        Column("orders", "Orders", "integer"),
        Column("average", priced("Average order value"), "money"),
        Column("late", "Late", "integer"),
        Column("duplicates", "Duplicates", "integer"),
        Column("restated", "Restated", "datetime"),
    )


def by_columns(head: str) -> tuple[Column, ...]:
    """The columns of a table by a dimension, whose heading is `head`."""
    return (
        Column("name", head),
        Column("value", priced("Value"), "money"),
        Column("share", "Share, %", "number"),
        Column("before", "Period before", "money"),
        Column("change", "Change, %", "number"),
        Column("rate", "Cancelled, %", "number"),
    )


def product_columns() -> tuple[Column, ...]:
    """The columns of the table by product."""
    name, value, *others = by_columns("Product")
    return Column("code", "Code"), name, value, Column("pieces", "Pieces", "integer"), *others


# Tables ----------------------------------------------------------------------------------------


def over_time(known: Sales, chosen: Selection) -> Table:
    """The figure, orders and counters by day, week or month."""
    grain, figure = chosen.get("grain"), chosen.get("figure")
    _name, smooth, _year = GRAINS[grain]
    dimension, _colon, value = chosen.get("of").partition(":")
    day_sums = known.days_of(figure, dimension, value)
    starts = starts_of(known.first, len(day_sums), grain)
    sums = np.add.reduceat(day_sums, starts - known.first)
    means = _moving_mean(sums, smooth)
    first, last = day_number(chosen.start), day_number(chosen.end)
    begin = int(np.searchsorted(starts, first, "right")) - 1
    end = int(np.searchsorted(starts, last, "right"))
    lows = np.maximum(starts[begin:end], first)
    highs = np.minimum(
        np.append(starts, known.first + len(day_sums))[begin + 1 : end + 1] - 1, last
    )
    of = partial(_within, lows - known.first, highs - known.first)
    orders, gross = of(known.count("orders")), of(known.days_of("gross"))
    if value:  # an order is folded by day alone
        orders = np.full(len(lows), np.nan)
    data: dict[str, list[Any]] = {
        "start": [day_of(d) for d in lows],
        "end": [day_of(d) for d in highs],
        "value": rounded(of(day_sums), 2),
        "mean": rounded(means[begin:end], 2),
        "orders": [None if np.isnan(n) else int(n) for n in orders],
        "average": rounded(ratio(gross, orders), 2),
        "late": of(known.count("late")).astype(int).tolist(),
        "duplicates": of(known.count("duplicates")).astype(int).tolist(),
        "restated": _restated(known, lows - known.first, highs - known.first),
    }
    title = _(BY_GRAIN[grain], title=titled(chosen))
    return Table("over_time", title, time_columns(), data,
                 notes(chosen, OVER_TIME, DEFINED[figure], DEFINED["counters"]))  # fmt: skip


def titled(chosen: Selection) -> str:
    """The figure, and of what it is shown over time, where that is not everything."""
    title, of = _(FIGURES[chosen.get("figure")]), chosen.get("of").partition(":")[2]
    return f"{title}, {of}" if of else title


BY_GRAIN = {
    "day": N_("{title} by day"),
    "week": N_("{title} by week"),
    "month": N_("{title} by month"),
}


def _within(lows: Array, highs: Array, days: Array) -> Array:
    """Sums from one day to another, inclusive."""
    until = np.concatenate([[0.0], np.cumsum(days)])
    found: Array = until[highs + 1] - until[lows]
    return found


def _moving_mean(values: Array, length: int) -> Array:
    """The mean of each value and those before it, up to `length` in all."""
    ends = np.arange(len(values))
    starts = np.maximum(ends - length + 1, 0)
    found: Array = _within(starts, ends, values) / (ends - starts + 1)
    return found


def _restated(known: Sales, lows: Array, highs: Array) -> list[dt.datetime | None]:
    """When each span was restated last, in the shop's time; None where it never was."""
    zone = ZoneInfo(shop().timezone)
    found = []
    for low, high in zip(lows.tolist(), highs.tolist(), strict=True):
        at = [t for day, t in known.restated.items() if low <= day <= high]
        found.append(max(at).astimezone(zone).replace(tzinfo=None) if at else None)
    return found


def by(known: Sales, chosen: Selection, dimension: str, order: bool = True) -> Table:
    """The figure by the values of a dimension, the most first, with the period before."""
    figure, now, earlier = chosen.get("figure"), known.span(chosen), known.span(chosen.before)
    days, values = known.days(figure, dimension), known.by[dimension].values
    sums = days[:, now].sum(axis=1)
    there = chosen.before.start >= known.bounds.first
    before = days[:, earlier].sum(axis=1) if there else np.full(len(sums), np.nan)
    gross, cancelled = (
        known.days(m, dimension)[:, now].sum(axis=1) for m in ("gross", "cancelled")
    )
    places = [i for i in (np.argsort(-sums, kind="stable") if order else range(len(values)))
              if sums[i] or gross[i] or before[i] > 0]  # fmt: skip
    data: dict[str, list[Any]] = {
        "code": [f"{dimension}:{values[i]}" for i in places],
        "name": [values[i] for i in places],
        "value": rounded(sums[places], 2),
        "share": rounded(ratio(sums[places] * 100, np.full(len(places), sums.sum()))),
        "before": rounded(before[places], 2),
        "change": rounded((ratio(sums[places], before[places]) - 1) * 100),
        "rate": rounded(ratio(cancelled[places] * 100, gross[places])),
    }
    title = _(TITLES[dimension], title=_(FIGURES[figure]))
    return Table(f"by_{dimension}", title, by_columns(HEADS[dimension]), data,
                 notes(chosen, ABOUT[dimension], DEFINED[figure],
                       DEFINED["cancelled"]))  # fmt: skip


TITLES = {
    "country": N_("{title} by country"),
    "segment": N_("{title} by segment"),
    "hour": N_("{title} by hour of the day"),
}
HEADS = {"country": N_("Country"), "segment": N_("Segment"), "hour": N_("Hour")}
ABOUT = {"country": BY_COUNTRY, "segment": BY_SEGMENT, "hour": BY_HOUR}


def products(known: Sales, chosen: Selection, most: int = MOST) -> Table:
    """The products with most of the figure."""
    figure = chosen.get("figure")
    found = rows(
        known.viewer, "sales_products",
        {"start": chosen.start, "end": chosen.end, "before": chosen.before.start, "most": most},
        figure=sql.Identifier(figure),
    )  # fmt: skip
    total = known.days(figure)[:, known.span(chosen)].sum()
    there = chosen.before.start >= known.bounds.first
    records = []
    for row in found:
        before = row["before"] if there else None
        records.append({
            "code": row["code"], "name": row["name"], "share": percent(row["value"], total),
            "value": round(row["value"], 2),
            "before": before and round(before, 2), "pieces": round(row["pieces"]),
            "change": change(row["value"], before if before and before > 0 else None),
            "rate": percent(row["cancelled"], row["gross"]),
        })  # fmt: skip
    return table_of("products", _("{title} by product", title=_(FIGURES[figure])),
                    product_columns(), records,
                    notes(chosen, PRODUCTS, DEFINED[figure], DEFINED["cancelled"]))  # fmt: skip


def customers(known: Sales, chosen: Selection) -> Table:
    """Sales with and without a customer."""
    now = known.span(chosen)
    sums = known.by["known_customer"].sums[:, now].sum(axis=1)
    total = sums.sum(axis=0)
    net, lines = (SUMMED.index(m) for m in ("net", "lines"))
    names = {"yes": _("With a customer"), "no": _("Without a customer")}
    records: list[dict[str, Any]] = [
        {
            "name": names.get(value, value), "value": round(float(sums[n, net]), 2),
            "share": percent(sums[n, net], total[net]),
            "lines": int(sums[n, lines]), "line_share": percent(sums[n, lines], total[lines]),
        }
        for n, value in enumerate(known.by["known_customer"].values)
    ]  # fmt: skip
    records.sort(key=lambda r: -r["lines"])
    return table_of("customers", "With and without a customer", customer_columns(), records,
                    notes(chosen, CUSTOMERS, DEFINED["nameless"]))  # fmt: skip


def customer_columns() -> tuple[Column, ...]:
    """The columns of sales with and without a customer."""
    return (
        Column("name", "Sales"), Column("lines", "Lines", "integer"),
        Column("line_share", "Of lines, %", "number"),
        Column("value", priced("Net revenue"), "money"),
        Column("share", "Of net revenue, %", "number"),
    )  # fmt: skip


def partitions(known: Sales, chosen: Selection) -> Table:
    """How far the log was read."""
    records = [
        {
            **row, "newest": row["newest_at"], "moved": row["moved_at"],
            "watermark": _watermark(row["newest_at"]),
            "state": f"good|{_('A consumer reads it')}" if row["held"]
            else f"warn|{_('Nobody reads it')}",
        }
        for row in known.partitions
    ]  # fmt: skip
    return table_of("partitions", "The stream", PARTITION_COLUMNS, records,
                    [_(PARTITIONS), _(DEFINED["last"])])  # fmt: skip


def _watermark(newest: dt.datetime | None) -> dt.datetime | None:
    return newest - dt.timedelta(seconds=shop().lateness) if newest else None


# Figures ---------------------------------------------------------------------------------------


def cards(known: Sales, chosen: Selection) -> list[Card]:
    """Revenue, orders and returns with their change, and how the stream stands."""
    now, earlier = known.span(chosen), known.span(chosen.before)
    there = chosen.before.start >= known.bounds.first
    of = {m: known.days_of(m) for m in ("net", "gross", "cancelled")}
    of["orders"] = known.count("orders")
    total = {m: float(v[now].sum()) for m, v in of.items()}
    before = {m: float(v[earlier].sum()) if there else None for m, v in of.items()}
    average = total["gross"] / total["orders"] if total["orders"] else None

    def figure(name: str, text: str) -> Card:
        title = FIGURES.get(name, N_("Orders"))
        return report.card(name, title, text, DEFINED[name], spark=spark(of[name][now].clip(0)),
                           change=change(total[name], before[name]))  # fmt: skip

    return [
        figure("net", amount(total["net"])),
        figure("gross", amount(total["gross"])),
        figure("orders", words.whole(total["orders"])),
        report.card("average", "Average order value",
                    "–" if average is None else amount(average, 2), DEFINED["average"],
                    change=_average_change(average, before)),
        report.card("cancelled", "Cancelled", share(total["cancelled"], total["gross"]),
                    DEFINED["cancelled"],
                    note=_("{amount} of gross revenue", amount=amount(total["cancelled"]))),
        _late(known, chosen),
    ]  # fmt: skip


def _average_change(average: float | None, before: Mapping[str, float | None]) -> float | None:
    gross, orders = before["gross"], before["orders"]
    return change(average, gross / orders) if average and gross and orders else None


def _late(known: Sales, chosen: Selection) -> Card:
    """The counters of the stream in the period."""
    now = known.span(chosen)
    late, folded, again = (int(known.count(k)[now].sum()) for k in ("late", "folded", "duplicates"))
    return report.card(
        "late", "Late events", words.whole(late), DEFINED["counters"],
        note=_("{folded} folded in, {again} duplicates dropped",
               folded=words.whole(folded), again=words.whole(again)),
    )  # fmt: skip


def standing(known: Sales) -> str:
    """The newest sale and the watermark, in a sentence's part."""
    moments = [r["newest_at"] for r in known.partitions if r["newest_at"]]
    zone = ZoneInfo(shop().timezone)
    watermark = _watermark(min(moments, default=None))
    if watermark is None:
        return ""
    return _(
        "newest sale {newest}, watermark {watermark}",
        newest=words.moment(max(moments).astimezone(zone)),
        watermark=words.moment(watermark.astimezone(zone)),
    )


def selects(known: Sales) -> tuple[Select, ...]:
    """What is counted, by what, and of what it is shown over time."""
    parts = [
        (f"{dimension}:{value}", value)
        for dimension in ("segment", "country")
        for value in known.by[dimension].values
    ]
    return FIGURE, GRAIN, Select("of", "Over time", (("", "All"), *parts))


REPORT: Report[Sales] = Report(
    "sales",
    reads=TABLES,
    load=sales,
    cards=cards,
    measures={
        "over_time": over_time,
        "by_country": partial(by, dimension="country"),
        "products": partial(products, most=100),
        "by_segment": partial(by, dimension="segment"),
        "by_hour": partial(by, dimension="hour", order=False),
        "customers": customers,
        "partitions": partitions,
    },
    longer={"products": products},
    selects=selects,
)
