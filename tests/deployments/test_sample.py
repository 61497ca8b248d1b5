"""The sample library: repeatable, believable, and dirty exactly as it says."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from deployments.sample import CODES, Sample, make_sample
from deployments.sample.dirt import FAULTS
from deployments.sample.files import Made, tables
from deployments.sample.loans import DAY, RENEWAL, RETURN, make_events, make_loans
from deployments.sample.world import (
    OUTSIDE,
    Plan,
    closed_for_all,
    easter,
    make_calendar,
    make_members,
    make_stock,
)
from tasks.load import load
from tests.fix_warehouse import copied, forget, use
from warehouse.database import connect
from warehouse.spec import dataset

END = dt.date(2026, 6, 30)
PLAN = Plan(1, END, 20_000, 2_000, 800, 0.02)
SETS = ("branches", "items", "members", "loan_events", "holds", "fines", "orders")


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.csv"))
    }


def write(folder: Path, **plan: object) -> Sample:
    return make_sample(folder, **({"checkouts": 2_000, "end": END} | plan))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made() -> Made:
    return tables(PLAN)


def test_the_same_seed_and_end_write_the_same_bytes(tmp_path: Path) -> None:
    first, second = write(tmp_path / "one"), write(tmp_path / "two")
    assert digests(first.folder) == digests(second.folder)
    assert first.rows == second.rows
    assert first.dirty == second.dirty
    other = write(tmp_path / "three", seed=2)
    assert digests(other.folder)["items/items.csv"] != digests(first.folder)["items/items.csv"]


def test_every_set_has_files_where_its_spec_looks(tmp_path: Path) -> None:
    write(tmp_path)
    for name in SETS:
        assert list(tmp_path.glob(dataset(f"library_{name}").source.path)), name


def test_a_sample_is_kept_until_another_is_asked_for(tmp_path: Path) -> None:
    note = write(tmp_path).folder / "sample.json"
    before = note.stat().st_mtime_ns
    assert write(tmp_path) == write(tmp_path, end=None)
    assert note.stat().st_mtime_ns == before
    assert write(tmp_path, end=END - dt.timedelta(days=40)).end == END - dt.timedelta(days=40)
    assert not list(note.parent.parent.glob(".sample-*")), "no draft is left behind"


def test_without_an_end_it_ends_yesterday(tmp_path: Path) -> None:
    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    assert abs((write(tmp_path, end=None).end - yesterday).days) <= 1


def test_it_has_what_was_asked_for(made: Made) -> None:
    kinds = Counter(made.table("loan_events")["kind"].to_pylist())
    assert kinds["checkout"] == 20_000
    assert kinds["in_house_use"] == 1_100
    assert 0.9 < kinds["return"] / kinds["checkout"] < 1
    assert 0.15 < kinds["renewal"] / kinds["checkout"] < 0.4
    assert made.table("branches")["branch_code"].to_pylist() == list(CODES)
    assert len(made.table("items")["item_code"]) == 2_000
    assert len(made.table("members")["member_id"]) == 800


@pytest.mark.parametrize("end", [END, dt.date(2028, 2, 29), dt.date(2026, 12, 31)])
def test_it_covers_three_years_to_the_day(end: dt.date) -> None:
    plan = Plan(1, end, 1, 1, 1, 0)
    assert plan.start + dt.timedelta(days=plan.days - 1) == end
    assert plan.days in (1095, 1096)


def test_events_lie_within_it_in_order_of_time(made: Made) -> None:
    at = made.table("loan_events")["occurred_at"].to_pylist()
    assert at == sorted(at)
    assert at[0] >= "2023-07-01"
    assert at[-1] < "2026-07-01"


def test_copies_are_out_once_at_a_time_and_come_back_after_they_left() -> None:
    rng = np.random.default_rng(5)
    calendar, stock = make_calendar(rng, PLAN), make_stock(rng, PLAN)
    members = make_members(rng, PLAN)
    loans = make_loans(rng, PLAN, calendar, stock, members)
    assert (loans.back > loans.out).all()
    order = np.lexsort((loans.out, loans.item))
    out, back, item = loans.out[order], loans.back[order], loans.item[order]
    same = item[1:] == item[:-1]
    assert (back[:-1][same] <= out[1:][same]).all()
    day = loans.out // DAY
    assert (stock.acquired[loans.item] <= day).all()
    gone = stock.withdrawn[loans.item]
    assert ((gone == OUTSIDE) | (day < gone)).all()
    hour = loans.out % DAY // 3600
    assert (hour >= calendar.opens[loans.branch, day]).all()
    assert (hour < calendar.closes[loans.branch, day]).all()
    events = make_events(rng, PLAN, calendar, stock, loans)
    assert (np.diff(events.at) >= 0).all()
    renewed, returned = (
        dict(zip(events.loan[events.kind == k], events.at[events.kind == k], strict=True))
        for k in (RENEWAL, RETURN)
    )
    assert all(renewed[loan] < returned[loan] for loan in renewed.keys() & returned.keys())


def test_isbns_have_their_check_digit_and_addresses_lead_nowhere(made: Made) -> None:
    isbns = {isbn for isbn in made.table("items")["isbn"].to_pylist() if isbn}
    assert isbns
    for isbn in isbns:
        assert sum(int(d) * (1 + 2 * (i % 2)) for i, d in enumerate(isbn)) % 10 == 0
    assert all(e.endswith("@example.org") for e in made.table("members")["email"].to_pylist())


def test_the_shape_is_that_of_a_library(made: Made) -> None:
    events = made.table("loan_events")
    lent = np.array(events["kind"].to_pylist()) == "checkout"
    at = np.array(events["occurred_at"].to_pylist(), "datetime64[s]")[lent]
    day = at.astype("datetime64[D]")
    weekday = (day.astype(int) + 3) % 7
    by_weekday = np.bincount(weekday, minlength=7)
    assert by_weekday[6] < by_weekday[:6].min() / 3, "few branches open on Sunday"
    assert by_weekday[1] > by_weekday[0]
    months = day.astype("datetime64[M]").astype(int) % 12
    by_month = np.bincount(months, minlength=12)
    assert by_month[6] > by_month[11] * 1.3, "summer above the Christmas closure"
    assert not [d for d in set(day.tolist()) if closed_for_all(d)]
    year = (day - np.datetime64("2023-07-01")).astype(int) // 365
    first, _, last = np.bincount(year, minlength=3)[:3]
    assert 1.05 < last / first < 1.25, "demand grows"
    items = np.array(events["item_code"].to_pylist())[lent]
    loans = np.sort(np.unique(items, return_counts=True)[1])[::-1]
    assert loans[:200].sum() > 0.25 * loans.sum(), "a tenth of the copies has a quarter of loans"
    assert len(loans) < 0.97 * 2_000, "some copies are never lent"


def test_holidays_are_the_calendars() -> None:
    assert easter(2026) == dt.date(2026, 4, 5)
    closed = [dt.date(2026, 4, 3), dt.date(2026, 4, 6), dt.date(2026, 5, 4), dt.date(2026, 8, 31)]
    assert all(closed_for_all(day) for day in closed)
    assert not closed_for_all(dt.date(2026, 8, 24))


def test_about_one_row_in_fifty_is_dirty(tmp_path: Path) -> None:
    made = write(tmp_path, checkouts=20_000)
    for name in SETS[1:]:
        share = sum(made.dirty[name].values()) / made.rows[name]
        assert share == pytest.approx(0.02, abs=0.003), name
    every = {fault.kind for fault in FAULTS["loan_events"]}
    assert {kind for kind, n in made.dirty["loan_events"].items() if n} == every


def test_a_clean_sample_has_no_dirt(tmp_path: Path) -> None:
    made = write(tmp_path, dirty=0.0)
    assert not any(sum(kinds.values()) for kinds in made.dirty.values())


# Through the pipeline ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loaded(template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    """A dirty sample in a database of its own, every set loaded."""
    landing = tmp_path_factory.mktemp("landing")
    sample = make_sample(landing, checkouts=PLAN.checkouts, end=END)
    with copied("carrel_sample", template) as name:
        os.environ["CARREL_LANDING"] = str(landing)
        use(name)
        for each in SETS:
            load(dataset(f"library_{each}"))
        yield sample
        del os.environ["CARREL_LANDING"]
        forget()


@pytest.fixture
def at_sample(loaded: Sample) -> Iterator[Sample]:
    """The loaded sample, with the settings pointing at it."""
    use("carrel_sample")
    yield loaded
    forget()


@pytest.mark.parametrize("name", SETS)
def test_quarantine_holds_the_dirty_rows_and_no_other(at_sample: Sample, name: str) -> None:
    with connect() as connection:
        found = connection.execute(
            f"select rule, count(*) from quarantine.library_{name} group by rule"  # type: ignore[arg-type]
        ).fetchall()
        row = connection.execute(
            "select sum(rows_in), sum(rows_quarantined) from ops.loads where dataset = %s",
            [f"library_{name}"],
        ).fetchone()
    expected = {rule: n for rule, n in at_sample.quarantined[name].items() if n}
    assert dict(found) == expected
    assert row == (at_sample.rows[name], sum(expected.values()))


def test_what_cleaning_mends_comes_out_as_it_was(at_sample: Sample, made: Made) -> None:
    clean = made.table("loan_events")
    names = ("event_id", "branch_code", "item_code", "kind", "occurred_at")
    good = {row[0]: row[1:] for row in zip(*(clean[n].to_pylist() for n in names), strict=True)}
    with connect() as connection:
        rows = connection.execute(
            "select event_id, branch_code, item_code, kind, occurred_at::text"
            " from silver.library_loan_events"
        ).fetchall()
    moved = 0
    for event, branch, item, kind, at in rows:
        assert (branch, item, kind) == good[event][:3]
        moved += at[:16] != good[event][3][:16]
    assert moved == at_sample.dirty["loan_events"]["returned_before_checkout"]


def test_no_name_and_no_card_number_reaches_silver(at_sample: Sample) -> None:
    with connect() as connection:
        rows = connection.execute("select * from silver.library_members limit 50")
        text = " ".join(str(value) for row in rows for value in row)
        lent = connection.execute(
            "select count(distinct e.member_key), count(distinct m.member_key)"
            " from silver.library_loan_events e left join silver.library_members m"
            " using (source_code, member_key) where e.kind = 'checkout'"
        ).fetchone()
    assert "example.org" not in text
    assert "M000" not in text
    assert lent is not None
    assert lent[1] > 0.97 * lent[0], "pseudonyms agree between the sets"


def test_the_reader_for_a_first_sign_in_has_loans(at_sample: Sample) -> None:
    from warehouse.pseudonyms import pseudonym

    with connect() as connection:
        row = connection.execute(
            "select count(*) from silver.library_loan_events where member_key = %s",
            [pseudonym(at_sample.reader)],
        ).fetchone()
    assert row is not None
    assert row[0] > 20
