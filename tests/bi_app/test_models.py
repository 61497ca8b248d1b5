from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

import numpy as np
import pytest
from openpyxl import load_workbook
from psycopg import sql
from psycopg.errors import QueryCanceled
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from bi_app import queries, words
from bi_app.models import explore, export, store, summary
from bi_app.models.circulation import Circulation, circulation, measured
from bi_app.models.freshness import freshness
from bi_app.models.measures import COUNTED, MEASURES
from bi_app.models.my_loans import due_state, my_loans
from bi_app.models.overview import View, change, per_open_day, spark
from bi_app.models.selection import (
    PERIODS,
    Bounds,
    Selection,
    from_arguments,
    months_before,
    select,
)
from bi_app.models.table import Column, Table
from bi_app.models.titles import titles
from tests.bi_app.fix_app import MEMBER, OTHER, OWN
from warehouse.access import Viewer, acting_as
from warehouse.database import connect
from warehouse.settings import Settings

ADMIN = Viewer("admin@carrel.example", "admin")
LIBRARIAN = Viewer("librarian@carrel.example", "librarian", OWN)
PERSON = Viewer("member@carrel.example", "member", (), MEMBER)
BOUNDS = Bounds(dt.date(2024, 1, 10), dt.date(2026, 3, 31), ("A", "B"))


def owner(query: str, *values: Any, **named: Any) -> Any:
    """The first value of a query as the owner, whom no policy binds."""
    with connect() as connection:
        row = connection.execute(query.encode(), named or values).fetchone()
    return row[0] if row else None


# Selection --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "start"),
    [
        ("7d", "2026-03-25"),
        ("30d", "2026-03-02"),
        ("90d", "2026-01-01"),
        ("12m", "2025-04-01"),
        ("year", "2026-01-01"),
        ("all", "2024-01-10"),
    ],
)
def test_periods_end_with_the_data(period: str, start: str) -> None:
    chosen = select({"period": period}, BOUNDS)
    assert (chosen.start.isoformat(), chosen.end) == (start, BOUNDS.last)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"period": "nonsense"},
        {"start": "x"},
        {"start": "2026-03-01", "end": "2026-02-01"},
        {"period": "custom"},
        {"branches": ["C", "'; drop"]},
        {"measure": "secret"},
    ],
)
def test_what_makes_no_sense_becomes_the_default(asked: dict[str, Any]) -> None:
    chosen = select(asked, BOUNDS)
    assert (chosen.start, chosen.branches, chosen.measure) == (dt.date(2025, 4, 1), (), "checkouts")


def test_a_range_is_cut_to_the_data() -> None:
    chosen = select({"start": "1999-01-01", "end": "2999-01-01", "branches": ["B"]}, BOUNDS)
    assert (chosen.start, chosen.end, chosen.branches) == (BOUNDS.first, BOUNDS.last, ("B",))


def test_the_address_says_the_same_as_the_filters() -> None:
    asked = from_arguments({"period": [b"90d"], "branch": [b"A", b"B"], "measure": [b"returns"]})
    assert asked == {"period": "90d", "branches": ["A", "B"], "measure": "returns"}
    assert all(select({"period": p}, BOUNDS).period == p for p in PERIODS)


@pytest.mark.parametrize(
    ("count", "first"),
    [(0, "2026-03-01"), (1, "2026-02-01"), (3, "2025-12-01"), (15, "2024-12-01")],
)
def test_months_before_a_day_begin_with_their_first(count: int, first: str) -> None:
    assert months_before(dt.date(2026, 3, 31), count).isoformat() == first


def test_the_period_before_has_the_same_length() -> None:
    chosen = Selection(dt.date(2026, 3, 1), dt.date(2026, 3, 31))
    assert (chosen.before.start, chosen.before.end) == (dt.date(2026, 1, 29), dt.date(2026, 2, 28))
    assert chosen.before.days == chosen.days == 31


# Circulation --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("period", ["7d", "90d", "all"])
@pytest.mark.parametrize("branches", [(), ("BEL",), ("ASH", "CEN")])
def test_sums_are_those_of_the_database(period: str, branches: tuple[str, ...]) -> None:
    known = circulation(ADMIN)
    chosen = select({"period": period, "branches": branches}, known.bounds)
    view = View(known, titles(ADMIN, known), chosen)
    for card in view.cards()[:5]:
        parts = " + ".join(MEASURES[card["name"]].parts)
        expected = owner(
            f"select sum({parts}) from gold.library_circulation where day between %s and %s"
            " and branch_code = any(%s)",
            chosen.start,
            chosen.end,
            list(branches or known.codes),
        )
        assert card["value"] == f"{expected:,}"


