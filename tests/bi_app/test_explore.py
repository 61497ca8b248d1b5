"""Explore: rows, and summaries; who may ask what, and that nothing of a question becomes SQL."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st

from bi_app.models import explore, figures, filters, pictures, summary
from bi_app.models.explore import Entry
from bi_app.models.export import to_csv, to_xlsx
from bi_app.models.figures import Answer, work
from bi_app.models.summary import ask
from bi_app.pages import explore as page
from tests.bi_app.fix_app import EMAILS, MEMBER, OWN
from warehouse.access import ROLES, Viewer
from warehouse.database import connect
from warehouse.errors import CarrelError, ConfigurationError

ADMIN = Viewer(EMAILS["admin"], "admin")
LIBRARIAN = Viewer(EMAILS["librarian"], "librarian", OWN)
VIEWERS = {
    "admin": ADMIN,
    "librarian": LIBRARIAN,
    "member": Viewer(EMAILS["member"], "member", (), MEMBER),
}
CIRCULATION = "gold.library_circulation"
GROUPS = "gold.library_member_groups"


def owner(question: str, *values: Any) -> Any:
    with connect() as connection:
        return connection.execute(question, values).fetchall()


def entry(name: str, viewer: Viewer = ADMIN) -> Entry:
    return explore.catalogue(viewer)[name]


def asked(viewer: Viewer = ADMIN, table: str = CIRCULATION, **question: Any) -> Answer:
    return work(viewer, ask(entry(table, viewer), question))


# Figures ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_each_measure_is_what_sql_says() -> None:
    kinds = {"sum": "sum", "mean": "avg", "min": "min", "max": "max"}
    found = asked(
        measure=["sum:checkouts", "mean:checkouts", "min:checkouts", "max:checkouts"],
        by=["branch_code"],
    )
    words = ", ".join(f"{f}(checkouts)" for f in kinds.values())
    true = owner(f"select branch_code, {words} from {CIRCULATION} group by 1 order by 2 desc")
    assert [r[0] for r in found.shown] == [r[0] for r in true]
    for shown, row in zip(found.shown, true, strict=True):
        assert shown[1:] == pytest.approx([float(v) for v in row[1:]], abs=1e-4)
    assert found.total[0] == sum(int(r[1]) for r in true)
    again = asked(measure=["count", "median:checkouts", "distinct:day"], by=["branch_code"])
    true = owner(
        "select branch_code, count(*), percentile_cont(0.5) within group (order by checkouts),"
        f" count(distinct day) from {CIRCULATION} group by 1 order by 2 desc, 1"
    )
    assert [tuple(r) for r in again.shown] == [tuple(r) for r in true]
    assert again.total[2] == owner(f"select count(distinct day) from {CIRCULATION}")[0][0]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("grain", summary.GRAINS)
def test_a_day_goes_by_each_grain_in_the_order_of_time(grain: str) -> None:
    found = asked(measure=["sum:checkouts"], by=[f"day:{grain}"], top=500)
    true = owner(
        f"select date_trunc('{grain}', day)::date, sum(checkouts) from {CIRCULATION}"
        " group by 1 order by 1"
    )[-500:]
    assert [tuple(r) for r in found.shown] == [(d, int(v)) for d, v in true]


@pytest.mark.usefixtures("here")
def test_the_first_groups_are_shown_and_the_others_are_stated_as_one() -> None:
    what = ["sum:copies", "mean:copies", "max:copies", "distinct:copies"]
    found = asked(table="gold.library_titles", measure=what, by=["author"], top=10)
    assert (len(found.shown), found.groups) == (
        10,
        owner("select count(distinct author) from gold.library_titles")[0][0],
    )
    top = [r[0] for r in found.shown]
    ((total, mean, most),) = owner(
        "select sum(copies), avg(copies), max(copies) from gold.library_titles"
        " where author <> all (%s)",
        top,
    )
    assert found.others is not None
    assert found.others[0] == figures.OTHERS
    assert found.others[1:4] == (int(total), pytest.approx(float(mean), abs=1e-4), most)
    assert found.others[4] is None  # different values of several groups do not add up
    assert sum(r[1] for r in found.shown) + found.others[1] == found.total[0]
    assert any(f"10 of {found.groups:,} groups" in note for note in found.notes)


@pytest.mark.usefixtures("here")
def test_a_summary_by_nothing_is_one_figure() -> None:
    found = asked(measure=["count", "sum:checkouts"], by=[])
    assert found.shown == (
        tuple(int(v) for v in owner(f"select count(*), sum(checkouts) from {CIRCULATION}")[0]),
    )
    none = asked(measure=["sum:checkouts"], filter=["branch_code:eq:NOWHERE"])
    assert (none.rows, none.total) == (0, (None,))


@pytest.mark.usefixtures("here")
def test_filters_hold_together_and_equals_on_one_column_means_one_of_them() -> None:
    question = ["branch_code:eq:CEN", "branch_code:eq:BEL", "checkouts:ge:2", "day:last:30"]
    found = asked(filter=question)
    true = owner(
        f"select count(*) from {CIRCULATION} where branch_code in ('CEN', 'BEL') and checkouts >= 2"
        f" and day > (select least(max(day), current_date) from {CIRCULATION}) - 30"
    )
    assert found.rows == true[0][0] > 0
    day = owner(f"select max(day) from {CIRCULATION}")[0][0]
    one = asked(filter=[f"day:ge:{day}", f"day:le:{day}"])
    assert one.rows == asked(filter=[f"day:eq:{day}"]).rows > 0
    listed = explore.total(
        ADMIN,
        explore.ask(
            {"table": CIRCULATION}, {CIRCULATION: entry(CIRCULATION)}, found.question.filters
        ),
    )
    assert listed == found.rows  # both faces of the page take the same filters


@pytest.mark.usefixtures("here")
def test_a_moment_is_of_the_librarys_own_day_and_a_day_up_to_is_whole() -> None:
    events, day = "silver.library_loan_events", "occurred_at::date"
    last = owner(f"select max({day}) from {events}")[0][0]
    found = asked(table=events, filter=[f"occurred_at:le:{last}"])
    assert found.rows == owner(f"select count(*) from {events}")[0][0]


@pytest.mark.usefixtures("here")
def test_the_order_is_that_which_is_asked_for() -> None:
    least = asked(measure=["sum:checkouts"], by=["branch_code"], sort="m0", down=False)
    assert [r[1] for r in least.shown] == sorted(r[1] for r in least.shown)
    names = asked(measure=["count"], by=["branch_code"], sort="d0")
    assert [r[0] for r in names.shown] == sorted(r[0] for r in names.shown)


@pytest.mark.usefixtures("here")
def test_a_slow_summary_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "SECONDS", 1)
    monkeypatch.setattr(
        figures, "FIGURES", figures.FIGURES | {"count": "count(*) + max(length(pg_sleep(3)::text))"}
    )
    with pytest.raises(CarrelError, match="longer than 1 seconds"):
        asked(measure=["count"])


# Nothing of a question becomes SQL ----------------------------------------------------------------

EVIL = [
    "day'; drop table gold.library_circulation; --",
    'branch_code" from app.accounts; --',
    "(select password_hash from app.accounts limit 1)",
    "checkouts) filter (where (select pg_sleep(9)) is null",
    "branch_code:eq:CEN' or '1'='1",
    "day:month', now()); select 1 --",
    "%(top)s", "{table}", "%s", "\0", "\ud800", "a" * 9999, "1e999", "NaN", "::", ":eq:", "-1",
]  # fmt: skip
WORDS = st.one_of(
    st.sampled_from(EVIL),
    st.text(max_size=40),
    st.builds(
        "{}:{}:{}".format,
        st.sampled_from(["day", "checkouts", "branch_code", "member_key", "_hash", "title"]),
        st.sampled_from([*filters.ASKED, "sum", "or", "like"]),
        st.one_of(st.sampled_from(EVIL), st.text(max_size=20), st.integers().map(str)),
    ),
    st.builds(
        "{}:{}".format,
        st.sampled_from([*summary.MEASURES, *EVIL]),
        st.sampled_from(["checkouts", "day", "title", "member_key", *EVIL]),
    ),
    st.builds("day:{}".format, st.sampled_from([*summary.GRAINS, *EVIL])),
)
ANY = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), WORDS, st.lists(WORDS, max_size=5),
             st.dictionaries(WORDS, WORDS, max_size=2))  # fmt: skip
QUESTIONS = st.fixed_dictionaries(
    {},
    optional={
        "measure": ANY, "by": ANY, "filter": ANY, "sort": ANY, "down": ANY, "top": ANY, "page": ANY,
        "face": st.sampled_from(["rows", "summary", "x"]),
        "table": st.sampled_from([CIRCULATION, "silver.library_loan_events", GROUPS, *EVIL]),
    },
)  # fmt: skip
LONG = trying(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def checked(question: summary.Question) -> None:
    """Every name of a question is one of the catalogue that may be asked for."""
    open_ = summary.open_types(question.entry)
    names = [m.column for m in question.measures if m.column] + [d.column for d in question.by]
    assert {*names, *(f.column for f in question.filters)} <= set(open_)


@pytest.mark.usefixtures("here")
@LONG
@given(asked=QUESTIONS)
def test_any_question_of_a_browser_is_answered_by_names_of_the_catalogue(
    asked: dict[str, Any],
) -> None:
    known = explore.catalogue(LIBRARIAN)
    told, found = page.answer(LIBRARIAN, known, asked)
    assert told["query"]["table"] in known
    assert not told["message"] or told["message"]["text"]
    if found is not None:
        checked(found.question)
        assert len(found.shown) <= 500


@pytest.mark.usefixtures("here")
@LONG
@given(asked=QUESTIONS)
def test_any_address_opens_the_state_that_it_says(asked: dict[str, Any]) -> None:
    known = explore.catalogue(LIBRARIAN)
    texts = {k: v for k, v in asked.items() if isinstance(v, str | list)}
    address = urlencode(texts, doseq=True, errors="replace")
    arguments = {
        k: [v.encode() for v in vs] for k, vs in parse_qs(address, keep_blank_values=True).items()
    }
    query = page.answer(LIBRARIAN, known, page.asked_in(arguments))[0]["query"]
    again = urlencode({k: v for k, v in query.items() if v not in ("", False)}, doseq=True)
    if query.get("by") == []:
        again += "&by=-"
    arguments = {k: [v.encode() for v in vs] for k, vs in parse_qs(again).items()}
    assert page.answer(LIBRARIAN, known, page.asked_in(arguments))[0]["query"] == query


@pytest.mark.usefixtures("here")
def test_the_fuzz_would_see_a_name_that_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Koha's CVE-2026-70370: a column's name out of the request, put into the query."""
    trusting = lambda text, _entry: summary.Dimension(text)  # noqa: E731
    monkeypatch.setattr(summary, "_dimension", trusting)
    found = ask(entry("silver.library_loan_events"), {"by": ["member_key"]})
    with pytest.raises(AssertionError):
        checked(found)
    with pytest.raises(KeyError):  # no type of the catalogue: it does not come as far as SQL
        work(LIBRARIAN, found)


