"""The reports on lending, stock, holds and fines: their figures, and the pages made of them."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import numpy as np
import pytest
from psycopg.errors import InsufficientPrivilege

from bi_app.api import tables
from bi_app.models import annual_return as yearly
from bi_app.models import branch_report, lending_report, report, staffing, store
from bi_app.models import collection as stock
from bi_app.models import fines as owing
from bi_app.models import holds as waiting
from bi_app.models.circulation import Circulation
from bi_app.models.lending import Lending, lending
from bi_app.models.report import summary
from bi_app.models.selection import Select, Selection, day_number
from bi_app.models.table import Column, Table
from bi_app.pages import (
    annual_return,
    baskets,
    branches,
    busy_hours,
    circulation,
    collection,
    customers,
    fines,
    holds,
    members,
    overview,
    returns,
    sales,
)
from bi_app.pages.report import Layout, ReportPage
from tests.bi_app.test_models import ADMIN, LIBRARIAN, PERSON, owner
from tests.bi_app.test_pages import signed_in
from warehouse.access import Viewer
from warehouse.database import connect

SHOP = (sales, returns, customers, baskets)
LAYOUTS: tuple[Layout, ...] = tuple(
    page.LAYOUT
    for page in (
        circulation,
        busy_hours,
        collection,
        holds,
        fines,
        branches,
        members,
        annual_return,
        *SHOP,
    )
)
ALIKE = {"members", *(page.LAYOUT.report.name for page in SHOP)}  # for all of the staff
KINDS = "gold.library_circulation_kinds"


def names(layout: Layout) -> str:
    return layout.report.name


@pytest.fixture
def lent(here: str) -> Lending:
    found = lending(ADMIN)
    assert found is not None
    return found


def chosen(known: Lending, **asked: Any) -> Selection:
    return lending_report.REPORT.choose(known, asked)


# Lending ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grain", ["day", "week", "month", "year"])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"branches": ["BEL", "CEN"], "item_type": "book", "measure": "total"},
        {"dewey": "500", "start": "2026-01-07", "end": "2026-03-03", "measure": "returns"},
    ],
)
def test_sums_over_time_are_those_of_the_database(
    lent: Lending, grain: str, asked: dict[str, Any]
) -> None:
    choice = chosen(lent, grain=grain, **asked)
    found = lending_report.over_time(lent, choice).data
    parts = {"total": "checkouts + renewals"}.get(choice.measure, choice.measure)
    expected = owner(
        f"select json_agg(json_build_array(start, n) order by start) from (select greatest("
        f"date_trunc('{grain}', day)::date, %(start)s) as start, sum({parts}) as n from {KINDS}"
        " where day between %(start)s and %(end)s and (%(branches)s::text[] is null or branch_code"
        " = any(%(branches)s)) and (%(type)s = '' or item_type = %(type)s)"
        " and (%(dewey)s = '' or dewey_class = %(dewey)s) group by 1) t",
        **{"start": choice.start, "end": choice.end, "branches": list(choice.branches) or None,
           "type": choice.get("item_type"), "dewey": choice.get("dewey")},
    )  # fmt: skip
    there = {d.isoformat(): v for d, v in zip(found["start"], found["value"], strict=True) if v}
    assert there == {day: n for day, n in expected if n}
    assert found["start"][0] == choice.start
    assert found["end"][-1] == choice.end


def test_each_chart_is_filtered_by_the_others_and_not_by_itself(lent: Lending) -> None:
    choice = chosen(lent, item_type="book", branches=["CEN"])
    by_type = lending_report.by_facet(lent, choice, "item_type").data
    assert set(by_type["code"]) > {"book"}, "its own choice leaves the other bars"
    for facet, column in (("item_type", "item_type"), ("dewey", "dewey_class")):
        data = lending_report.by_facet(lent, choice, facet).data
        for code, value in zip(data["code"], data["value"], strict=True):
            book = "" if facet == "item_type" else "and item_type = 'book'"
            assert value == owner(
                f"select sum(checkouts) from {KINDS} where branch_code = 'CEN' {book}"
                f" and {column} = %(code)s and day between %(start)s and %(end)s",
                code=code, start=choice.start, end=choice.end,
            )  # fmt: skip
    branches = lending_report.by_facet(lent, choice, "branch").data
    assert len(branches["code"]) == 4
    assert sum(branches["share"]) == pytest.approx(100, abs=0.3)


def test_a_year_before_has_the_same_weekdays_or_the_same_dates(lent: Lending) -> None:
    asked = {"start": "2026-07-01", "end": "2026-08-31"}
    days = lending_report.over_time(lent, chosen(lent, grain="day", **asked)).data
    place = days["start"].index(dt.date(2026, 8, 3))
    count = f"select sum(checkouts) from {KINDS} where day between %(a)s and %(b)s"
    earlier = dt.date(2025, 8, 4)
    assert earlier.weekday() == dt.date(2026, 8, 3).weekday()
    assert days["before"][place] == owner(count, a=earlier, b=earlier)
    past = {"start": "2025-07-02", "end": "2025-09-01"}
    assert days["mean_before"] == lending_report.over_time(lent, chosen(lent, **past)).data["mean"]
    months = lending_report.over_time(lent, chosen(lent, grain="month", **asked)).data
    a, b = dt.date(2025, 8, 1), dt.date(2025, 8, 31)
    assert months["before"][1] == owner(count, a=a, b=b)
    first = lending_report.over_time(lent, chosen(lent, grain="month", period="all")).data
    assert first["before"][0] is None, "the data does not reach so far back"


def test_a_leap_day_has_a_year_before() -> None:
    dates = {(2024, 2, 29): (2023, 2, 28), (2026, 3, 1): (2025, 3, 1)}
    for day, before in dates.items():
        found = lending_report.year_before(day_number(dt.date(*day)))
        assert found == day_number(dt.date(*before))


@pytest.mark.parametrize(
    ("grain", "first", "expected"),
    [
        ("week", "2026-01-01", ["2026-01-01", "2026-01-05", "2026-01-12"]),
        ("month", "2026-01-30", ["2026-01-30", "2026-02-01"]),
        ("year", "2025-12-31", ["2025-12-31", "2026-01-01"]),
    ],
)
def test_weeks_begin_on_monday_and_the_first_span_is_cut(
    grain: str, first: str, expected: list[str]
) -> None:
    start = day_number(dt.date.fromisoformat(first))
    found = lending_report.starts_of(start, 14, grain)
    assert [str(np.datetime64(int(d), "D")) for d in found] == expected


@pytest.mark.usefixtures("here")
def test_each_role_knows_its_own_lending() -> None:
    own = lending(LIBRARIAN)
    assert own is not None
    assert own.bounds.codes == ("BEL", "CEN")
    assert lending(Viewer("x@carrel.example", "librarian")) is None
    with pytest.raises(InsufficientPrivilege):
        lending(PERSON)


# Busy hours ---------------------------------------------------------------------------------------

HOURLY = "gold.library_circulation"


def busy(**asked: Any) -> tuple[Circulation, Selection]:
    known = staffing.load(ADMIN)
    assert known is not None
    return known, staffing.REPORT.choose(known, asked)


SPRING = {"start": "2026-01-07", "end": "2026-03-03"}
OPEN = "checkouts + returns + in_house_uses > 0"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("each", ["week", "opened"])
def test_an_hour_of_the_week_is_that_of_the_database(each: str) -> None:
    known, choice = busy(**SPRING, branches=["BEL", "CEN"], each=each)
    data = staffing.week(known, choice).data
    for row, hour, value, total, opened in zip(
        *(data[k] for k in ("row", "hour", "value", "sum", "opened")), strict=True
    ):
        n, o, days = owner(
            f"select json_build_array(coalesce(sum(checkouts), 0), count(*) filter (where {OPEN}),"
            " (select count(*) from generate_series(%(start)s::date, %(end)s::date, '1 day') d"
            " where to_char(d, 'Dy') = %(row)s))"
            f" from {HOURLY} where day between %(start)s and %(end)s and hour = %(hour)s"
            " and branch_code in ('BEL', 'CEN') and to_char(day, 'Dy') = %(row)s",
            start=choice.start, end=choice.end, hour=hour, row=row,
        )  # fmt: skip
        assert (total, opened) == (n, o)
        assert value == pytest.approx(n / (o if each == "opened" else days), abs=0.006)


@pytest.mark.usefixtures("here")
def test_a_branch_by_opened_hour_and_by_hour_of_the_day() -> None:
    known, choice = busy(**SPRING, branches=["BEL"], weekday="Sat")
    data = staffing.branches(known, choice).data
    assert len(data["code"]) == 4, "a chosen branch stands among the others"
    assert data["value"] == sorted(data["value"], reverse=True)
    n, o = owner(
        f"select json_build_array(sum(checkouts), count(*) filter (where {OPEN})) from {HOURLY}"
        " where branch_code = 'CEN' and day between %(start)s and %(end)s",
        start=choice.start, end=choice.end,
    )  # fmt: skip
    place = data["code"].index("CEN")
    assert (data["sum"][place], data["opened"][place]) == (n, o)
    assert data["value"][place] == round(n / o, 1)
    hours = staffing.branch_hours(known, choice).data
    place = [*zip(hours["row"], hours["hour"], strict=True)].index(("Central", 16))
    assert hours["sum"][place] == owner(
        f"select sum(checkouts) from {HOURLY} where branch_code = 'CEN' and hour = 16"
        " and day between %(start)s and %(end)s and to_char(day, 'Dy') = 'Sat'",
        start=choice.start, end=choice.end,
    )  # fmt: skip


@pytest.mark.usefixtures("here")
def test_the_surface_is_the_weeks_of_each_month() -> None:
    known, choice = busy(**SPRING, measure="returns")
    table = staffing.months(known, choice)
    drawn = busy_hours.surface(table)
    assert drawn["months"] == ["January 2026", "February 2026", "March 2026"]
    assert len(drawn["values"]) == 3 * 7 * len(drawn["hours"])
    place = 7 * len(drawn["hours"]) + 2 * len(drawn["hours"]) + drawn["hours"].index("14:00")
    mean = owner(
        f"select sum(returns) / 4.0 from {HOURLY} where to_char(day, 'YYYY-MM Dy') = '2026-02 Wed'"
        " and hour = 14"
    )
    assert drawn["values"][place] == pytest.approx(float(mean), abs=0.006)
    long = staffing.months(*busy(period="all"))
    assert busy_hours.surface(long)["months"][0] == "November 2025", "the last 12 months alone"


# The stock ----------------------------------------------------------------------------------------


def shelves(**asked: Any) -> tuple[stock.Collection, Selection]:
    known = stock.collection(ADMIN)
    assert known is not None
    return known, stock.REPORT.choose(known, asked)


HELD_NOW = "from gold.library_item_use where is_held and branch_code in ('BEL', 'CEN')"


@pytest.mark.usefixtures("here")
def test_turnover_and_relative_use_are_of_the_chosen_branches_together() -> None:
    known, choice = shelves(branches=["BEL", "CEN"])
    data = stock.use(known, choice, "relative_use").data
    everything = "from gold.library_item_use where branch_code in ('BEL', 'CEN')"
    for code, turnover, relative in zip(
        *(data[k] for k in ("code", "turnover", "relative_use")), strict=True
    ):
        lent, held, all_lent, all_held = owner(
            "select json_build_array(sum(checkouts_365_days) filter (where collection_code ="
            " %(part)s), count(*) filter (where is_held and collection_code = %(part)s),"
            f" sum(checkouts_365_days), count(*) filter (where is_held)) {everything}",
            part=code.partition(":")[2],
        )
        assert turnover == pytest.approx(lent / held, abs=0.006)
        assert relative == pytest.approx((lent / all_lent) / (held / all_held), abs=0.006)
    assert data["relative_use"] == sorted(data["relative_use"], reverse=True)


@pytest.mark.usefixtures("here")
def test_last_use_and_age_are_those_of_the_copies() -> None:
    known, choice = shelves(branches=["BEL", "CEN"], part="collection:junior_fiction")
    whole, never = owner(
        f"select json_build_array(count(*), count(*) filter (where checkouts = 0)) {HELD_NOW}"
        " and collection_code = 'junior_fiction'"
    )
    data = stock.idle(known, choice).data
    place = data["name"].index("Junior fiction")
    assert (data["holdings"][place], data["never"][place]) == (
        whole, round(never / whole * 100, 1),
    )  # fmt: skip
    ages = stock.age(known, choice).data
    assert sum(ages["value"]) == whole
    assert ages["name"][-1] == "Unknown"
    assert stock.median_age(known, choice) == owner(
        "select percentile_cont(0.5) within group (order by 2026 - published_year)"
        f" {HELD_NOW} and collection_code = 'junior_fiction'"
    )


@pytest.mark.usefixtures("here")
def test_the_weeding_list_is_filtered_where_it_stands() -> None:
    known, choice = shelves(part="dewey:500", meets="either")
    table = stock.weeding(known, choice)
    count = "select count(*) from gold.library_weeding_list where dewey_class = 500"
    assert len(table) == owner(count)
    both = stock.weeding(*shelves(part="dewey:500"))
    assert len(both) == owner(f"{count} and too_old and too_long_unused")
    assert 0 < len(both) < len(table)
    years = table.data["unused_years"]
    assert years == sorted(years, reverse=True)
    long = tables.TABLES["collection"](ADMIN, "weeding", {"meets": [b"either"]})
    assert len(long) == 240 > stock.LISTED == len(stock.weeding(*shelves(meets="either")))
    own = tables.TABLES["collection"](LIBRARIAN, "weeding", {"meets": [b"either"]})
    assert set(own.data["branch"]) == {"Bellmere", "Central"}


@pytest.mark.usefixtures("here")
def test_demand_is_the_share_of_loans_over_the_share_of_money() -> None:
    known, choice = shelves(branches=["CEN"])
    data = stock.buying(known, choice).data
    for row in range(len(data["name"])):
        assert data["cost"][row] == pytest.approx(
            data["spent"][row] / data["circulation"][row], abs=0.01
        )
        expected = (data["circulation"][row] / sum(data["circulation"])) / (
            data["spent"][row] / sum(data["spent"])
        )
        assert data["demand"][row] == pytest.approx(expected, abs=0.006)


# Holds --------------------------------------------------------------------------------------------


def awaited(**asked: Any) -> tuple[waiting.Holds, Selection]:
    known = waiting.holds(ADMIN)
    assert known is not None
    return known, waiting.REPORT.choose(known, asked)


@pytest.mark.usefixtures("here")
def test_waits_are_medians_of_all_that_came() -> None:
    known, choice = awaited(branches=["ASH", "DUN"], start="2026-05-15", end="2026-07-02")
    data = waiting.waits(known, choice).data
    assert data["name"] == ["May 2026", "Jun 2026", "Jul 2026"]
    median, most = owner(
        "select json_build_array(percentile_cont(0.5) within group (order by wait_days),"
        " percentile_disc(0.9) within group (order by wait_days)) from gold.library_hold_waits,"
        " generate_series(1, holds) where month = '2026-06-01' and branch_code in ('ASH', 'DUN')"
    )
    assert (data["value"][1], data["most"][1]) == (median, most)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("threshold", [2, 5])
def test_copies_to_buy_follow_the_threshold(threshold: int) -> None:
    known, choice = awaited(threshold=str(threshold))
    data = waiting.buying(known, choice).data
    lines = zip(*(data[k] for k in ("holds", "copies", "on_order", "buy")), strict=True)
    for there, copies, on_order, buy in lines:
        assert buy == max(0, -(-there // threshold) - copies - on_order) > 0
    missing = owner(
        "select count(*) from gold.library_purchase_alert where"
        " holds > %(t)s * (copies + on_order)", t=threshold,
    )  # fmt: skip
    assert len(data["title"]) == missing
    card = next(c for c in waiting.cards(known, choice) if c["name"] == "buy")
    assert card["value"] == f"{sum(data['buy']):,}"


@pytest.mark.usefixtures("here")
def test_a_branch_leaves_the_titles_that_somebody_there_waits_for() -> None:
    known, choice = awaited(branches=["CEN"], threshold="2")
    data = waiting.buying(known, choice).data
    assert len(data["title"]) == owner(
        "select count(*) from gold.library_purchase_alert p join gold.library_hold_titles h"
        " using (title_code) where branch_code = 'CEN' and p.holds > 2 * (copies + on_order)"
    )
    assert 0 < len(data["title"]) < len(waiting.buying(*awaited(threshold="2")))


@pytest.mark.usefixtures("here")
def test_holds_of_a_branch_as_they_stand() -> None:
    known, choice = awaited(branches=["BEL"])
    data = waiting.states(known, choice).data
    place = data["code"].index("CEN")
    active, new, oldest = owner(
        "select json_build_array(sum(active), sum(placed) filter (where placed_on > date"
        " '2026-10-31' - 7), max(date '2026-10-31' - placed_on) filter (where active > 0))"
        " from gold.library_hold_days where branch_code = 'CEN'"
    )
    assert (data["active"][place], data["new_7"][place], data["oldest"][place]) == (
        active, new, oldest,
    )  # fmt: skip
    ages = waiting.ages(known, choice).data
    assert sum(ages["value"]) == owner(
        "select sum(active) from gold.library_hold_days where branch_code = 'BEL'"
    )


# Overdue and fines --------------------------------------------------------------------------------


def owed(**asked: Any) -> tuple[owing.Fines, Selection]:
    known = owing.fines(ADMIN)
    assert known is not None
    return known, owing.REPORT.choose(known, asked)


@pytest.mark.usefixtures("here")
def test_fines_are_the_sums_of_the_months() -> None:
    known, choice = owed(branches=["CEN"], start="2026-02-10", end="2026-04-05")
    data = owing.months(known, choice).data
    assert data["name"] == ["Feb 2026", "Mar 2026", "Apr 2026"]
    for kind, key in (("charged", "value"), ("paid", "paid"), ("waived", "waived")):
        assert data[key][1] == owner(
            "select sum(amount)::float from gold.library_fine_months where branch_code = 'CEN'"
            " and month = '2026-03-01' and kind = %(kind)s", kind=kind,
        )  # fmt: skip
    bands = owing.owed(known, choice).data
    assert sum(bands["value"]) == pytest.approx(
        owner("select sum(owed)::float from gold.library_fines_owed where branch_code = 'CEN'")
    )
    assert bands["value"][1] == owner(
        "select sum(owed)::float from gold.library_fines_owed"
        " where branch_code = 'CEN' and months in (1, 2)"
    )


@pytest.mark.usefixtures("here")
def test_lateness_is_of_returns_whose_due_day_is_known() -> None:
    known, choice = owed(start="2026-02-10", end="2026-04-05")
    data = owing.late(known, choice).data
    place = data["name"].index("DVD")
    on_time, late = owner(
        "select json_build_array(count(*) filter (where days_late = 0) * 100.0 / count(*),"
        " percentile_cont(0.5) within group (order by days_late) filter (where days_late > 0))"
        " from gold.library_return_months, generate_series(1, returns)"
        " where month between '2026-02-01' and '2026-04-01' and item_type = 'dvd'"
    )
    assert data["on_time"][place] == pytest.approx(on_time, abs=0.06)
    assert data["days"][place] == late
    overdue = owing.overdue(known, choice).data
    assert overdue["value"][1] == owner(
        "select sum(loans) from gold.library_loans_out where days_overdue between 8 and 30"
    )
    assert owing.by_branch(known, choice).data["overdue"][0] > 0


# Branches and the annual return -------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_a_branch_stands_beside_the_mean_of_all() -> None:
    known = branch_report.branches(ADMIN)
    assert known is not None
    choice = branch_report.REPORT.choose(known, {**SPRING, "figure": "per_hour"})
    data = branch_report.compared(known, choice).data
    expected = dict(owner(
        "select json_agg(json_build_array(branch_code, rate)) from (select branch_code,"
        f" sum(checkouts)::float / count(*) filter (where {OPEN}) as rate from {HOURLY}"
        " where day between '2026-01-07' and '2026-03-03' group by 1) t"
    ))  # fmt: skip
    mean = sum(expected.values()) / len(expected)
    for code, value, middle, more in zip(
        *(data[k] for k in ("code", "value", "mean", "difference")), strict=True
    ):
        assert (value, middle) == (round(expected[code], 2), round(mean, 2))
        assert more == pytest.approx((expected[code] / mean - 1) * 100, abs=0.06)
    table = branch_report.table(known, choice).data
    assert [sum(m) for m in table["months"]] == table["checkouts"]
    assert len(table["months"][0]) == 3
    saved = tables.TABLES["branches"](ADMIN, "table", {})
    assert "months" not in [c.key for c in saved.columns], "a file holds no drawing"


@pytest.mark.usefixtures("here")
def test_the_annual_return_is_of_whole_years_beside_whole_years() -> None:
    known = yearly.years(ADMIN)
    assert known is not None
    choice = yearly.REPORT.choose(known, {"year": "2026", "branches": ["BEL", "CEN"]})
    data = yearly.annual(known, choice).data
    value = dict(zip(data["name"], data["value"], strict=True))
    where = "where branch_code in ('BEL', 'CEN') and extract(year from"
    for name, figure in {
        "Total circulation": f"select sum(checkouts + renewals) from {HOURLY} {where} day) = 2026",
        "Opened hours": f"select count(*) from {HOURLY} {where} day) = 2026 and {OPEN}",
        "Holds placed": f"select sum(placed) from gold.library_hold_days {where} placed_on) = 2026",
        "Fines paid": "select round(sum(amount)) from gold.library_fine_months"
        f" {where} month) = 2026 and kind = 'paid'",
        "Copies added": "select sum(added) from gold.library_stock_years"
        " where branch_code in ('BEL', 'CEN') and year = 2026",
        "Checkouts of children's material": "select sum(checkouts) from gold.library_title_months"
        " join gold.library_titles using (title_code)"
        f" {where} month) = 2026 and collection_code like 'junior%%'",
    }.items():
        assert value[name] == owner(figure, unused=0), name
    assert set(data["before"]) == {None}, "2025 begins with the data, 2026 still runs"
    assert known.whole(2026) is False
    by = yearly.by_collection(known, choice).data
    assert by["checkouts"] == sorted(by["checkouts"], reverse=True)


# Every report -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("layout", LAYOUTS, ids=names)
def test_a_download_is_what_the_page_shows(layout: Layout) -> None:
    page = ReportPage(layout, signed_in("admin"), {})
    assert page.shown is not None
    for name in layout.report.measures:
        table = tables.TABLES[layout.report.name](ADMIN, name, {})
        assert len({len(table.data[c.key]) for c in table.columns}) == 1
        assert len(table), name
        assert table.notes
    with pytest.raises(KeyError):
        tables.TABLES[layout.report.name](ADMIN, "secret", {})
    assert [p.name for p in layout.parts] == list(layout.report.measures)
    assert all(p.definition for p in layout.parts)
    assert all(card["definition"] for card in page.controls.cards)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("layout", LAYOUTS, ids=names)
def test_a_chart_shows_the_columns_of_its_table_and_says_them(layout: Layout) -> None:
    page = ReportPage(layout, signed_in("librarian"), {})
    for part in layout.parts:
        if part.chart:
            shown = page.charts[part.name].source.data
            assert {c.key for c in part.columns} <= set(shown), part.name
            said = page.controls.notes[f"said_{part.name}"]
            assert "highest" in said or " at " in said


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("layout", LAYOUTS, ids=names)
def test_nonsense_becomes_the_default(layout: Layout) -> None:
    known = layout.report.load(ADMIN)
    usual = layout.report.choose(known, {})
    keys = [s.key for s in layout.report.selects(known)]
    unlike: tuple[Any, ...] = ("'; drop", [], {}, 7)
    for nonsense in unlike:
        assert layout.report.choose(known, dict.fromkeys(keys, nonsense)) == usual


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("layout", [a for a in LAYOUTS if a.report.name not in ALIKE], ids=names)
def test_who_sees_nothing_is_told(layout: Layout) -> None:
    nobody = signed_in("librarian", branches=())
    assert ReportPage(layout, nobody, {}).page().empty == layout.nothing


@pytest.mark.usefixtures("here")
def test_a_load_is_shown_while_the_page_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "STAMP_SECONDS", 0)
    page = ReportPage(circulation.LAYOUT, signed_in("admin"), {"period": "7d"})
    before = page.controls.cards[0]["value"]
    asyncio.run(page.look())
    assert page.controls.answered == 0
    day, columns = dt.date(2026, 11, 1), "branch_code, day, item_type, dewey_class, checkouts"
    try:
        with connect() as connection:
            connection.execute(
                f"insert into {KINDS} ({columns}, renewals, returns, in_house_uses)"
                " values ('CEN', %s, 'book', 'none', 4321, 0, 0, 0)",
                [day],
            )
            _published(connection)
        asyncio.run(page.look())
        assert page.controls.answered == 1
        assert page.controls.cards[0]["value"] != before
        assert page.controls.options["last"] == day.isoformat()
        assert 4321 in page.charts["over_time"].source.data["value"]
    finally:
        with connect() as connection:
            connection.execute(f"delete from {KINDS} where day = %s", [day])
            _published(connection)


@pytest.mark.usefixtures("here")
def test_the_overview_shows_a_load_while_it_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "STAMP_SECONDS", 0)
    page = overview.Overview(signed_in("admin"), {"period": "7d"})
    asyncio.run(page.look())
    assert page.controls.answered == 0
    day, before = dt.date(2026, 11, 1), page.controls.cards[0]["value"]
    try:
        with connect() as connection:
            connection.execute(f"insert into {HOURLY} values ('CEN', %s, 12, 4321, 0, 0, 0)", [day])
            _published(connection)
        asyncio.run(page.look())
        assert page.controls.answered
        assert page.controls.options["last"] == day.isoformat()
        assert page.controls.cards[0]["value"] != before
        assert page.daily.source.data["value"][-2] == 4321
        assert "highest 4,321 at 1 Nov 2026" in page.controls.notes["said_daily"]
    finally:
        with connect() as connection:
            connection.execute(f"delete from {HOURLY} where day = %s", [day])
            _published(connection)


def _published(connection: Any) -> None:
    connection.execute(
        "update ops.publications set published_at = clock_timestamp()"
        " where table_name in ('library_circulation_kinds', 'library_circulation')"
    )


@pytest.mark.usefixtures("here")
def test_a_click_opens_a_month_and_another_chooses_a_bar() -> None:
    page = ReportPage(circulation.LAYOUT, signed_in("admin"), {"grain": "month"})
    place = [d.strftime("%Y-%m") for d in _days(page)].index("2026-02")
    assert page.shown is not None
    choice = page.charts["over_time"].choice(place, page.shown.as_dict())
    page.show(page.answer({**page.shown.as_dict(), **choice}))
    assert (page.shown.start, page.shown.end) == (dt.date(2026, 2, 1), dt.date(2026, 2, 28))
    assert page.shown.get("grain") == "day"
    picked = page.charts["by_dewey"].choice(0, page.shown.as_dict())
    page.show(page.answer({**page.shown.as_dict(), **picked}))
    code = page.shown.get("dewey")
    assert code == page.charts["by_dewey"].source.data["code"][0]
    again = page.charts["by_dewey"].choice(0, page.shown.as_dict())
    assert again == {"dewey": ""}


def _days(page: ReportPage) -> list[dt.date]:
    start = page.charts["over_time"].source.data["start"]
    found: list[dt.date] = np.array(start, "datetime64[ms]").astype("datetime64[D]").tolist()
    return found


def test_a_summary_says_the_highest_and_the_lowest() -> None:
    columns = [Column("day", "Day", "date"), Column("n", "Count", "integer")]
    data: dict[str, list[Any]] = {"day": [dt.date(2026, 3, 1), dt.date(2026, 3, 2)], "n": [3, 1200]}
    table = Table("t", "Loans by day", columns, data)
    assert summary(table, "day", "n") == (
        "Loans by day: 2 values of count, highest 1,200 at 2 Mar 2026, lowest 3 at 1 Mar 2026."
    )
    assert "nothing" in summary(Table("t", "T", columns, {"day": [], "n": []}), "day", "n")


def test_numbers_and_selects() -> None:
    assert [report.number(v) for v in (0, 3.25, 3.0, 250.4)] == ["0", "3.2", "3", "250"]
    assert report.share(1, 8) == "12.5 %"
    assert report.share(1, 0) == "–"
    select = Select("x", "X", (("", "All"), ("a", "A")))
    assert [select.choose(v) for v in ("a", "b", None, ["a"])] == ["a", "", "", ""]