def test_hours_are_those_in_which_a_measure_occurs() -> None:
    counts = np.zeros((1, 2, 10, len(COUNTED)), np.int32)
    counts[0, 0, 0, COUNTED.index("renewals")] = 1  # at home, before the doors open
    counts[0, 1, 3:6, COUNTED.index("checkouts")] = 1
    known = Circulation(("A",), ("A",), 20000, 7, counts)
    assert known.hours_of("checkouts") == range(10, 13)
    assert known.hours_of("total") == range(7, 13)
    assert known.hours_of("returns") == known.hours
    chosen = select({"period": "all"}, known.bounds)
    sums, _ = View(known, None, chosen).hour_values()  # type: ignore[arg-type]
    assert sums.shape == (7, 3)
    assert sums.sum() == 3


@pytest.mark.usefixtures("here")
def test_weekdays_and_hours_are_those_of_the_database() -> None:
    known = circulation(ADMIN)
    chosen = select({"start": "2026-01-07", "end": "2026-03-03", "branches": ["CEN"]}, known.bounds)
    sums, weekdays = known.weekday_hours(chosen)
    for weekday in range(7):
        for hour in known.hours:
            expected = owner(
                "select coalesce(sum(checkouts), 0) from gold.library_circulation where day"
                " between %s and %s and branch_code = 'CEN' and hour = %s"
                " and extract(isodow from day) = %s",
                chosen.start,
                chosen.end,
                hour,
                weekday + 1,
            )
            assert measured(sums, "checkouts")[weekday, hour - known.hours.start] == expected
    assert weekdays.sum() == chosen.days


@pytest.mark.usefixtures("here")
def test_top_titles_are_those_of_the_database() -> None:
    known = circulation(ADMIN)
    chosen = select({"start": "2026-02-10", "end": "2026-04-05", "branches": ["BEL"]}, known.bounds)
    best = View(known, titles(ADMIN, known), chosen).top_titles()
    expected = owner(
        "select array_agg(n order by n desc) from (select sum(checkouts) as n"
        " from gold.library_title_months where branch_code = 'BEL'"
        " and month between '2026-02-01' and '2026-04-01' group by title_code"
        " order by 1 desc limit 100) t"
    )
    assert [r["checkouts"] for r in best] == [int(n) for n in expected]


@pytest.mark.usefixtures("here")
def test_each_role_holds_its_own_figures() -> None:
    whole = circulation(ADMIN)
    own = circulation(LIBRARIAN)
    everyone = circulation(PERSON)
    assert own.codes == OWN
    assert everyone.codes == ("all",)
    assert own.counts.sum() == whole.counts[[whole.codes.index(c) for c in OWN]].sum()
    assert everyone.counts.sum() == whole.counts.sum()
    assert circulation(ADMIN) is whole
    other = Viewer("x@carrel.example", "librarian", ("ASH",))
    assert circulation(other).codes == ("ASH",)
    assert circulation(Viewer("y@carrel.example", "librarian")).empty


@pytest.mark.usefixtures("here")
def test_members_share_the_public_figures() -> None:
    assert circulation(PERSON) is circulation(Viewer("o@carrel.example", "member", (), OTHER))


@pytest.mark.usefixtures("here")
def test_a_publication_is_seen_and_nothing_is_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "STAMP_SECONDS", 0)
    before = circulation(ADMIN)
    assert circulation(ADMIN) is before
    with connect() as connection:
        connection.execute(
            "update ops.publications set published_at = clock_timestamp()"
            " where table_name = 'library_circulation'"
        )
    assert circulation(ADMIN) is not before


def test_change_and_spark() -> None:
    assert change(110, 100) == 10.0
    assert change(5, 0) is None
    assert change(5, None) is None
    assert spark(np.array([0, 0])) == []
    assert spark(np.array([1, 2, 4])) == [25, 50, 100]
    assert len(spark(np.arange(1000))) == 32
    assert per_open_day(np.zeros((3, len(COUNTED)), int)) == 0
    assert per_open_day(np.array([[4, 0, 0, 0], [0, 0, 0, 0], [2, 1, 1, 1]])) == 3


@pytest.mark.usefixtures("here")
def test_a_period_before_the_data_has_no_comparison() -> None:
    known = circulation(ADMIN)
    view = View(known, titles(ADMIN, known), select({"period": "all"}, known.bounds))
    assert all(card["change"] is None for card in view.cards())
    assert set(view.branch_frame()["before_text"]) == {"no data"}