def test_a_filter_says_what_is_wrong_with_it() -> None:
    types = {"day": "date", "n": "integer", "name": "text", "at": "timestamp with time zone"}
    for text, words in {
        "x:eq:1": "no column 'x'", "n:eq:ten": "'ten' is no value for n", "n:ge:1e400": "no value",
        "name:ge:a": "cannot be asked by ge", "name:eq:ann@library.example": "e-mail",
        "day:eq:2026-13-01": "no value", "day:last:0": "no value", "n:eq:99999999999": "no value",
        "name:eq:": "no value", "name": "is no filter", "n:null:maybe": "no value",
    }.items():  # fmt: skip
        with pytest.raises(ConfigurationError, match=words):
            filters.read(text, types)
    assert filters.read("at:le:2026-01-31", types).value == dt.date(2026, 1, 31)


# People -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("role", ROLES)
def test_nobody_asks_by_a_column_that_tells_who_somebody_is(role: str) -> None:
    """Over every table of the catalogue: not as figure, not as group, not as filter."""
    viewer = VIEWERS[role]
    personal = {
        (t, c["name"])
        for t, columns in owner("select table_name, columns from ops.catalogue")
        for c in columns
        if c["privacy"] in ("pseudonym", "personal")
    }
    assert ("silver.library_loan_events", "member_key") in personal
    for table, one in explore.catalogue(viewer).items():
        if summary.about_people(one):
            continue
        for column in {c for t, c in personal if t == table} | {"member_key", "_hash"}:
            question = ask(
                one,
                {
                    "measure": [f"distinct:{column}", f"min:{column}"],
                    "by": [column, f"{column}:month"],
                    "filter": [f"{column}:null:false", f"{column}:eq:{MEMBER}"],
                },
            )
            assert len(question.left_out) == 6, (table, column)
            assert not question.by
            assert not question.filters


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("role", ROLES)
def test_a_table_of_people_is_not_summarised_by_anybody(role: str) -> None:
    members = "silver.library_members"
    known = explore.catalogue(VIEWERS[role])
    if members not in known:
        assert role == "librarian"
        return
    with pytest.raises(ConfigurationError, match="is a person"):
        ask(known[members], {"measure": ["count"]})
    counted = {"table": members, "filter": ["source_code:eq:sample"]}
    assert page.answer(VIEWERS[role], known, counted)[0]["query"]["filter"] == []
    told, found = page.answer(VIEWERS[role], known, {"table": members, "face": "summary"})
    assert found is None
    assert "is a person" in told["message"]["text"]
    assert not told["cards"]


