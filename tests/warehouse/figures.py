"""What must be in silver after the real files are loaded.

Each fact is a query and its answer: a plain value, or the place of the answer in FIGURES.json.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NamedTuple

Figures = dict[str, Any]


class Fact(NamedTuple):
    """A question to silver, and its answer."""

    what: str
    query: str
    answer: Any | Callable[[Figures], Any]

    def expected(self, figures: Figures) -> Any:
        return self.answer(figures) if callable(self.answer) else self.answer


def extra(table: str, columns: str) -> str:
    """A query for how many rows are more than the distinct ones."""
    source = f"from silver.library_{table}"
    return f"select count(*) - (select count(*) from (select distinct {columns} {source})) {source}"


def months(first: str, last: str) -> tuple[date, date]:
    return tuple(date(*map(int, m.split("-")), 1) for m in (first, last))  # type: ignore[return-value]


EVENTS = "silver.library_newcastle_item_events"
EVENT_COLUMNS = (
    "isbn, control_number, seen_at, last_issued_at, branch_code, item_code, author, title,"
    " stock_area"
)
MONTHLY = "silver.library_newcastle_monthly_issues"
ISSUES = "silver.library_librarieswest_issues"
RESERVATIONS = "silver.library_librarieswest_reservations"
HELD = "silver.library_librarieswest_items"
CORNELL = "silver.library_cornell_transactions"
LC = "silver.library_lc_books"
LC_COLUMNS = (
    "call_number, title, responsibility, location_code, checkouts, last_checked_out_at, subjects,"
    " standard_numbers, call_number_item, date_one, format_code, collection_code"
)
GOOD = "silver.library_goodbooks"


def newcastle_item_events(f: Figures) -> Any:
    return f["library/newcastle/top5_item_events"]


def newcastle_monthly(f: Figures) -> Any:
    return f["library/newcastle/loans/monthly-issues"]


def issues(f: Figures) -> Any:
    return f["library/librarieswest/issues_summary"]


def cornell(f: Figures) -> Any:
    return f["library/cornell/subset-circ-trans-2.tsv.gz"]


def lc(f: Figures) -> Any:
    return f["library/lc_books/books.csv"]


def goodbooks(f: Figures) -> Any:
    return f["library/goodbooks/books.csv"]


def counted(rows: list[dict[str, Any]], name: str) -> list[tuple[Any, Any]]:
    return [(r[name], r["n"]) for r in rows]


FACTS: dict[str, list[Fact]] = {
    "library_newcastle_item_events": [
        Fact("rows", f"select count(*) from {EVENTS}", lambda f: newcastle_item_events(f)["rows"]),
        Fact(
            "exact duplicates are kept",
            extra("newcastle_item_events", EVENT_COLUMNS),
            lambda f: newcastle_item_events(f)["dups"],
        ),
        Fact(
            "copies, branches, titles",
            "select count(distinct item_code), count(distinct branch_code), count(distinct title)"
            f" from {EVENTS}",
            lambda f: tuple(newcastle_item_events(f)[k] for k in ("items", "branches", "titles")),
        ),
        Fact(
            "last issue empty",
            f"select count(*) from {EVENTS} where last_issued_at is null",
            lambda f: newcastle_item_events(f)["issuedate_empty"],
        ),
        Fact(
            "first and last event",
            f"select min(seen_at), max(seen_at) from {EVENTS}",
            lambda f: tuple(
                datetime.fromisoformat(newcastle_item_events(f)[k]) for k in ("first", "last")
            ),
        ),
        Fact(
            "events by stock area",
            f"select stock_area, count(*) from {EVENTS} group by 1",
            lambda f: set(newcastle_item_events(f)["stock_area"].items()),
        ),
        Fact(
            "isbn-13s that are none",
            f"select count(*) from {EVENTS} where isbn !~ '^97[89][0-9]{{10}}$'",
            lambda f: newcastle_item_events(f)["bad_isbn13"],
        ),
    ],
    "library_newcastle_monthly_issues": [
        Fact(
            "cells with a figure",
            f"select count(*) from {MONTHLY}",
            lambda f: (
                newcastle_monthly(f)["rows"] * newcastle_monthly(f)["months"]
                - newcastle_monthly(f)["empty"]
            ),
        ),
        Fact("sum", f"select sum(issues) from {MONTHLY}", lambda f: newcastle_monthly(f)["sum"]),
        Fact(
            "months across both kinds of header; the last seven of 204 have no figure",
            f"select count(distinct month), min(month), max(month) from {MONTHLY}",
            lambda f: (newcastle_monthly(f)["months"] - 7, *months("2008-04", "2024-8")),
        ),
        Fact(
            "branches",
            f"select distinct branch from {MONTHLY}",
            lambda f: {(b,) for b in newcastle_monthly(f)["libraries"]},
        ),
        Fact(
            "the peak is real",
            f"select branch, month, issues from {MONTHLY} order by issues desc limit 1",
            ("City", date(2009, 7, 1), 56618),
        ),
        Fact(
            "blank cells",
            "select sum(rows_ignored) from ops.loads"
            " where dataset = 'library_newcastle_monthly_issues' and state = 'done'",
            lambda f: newcastle_monthly(f)["empty"],
        ),
    ],
    "library_librarieswest_issues": [
        Fact("rows", f"select count(*) from {ISSUES}", lambda f: issues(f)["rows"]),
        Fact(
            "issues and renewals",
            f"select sum(issues), sum(renewals) from {ISSUES}",
            lambda f: (issues(f)["issues"], issues(f)["renewals"]),
        ),
        Fact(
            "months",
            f"select min(month), max(month), count(distinct month) from {ISSUES}",
            lambda f: (*months(*issues(f)["months"][:2]), issues(f)["months"][2]),
        ),
        Fact(
            "issues by authority",
            f"select authority, sum(issues)::int from {ISSUES} group by 1",
            lambda f: set(issues(f)["by_authority"].items()),
        ),
    ],
    "library_librarieswest_reservations": [
        Fact(
            "rows",
            f"select count(*) from {RESERVATIONS}",
            lambda f: f["library/librarieswest/reservations_summary"]["rows"],
        ),
        Fact(
            "months, reservations, longest wait",
            f"select count(distinct month), sum(reservations), max(days_taken) from {RESERVATIONS}",
            (22, 732877, 189),
        ),
    ],
    "library_librarieswest_items": [
        Fact(
            "rows",
            f"select count(*) from {HELD}",
            lambda f: f["library/librarieswest/items_summary"]["rows"],
        ),
        Fact(
            "items, issues, renewals",
            f"select sum(items), sum(total_issues), sum(total_renewals) from {HELD}",
            (2077998, 18047056, 11631210),
        ),
    ],
    "library_cornell_transactions": [
        Fact(
            "rows and titles",
            f"select count(*), count(distinct bib_id) from {CORNELL}",
            lambda f: (cornell(f)["rows_"], cornell(f)["bibs"]),
        ),
        Fact(
            "first and last day",
            f"select min(transacted_on), max(transacted_on) from {CORNELL}",
            lambda f: tuple(date.fromisoformat(cornell(f)[k]) for k in ("first_", "last_")),
        ),
        Fact(
            "equal lines are kept",
            extra("cornell_transactions", "bib_id, transacted_on"),
            lambda f: cornell(f)["same_bib_same_day_extra"],
        ),
        Fact(
            "ids are all 0",
            f"select distinct transaction_id, item_id from {CORNELL}",
            (0, 0),
        ),
        Fact(
            "by year",
            f"select extract(year from transacted_on)::int, count(*) from {CORNELL} group by 1",
            lambda f: set(counted(cornell(f)["per_year"], "y")),
        ),
        Fact(
            "by month of the year",
            f"select extract(month from transacted_on)::int, count(*) from {CORNELL} group by 1",
            lambda f: set(counted(cornell(f)["month_of_year"], "m")),
        ),
        Fact(
            "top ten",
            f"select bib_id, count(*) from {CORNELL} group by 1 order by 2 desc limit 10",
            lambda f: counted(cornell(f)["top10_bib"], "bib"),
        ),
        Fact(
            "titles with one loan, and with a hundred or more",
            "select count(*) filter (where n = 1), count(*) filter (where n >= 100)"
            f" from (select count(*) as n from {CORNELL} group by bib_id)",
            lambda f: (cornell(f)["bibs_with_exactly_one_loan"], cornell(f)["bibs_with_>=100"]),
        ),
    ],
    "library_lc_books": [
        Fact(
            "rows and loans",
            f"select count(*), sum(checkouts) from {LC}",
            lambda f: (lc(f)["rows"], lc(f)["checkouts"]),
        ),
        Fact("exact duplicates are kept", extra("lc_books", LC_COLUMNS), lambda f: lc(f)["dups"]),
        Fact(
            "null dates",
            f"select count(*) from {LC} where last_checked_out_at is null",
            lambda f: lc(f)["loutdate_patterns"]["-  -"],
        ),
        Fact(
            "dates",
            f"select min(last_checked_out_at), max(last_checked_out_at) from {LC}",
            (datetime(2001, 3, 6, 14, 5), datetime(2018, 4, 4, 23, 47)),
        ),
        Fact(
            "years that are none",
            f"select count(*) from {LC} where date_one !~ '^[0-9]+$' or date_one is null",
            lambda f: lc(f)["date_one_nondigit"],
        ),
        Fact(
            "years known: all plain ones but 9999",
            f"select count(published_year), min(published_year), max(published_year) from {LC}",
            lambda f: (lc(f)["rows"] - lc(f)["date_one_nondigit"] - 2, 1754, 2007),
        ),
        Fact(
            "records with several ISBNs",
            f"select count(*) from {LC} where standard_numbers like '%~%'",
            lambda f: lc(f)["isn_multi"],
        ),
        Fact("first ISBNs", f"select count(isbn), count(distinct isbn) from {LC}", (5424, 5074)),
        Fact(
            "the eight largest locations",
            f"select location_code, count(*) from {LC} group by 1 order by 2 desc limit 8",
            lambda f: list(lc(f)["location"].items()),
        ),
    ],
    "library_goodbooks": [
        Fact(
            "rows and ratings",
            f"select count(*), sum(ratings_count) from {GOOD}",
            lambda f: (goodbooks(f)["rows"], goodbooks(f)["ratings_count_sum"]),
        ),
        Fact(
            "without ISBN and without language",
            "select count(*) filter (where isbn_10 is null),"
            f" count(*) filter (where language_code is null) from {GOOD}",
            lambda f: (goodbooks(f)["null_isbn"], goodbooks(f)["null_lang"]),
        ),
        Fact(
            "ISBN-13 put together again",
            f"select isbn_10, isbn_13_rounded, isbn from {GOOD} where book_id = 1",
            ("439023483", 9780439023480.0, "9780439023481"),
        ),
        Fact(
            "ISBN-13s agree with the rounded ones, save where upstream has another edition's",
            f"select count(isbn), count(*) filter (where abs(isbn::float8 - isbn_13_rounded) > 5)"
            f" from {GOOD}",
            (9300, 24),
        ),
        Fact(
            "years, with those before Christ",
            "select count(published_year), min(published_year), max(published_year),"
            f" count(*) filter (where published_year < 0) from {GOOD}",
            (9979, -1750, 2017, 31),
        ),
    ],
}

# Records that a load reads: lines of data, or cells where columns are turned into rows.
RECORDS = {
    "library_newcastle_item_events": 2951,
    "library_newcastle_monthly_issues": 19 * 204,
    "library_librarieswest_issues": 4389,
    "library_librarieswest_reservations": 1000,
    "library_librarieswest_items": 284,
    "library_cornell_transactions": 755163,
    "library_lc_books": 10000,
    "library_goodbooks": 10000,
}