@pytest.mark.usefixtures("here")
def test_freshness_says_until_when_and_how_sound() -> None:
    fresh = freshness(ADMIN, ["gold.library_circulation"])
    assert fresh.statement == "all changes before 1 Nov 2026, 02:10, quality 97"
    assert fresh.held_back == ()
    assert "33 of 34" in fresh.explanation
    with connect() as connection:
        connection.execute(
            "insert into quality.verdicts (dataset, outcome, checks, passed)"
            " values ('library_loan_events', 'failed', 34, 30)"
        )
    try:
        held = freshness(ADMIN, ["gold.library_circulation"])
        assert held.held_back == ("library_loan_events",)
        assert "held back" in held.explanation
        with connect() as connection:
            connection.execute(
                "insert into quality.overrides (verdict_id, dataset, who, reason)"
                " select max(verdict_id), 'library_loan_events', 'ann', 'known'"
                " from quality.verdicts"
            )
        anyway = freshness(PERSON, ["gold.library_circulation"])  # a member may see that much
        assert (anyway.held_back, anyway.published_anyway) == ((), ("library_loan_events",))
        assert "a person published it" in anyway.explanation
        assert "ann" not in anyway.explanation
    finally:
        with connect() as connection:
            connection.execute("delete from quality.overrides")
        with connect() as connection:
            connection.execute("delete from quality.verdicts where outcome = 'failed'")
    with connect() as connection:
        connection.execute(
            "insert into quality.scores (level, subject, score, weight, formula, parts) values"
            " ('dataset', 'library_items', 50, 0.5, 'as documented', '[]')"
        )
    both = freshness(ADMIN, ["gold.library_circulation"], ["library_items"])
    assert both.quality == int((97.9 + 0.5 * 50) / 1.5)
    with connect() as connection:
        connection.execute("delete from quality.scores where subject = 'library_items'")
    assert freshness(ADMIN, ["gold.nothing"]).statement == "nothing has been published yet"


# My loans -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_a_member_sees_own_loans_and_history_since_consent() -> None:
    mine = my_loans(PERSON)
    assert [r["title"] for r in mine.running] == ["=1+1", "Quiet Rooms"]
    assert [r["state"].split("|")[0] for r in mine.running] == ["bad", "good"]
    assert [r["title"] for r in mine.past] == ["Quiet Rooms"]
    assert str(mine.owed) == "2.25"
    ahead = mine.running[1]["due_on"]
    assert mine.cards()[0]["note"] == f"next due {words.day(ahead)}"
    assert [h["state"] for h in mine.holds] == ["ready to collect"]
    other = my_loans(Viewer("o@carrel.example", "member", (), OTHER))
    assert len(other.running) == 1
    assert other.past == []
    assert other.holds == []


@pytest.mark.usefixtures("here")
def test_a_member_cannot_ask_for_another_by_value_or_raw_sql() -> None:
    with acting_as(PERSON) as connection:
        keys = connection.execute(
            text("select distinct member_key from silver.library_loan_events")
        ).scalars()
        assert list(keys) == [MEMBER]
    with acting_as(PERSON) as connection, pytest.raises(ProgrammingError, match="denied"):
        connection.execute(text("select count(*) from gold.library_circulation"))


@pytest.mark.parametrize(
    ("days", "badge"),
    [
        (None, "|no due date"),
        (-1, "bad|1 day overdue"),
        (-9, "bad|9 days overdue"),
        (0, "warn|due today"),
        (1, "warn|due in 1 day"),
        (4, "good|4 days left"),
    ],
)
def test_due_dates_are_said_in_words(days: int | None, badge: str) -> None:
    assert due_state(days) == badge


# Explore ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "asked",
    [
        {"table": "app.accounts"},
        {"table": "silver.library_items; drop table silver.library_items"},
        {"table": 'gold.library_titles"', "sort": 'title" desc; select 1 --'},
        {"table": "gold.library_titles", "sort": "password_hash"},
        {"table": "gold.library_titles", "page": "-1 union select 1"},
        {"table": None, "page": [1], "sort": {"a": 1}},
    ],
)
def test_names_come_from_the_catalogue_alone(asked: dict[str, Any]) -> None:
    known = explore.catalogue(ADMIN)
    question = explore.ask(asked, known)
    assert question.entry.table_name in known
    assert question.sort is None
    explore.page_of_rows(ADMIN, question)