@pytest.mark.usefixtures("here")
def test_a_figure_over_withheld_counts_is_withheld_and_says_how_many() -> None:
    for kind in ("sum", "mean", "median", "min", "max", "distinct"):
        found = asked(table=GROUPS, measure=[f"{kind}:active"], by=["dimension"])
        shown = dict(found.shown)
        assert (shown["area"], shown["joined"]) == (None, None), kind  # two of three areas
        assert shown["branch"] is not None
        assert found.total == (None,)
    quarters = owner("select count(distinct quarter) from gold.library_member_groups")[0][0]
    assert found.withheld == (3 * quarters,)
    assert any(f"{3 * quarters} counts of people are withheld" in n for n in found.notes)
    assert figures.OVERLAP in found.notes
    others = asked(table=GROUPS, measure=["sum:active"], by=["category", "quarter:quarter"], top=10)
    assert others.others is not None
    assert others.others[-1] is None


@pytest.mark.usefixtures("here")
def test_what_is_told_of_people_is_what_the_lattice_publishes() -> None:
    """By its own key, each figure is a published cell: none is told that is withheld there."""
    found = asked(
        table=GROUPS, measure=["sum:active"], by=["quarter", "dimension", "category"], top=500
    )
    cells = owner("select quarter, dimension, category, active from gold.library_member_groups")
    assert {r[:3]: r[3] for r in found.shown} == {tuple(r[:3]): r[3] for r in cells}