@pytest.mark.usefixtures("here")
def test_staff_may_not_read_pseudonyms_or_personal_columns() -> None:
    known = explore.catalogue(LIBRARIAN)
    assert "silver.library_members" not in known or not {
        "member_key",
        "area_code",
        "joined_on",
    } & set(known["silver.library_members"].names)
    assert "member_key" not in known["silver.library_loan_events"].names
    assert all(not t.startswith(("bronze", "quarantine", "app", "ops")) for t in known)


@pytest.mark.usefixtures("here")
def test_rows_are_paged_sorted_and_counted() -> None:
    known = explore.catalogue(ADMIN)
    asked = {"table": "gold.library_titles", "sort": "copies", "down": True, "page": 1}
    question = explore.ask(asked, known)
    table = explore.page_of_rows(ADMIN, question)
    assert len(table) == explore.PAGE_ROWS
    copies = list(table.data["copies"])
    assert copies == sorted(copies, reverse=True)
    assert explore.total(ADMIN, question) == 300


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("table", "usual"),
    [
        ("gold.library_circulation", ("sum:checkouts", ["day:month"])),  # figures by day
        ("gold.library_collection_use", ("count", ["branch_code"])),  # the branch, by its own rule
        ("gold.library_titles", ("count", ["collection_code"])),  # a text with few values
        ("gold.library_member_months", ("max:borrowers", ["month:month"])),  # people do not add up
        ("gold.library_branch_names", ("count", ["name"])),  # nothing that groups
    ],
)
def test_a_table_is_summarised_by_what_groups_its_rows(
    table: str, usual: tuple[str, list[str]]
) -> None:
    found = summary.begun(ADMIN, explore.catalogue(ADMIN)[table], {}).as_dict()
    assert (found["measure"], found["by"]) == ([usual[0]], usual[1])


@pytest.mark.usefixtures("here")
def test_a_slow_question_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = sql.SQL("select pg_sleep(5)")
    monkeypatch.setattr(queries, "statement", lambda *_a, **_k: slow)
    with pytest.raises(QueryCanceled, match="statement timeout"):
        queries.rows(ADMIN, "any", seconds=1)


# Export -------------------------------------------------------------------------------------------

NASTY = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "plain", 'a,b\n"c"', None]


def nasty() -> Table:
    """A table with everything that a spreadsheet could run."""
    columns = [
        Column("name", "=Name"),
        Column("count", "Count", "integer"),
        Column("day", "Day", "date"),
        Column("state", "State", "badge"),
    ]
    data = {
        "name": NASTY,
        "count": [-5] * len(NASTY),
        "day": [dt.date(2026, 1, 2)] * len(NASTY),
        "state": ["bad|=late"] * len(NASTY),
    }
    return Table("../na sty", "What/ever: [x]" * 5, columns, data, ["=note"])


def test_csv_runs_no_formula_and_keeps_numbers() -> None:
    text = export.to_csv(nasty()).decode("utf-8-sig")
    head, *rows = list(csv.reader(io.StringIO(text, newline="")))
    assert head == ["'=Name", "Count", "Day", "State"]
    assert [r[0] for r in rows[:9]] == [*(f"'{n}" for n in NASTY[:8]), "plain"]
    assert rows[9][0] == NASTY[9]
    assert {tuple(r[1:]) for r in rows} == {("-5", "2026-01-02", "'=late")}


def test_excel_has_types_and_no_formula() -> None:
    book = load_workbook(io.BytesIO(export.to_xlsx(nasty())))
    sheet = book.worksheets[0]
    assert not [c for row in sheet.iter_rows() for c in row if c.data_type == "f"]
    name, count, day, state = sheet[2]
    assert (name.value, count.value, day.value.date(), state.value) == (
        "'=1+1",
        -5,
        dt.date(2026, 1, 2),
        "'=late",
    )
    assert (count.number_format, day.number_format) == ("#,##0", "yyyy-mm-dd")
    assert book["About"]["A2"].value == "'=note"


def test_a_file_name_is_plain() -> None:
    assert (
        export.file_name(nasty(), "csv", today=dt.date(2026, 1, 2))
        == "carrel-na-sty-2026-01-02.csv"
    )


@pytest.mark.parametrize(
    ("code", "owed", "heading"),
    [("", "2.25", "Amount"), ("EUR", "€2.25", "Amount (EUR)"), ("CHF", "CHF 2.25", "Amount (CHF)")],
)
def test_amounts_name_their_currency(
    here: str, monkeypatch: pytest.MonkeyPatch, code: str, owed: str, heading: str
) -> None:
    monkeypatch.setattr("bi_app.models.my_loans.settings", lambda: Settings(currency=code))
    found = my_loans(PERSON)
    assert found.cards()[3]["value"] == owed
    assert found.table("fines").columns[2].title == heading