@pytest.mark.usefixtures("here")
def test_a_librarian_summarises_the_own_branches_alone() -> None:
    found = asked(LIBRARIAN, measure=["count"], by=["branch_code"])
    assert {r[0] for r in found.shown} == set(OWN)
    both = asked(LIBRARIAN, measure=["count"], by=["branch_code"], filter=["branch_code:eq:ASH"])
    assert both.rows == 0


# What a summary looks like ------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_the_sentence_says_what_the_chart_shows() -> None:
    found = asked(measure=["sum:checkouts"], by=["branch_code"])
    ((first, most), *_, (last, least)) = found.shown
    said = pictures.sentence(found)
    assert f"highest {most:,} at {first}" in said
    assert f"lowest {least:,} at {last}" in said
    by_time = asked(measure=["sum:checkouts"], by=["day:quarter", "branch_code"])
    series = pictures.lines(by_time)
    assert set(series) == {r[0] for r in found.shown}
    assert sum(v or 0 for points in series.values() for _, v in points) == found.total[0]
    assert pictures.when(dt.date(2026, 4, 1), "quarter") == "Q2 2026"


@pytest.mark.usefixtures("here")
def test_others_over_time_are_a_row_like_others_on_the_page_and_in_files() -> None:
    found = asked(measure=["sum:checkouts"], by=["day", "branch_code"], sort="d0", top=10)
    assert found.others is not None
    shown = pictures.readable(found)
    assert shown.columns[0].kind == "text"
    assert [shown.data["d0"][0], shown.data["d0"][-1]] == [
        pictures.when(found.shown[0][0], "day"),
        figures.OTHERS,
    ]
    assert "Others" in to_csv(found.table).decode("utf-8-sig")
    assert to_xlsx(found.table).startswith(b"PK")


@pytest.mark.usefixtures("here")
def test_the_page_has_two_faces_of_one_question() -> None:
    known = explore.catalogue(ADMIN)
    asked_for = {"table": CIRCULATION, "filter": ["branch_code:eq:CEN"], "face": "rows"}
    listed, none = page.answer(ADMIN, known, asked_for)
    assert none is None
    assert set(listed["tables"]) == {"rows", "columns"}
    told, found = page.answer(ADMIN, known, {**listed["query"], "face": "summary"})
    assert found is not None
    assert told["query"]["filter"] == ["branch_code:eq:CEN"]
    assert told["query"]["by"] == ["day:month"]
    assert set(told["tables"]) == {"over_time"}
    assert f"{found.rows:,} rows of" in listed["notes"]["rows"]
    assert told["cards"][0]["value"] == f"{found.total[0]:,}"


@pytest.mark.usefixtures("here")
def test_nothing_personal_stands_in_an_address() -> None:
    for viewer in (ADMIN, LIBRARIAN):
        known = explore.catalogue(viewer)
        for table in known:
            for face in ("rows", "summary"):
                asked_for = {
                    "table": table, "face": face, "filter": [f"title:eq:{viewer.user}"],
                    "measure": viewer.user, "by": [MEMBER], "sort": viewer.user,
                }  # fmt: skip
                query = page.answer(viewer, known, asked_for)[0]["query"]
                address = urlencode(query, doseq=True)
                assert "%40" not in address
                assert viewer.user not in address
                assert MEMBER not in address
                assert "member_key" not in address
