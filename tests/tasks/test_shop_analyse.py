"""Gold of the sales: the real day files against pandas, and what is hard about each definition."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tasks.shop.analyse import analyse
from tasks.stream.consume import consume
from tests.fix_stream import ask, message, send
from tests.fix_warehouse import NONE, copied, use
from warehouse.access import Viewer, acting_as
from warehouse.settings import settings
from warehouse.shop import Rfm, given
from warehouse.streams import Stream, stream

MONTH = pd.Timestamp("2011-05-01")  # the newest that is told: June is not over for a week


@pytest.fixture(scope="module")
def analysed(template: str, sold: Path) -> Iterator[None]:
    """A database with all the real day files, analysed."""
    import os

    with copied("carrel_shop", template) as name:
        os.environ["CARREL_STREAM_LOG"] = str(sold)
        use(name)
        consume(stream("retail_sales"), once=True)
        analyse(stream("retail_sales"))
        del os.environ["CARREL_STREAM_LOG"]
        yield
        use(NONE)


@pytest.fixture(scope="module")
def lines(shared: Path) -> pd.DataFrame:
    """The day files as pandas reads them, with what each line is."""
    files = sorted((shared / "retail/online_retail_by_day").glob("*.csv"))
    found = pd.concat(
        [pd.read_csv(f, dtype={"InvoiceNo": str, "StockCode": str, "CustomerID": str},
                     keep_default_na=False) for f in files],
        ignore_index=True,
    )  # fmt: skip
    found["at"] = pd.to_datetime(found["InvoiceDate"])
    found["day"] = found["at"].dt.normalize()
    found["amount"] = found["Quantity"] * found["UnitPrice"].astype(float)
    found["cancels"] = found["InvoiceNo"].str.startswith("C")
    found["sale"] = ~found["cancels"] & (found["Quantity"] > 0) & (
        found["UnitPrice"].astype(float) > 0
    )  # fmt: skip
    found["who"] = found["CustomerID"].str.removesuffix(".0").where(found["CustomerID"] != "")
    return found


pytestmark = pytest.mark.shared


def test_cohorts_are_those_of_pandas(analysed: None, lines: pd.DataFrame) -> None:
    bought = lines[lines["sale"] & lines["who"].notna()]
    months = bought.assign(month=bought["at"].dt.to_period("M"))[["who", "month"]].drop_duplicates()
    months["first"] = months.groupby("who")["month"].transform("min")
    counts = months.groupby(["month", "first"])["who"].nunique()
    expected = {
        (m.start_time.date(), f.start_time.date().isoformat()): int(n)
        for (m, f), n in counts.items()
        if m <= MONTH.to_period("M")
    }
    told = ask("select month, category, customers from gold.retail_cohorts"
               " where dimension = 'cohort' and category <> 'earlier'")  # fmt: skip
    assert {(m, c): n for m, c, n in told} == expected
    sizes = {
        f.start_time.date().isoformat(): int(n)
        for f, n in months.drop_duplicates("who").groupby("first")["who"].size().items()
    }
    assert all(size == sizes[name] for name, size in ask(
        "select category, size from gold.retail_cohorts where size is not null"))  # fmt: skip


def test_segments_are_those_of_pandas(analysed: None, lines: pd.DataFrame) -> None:
    until = MONTH + pd.offsets.MonthBegin(1)
    known = lines[lines["who"].notna() & (lines["day"] < until)]
    sold = known[known["sale"]]
    people = pd.DataFrame({
        "days": (until - dt.timedelta(days=1) - sold.groupby("who")["day"].max()).dt.days,
        "orders": sold.groupby("who")["InvoiceNo"].nunique(),
    })  # fmt: skip
    people["net"] = known.groupby("who")["amount"].sum().round(4)

    def scored(values: pd.Series) -> pd.Series:
        return (1 + (values.rank(method="min") - 1) * 5 // len(values)).astype(int)

    r, f, m = scored(-people["days"]), scored(people["orders"]), scored(people["net"])
    rules = {
        "champions": (r >= 4) & (f >= 4) & (m >= 4), "loyal": (r >= 3) & (f >= 4),
        "big_spenders": (r >= 3) & (m >= 4), "new": (r >= 4) & (f <= 1), "promising": r >= 3,
        "at_risk": (f >= 4) | (m >= 4), "hibernating": r == 2, "lost": r > 0,
    }  # fmt: skip
    people["segment"] = None
    for name, holds in rules.items():
        people.loc[holds & people["segment"].isna(), "segment"] = name
    told = {name: (n, orders, float(net)) for name, n, orders, net in ask(
        "select category, customers, orders, net from gold.retail_segments"
        " where dimension = 'segment' and month = '2011-05-01'")}  # fmt: skip
    assert set(told) == set(rules)
    for name, of in people.groupby("segment"):
        count, orders, net = told[str(name)]
        assert (count, orders) == (len(of), of["orders"].sum())
        assert net == pytest.approx(of["net"].sum(), abs=0.01)
    again = ask("select customers from gold.retail_segments"
                " where category = 'again' and month = '2011-05-01'")  # fmt: skip
    lapsed = ask("select customers from gold.retail_segments"
                 " where category = 'lapsed' and month = '2011-05-01'")  # fmt: skip
    assert again == [((people["orders"] > 1).sum(),)]
    assert lapsed == [((people["days"] > 90).sum(),)]


def test_baskets_are_those_of_a_plain_count(analysed: None, lines: pd.DataFrame) -> None:
    kept = lines[lines["sale"] & lines["StockCode"].str.match("[0-9]")]
    baskets = [set(b) for b in kept.groupby("InvoiceNo")["StockCode"].unique()]
    fit = [b for b in baskets if 2 <= len(b) <= 100]
    told = ask("select first, second, baskets, first_baskets, second_baskets, support, confidence,"
               " lift, all_baskets, left_out from gold.retail_baskets")  # fmt: skip
    wanted = {code for row in told for code in row[:2]}
    single: dict[str, int] = defaultdict(int)
    pairs: dict[tuple[str, str], int] = defaultdict(int)
    for basket in fit:
        here = sorted(basket & wanted)
        for code in here:
            single[code] += 1
        for pair in combinations(here, 2):
            pairs[pair] += 1
    assert len(told) == 1000
    assert {row[8:] for row in told} == {(len(fit), sum(len(b) > 100 for b in baskets))}
    for first, second, both, one, other, support, confidence, lift, count, _ in told:
        assert both == pairs[min(first, second), max(first, second)]
        assert (one, other) == (single[first], single[second])
        assert one <= other, "the direction with more confidence"
        assert math.isclose(support, both / count)
        assert math.isclose(confidence, both / one)
        assert math.isclose(lift, (both / one) / (other / count))
    found = {(min(a, b), max(a, b)) for a, b, *_ in told}
    assert len(found) == len(told), "a pair is told in one direction"
    least = min(row[7] for row in told)
    kept_out = [p for p, n in pairs.items() if n >= 20 and p not in found]
    assert all(
        pairs[p] * len(fit) / (single[p[0]] * single[p[1]]) <= least + 1e-9 for p in kept_out
    )


def test_cancellations_are_counted_by_why_no_sale_was_found(
    analysed: None, lines: pd.DataFrame, figures: dict[str, Any]
) -> None:
    lost = lines[lines["cancels"]]
    found = ask("select outcome, sum(lines), sum(amount) from gold.retail_cancellations group by 1")
    told = {name: (n, float(amount)) for name, n, amount in found}
    assert sum(n for n, _ in told.values()) == figures["cancel_rows"] == len(lost)
    assert sum(a for _, a in told.values()) == pytest.approx(-lost["amount"].sum(), abs=0.01)
    assert int(told["no customer"][0]) == int(lost["who"].isna().sum())
    sold = set(lines[lines["sale"]].groupby(["who", "StockCode"]).groups)
    known = lost[lost["who"].notna()]
    ever = [key in sold for key in zip(known["who"], known["StockCode"], strict=True)]
    assert int(told["matched"][0] + told["more than was sold"][0]) <= sum(ever)
    assert int(told["matched"][0]) / len(lost) > 0.7
    most = ask("select max(pieces) from gold.retail_cancellations"
               " where outcome = 'matched' and stock_code = '23166'")  # fmt: skip
    assert most == [(74215,)], "the largest order of the set, cancelled a quarter of an hour later"


def test_a_second_analysis_changes_nothing_and_orders_outlive_bronze(
    analysed: None,
) -> None:
    tables = ("segments", "cohorts", "cancellations", "baskets", "products")
    before = [ask(f"select * from gold.retail_{t} order by 1, 2, 3") for t in tables]
    analyse(stream("retail_sales"))
    assert [ask(f"select * from gold.retail_{t} order by 1, 2, 3") for t in tables] == before
    assert ask("select distinct complete_to from ops.publications"
               " where table_name like 'retail%'") == ask(
        "select min(newest_at) - interval '10 minutes' from ops.stream_partitions")  # fmt: skip


def test_no_viewer_reads_what_is_made_of_single_customers(analysed: None) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import ProgrammingError

    for role in ("admin", "librarian"):
        with acting_as(Viewer(f"{role}@example.org", role)) as connection:  # type: ignore[arg-type]
            few = connection.execute(text(
                "select count(*) from gold.retail_segments where customers between 1 and 4"
            )).scalar()  # fmt: skip
            assert few == 0
            with pytest.raises(ProgrammingError, match="permission denied"):
                connection.execute(text("select customer_key from silver.retail_sales_orders"))


# Of a few hand-made sales -------------------------------------------------------------------------


def sell(sales: Stream, people: int, day: int, start: int = 0) -> None:
    """One sale each of so many customers, so many days after noon, in every partition."""
    lines = [
        message(f"{day}-{n}", day * 1440, customer_id=str(n), invoice=f"{day}-{n}")
        for n in range(start, start + people)
    ]
    for partition in range(sales.partitions):
        send(sales, *lines[partition :: sales.partitions], partition=partition)


def told() -> dict[tuple[dt.date, str, str], Any]:
    """The segments' cells."""
    rows = ask("select month, dimension, category, customers, suppressed from gold.retail_segments")
    return {(m, d, c): "withheld" if hidden else n for m, d, c, n, hidden in rows}


def test_a_month_is_told_once_a_week_after_its_end_and_few_are_withheld(sales: Stream) -> None:
    january, least = dt.date(2026, 1, 1), settings().suppress_below
    sell(sales, 30, 0)
    sell(sales, 3, 31)  # in February: January is over, but not for a week
    consume(sales, once=True)
    analyse(sales)
    assert told() == {}
    sell(sales, 3, 40)
    consume(sales, once=True)
    analyse(sales)
    first = told()
    assert first[january, "all", "all"] == 30
    assert not any(isinstance(n, int) and 0 < n < least for n in first.values())
    send(sales, message("more", 40 * 1440, customer_id="99", invoice="m"))
    consume(sales, once=True)
    analyse(sales)
    assert told() == first


def test_a_month_of_fewer_than_five_customers_is_withheld_whole(sales: Stream) -> None:
    sell(sales, 4, 0)
    sell(sales, 3, 40)
    consume(sales, once=True)
    analyse(sales)
    found = told()
    assert set(found.values()) == {"withheld"}


def test_a_month_waits_for_the_partition_that_is_behind(sales: Stream) -> None:
    sell(sales, 30, 0)
    send(sales, message("ahead", 90 * 1440, customer_id="1", invoice="x"))
    consume(sales, once=True)
    analyse(sales)
    assert told() == {}


def test_a_product_keeps_its_name_when_its_sales_are_too_old_to_be_analysed(sales: Stream) -> None:
    assert sales.gold
    send(sales, message(1, stock_code="71", description="OLD TEAPOT"))
    send(sales, message(2, 2000 * 1440, stock_code="72", description="NEW TEAPOT"))
    short = sales.model_copy(update={"gold": sales.gold.model_copy(update={"days": 30})})
    # A sale of years ahead would be held back as of a wrong clock.
    ahead = short.model_copy(update={"clock_ahead": 3000 * 86_400})
    consume(ahead, once=True)
    long = sales.gold.model_copy(update={"days": 3000})
    analyse(short.model_copy(update={"gold": long}))
    analyse(short)
    assert ask("select stock_code, name from gold.retail_products order by 1") == [
        ("71", "OLD TEAPOT"), ("72", "NEW TEAPOT"),
    ]  # fmt: skip


def test_who_is_forgotten_in_bronze_is_forgotten_in_the_orders(sales: Stream) -> None:
    sell(sales, 30, 0)
    consume(sales, once=True)
    retention = sales.retention.model_copy(update={"personal": dt.timedelta(days=1)})
    analyse(sales)
    count = "select count(customer_key) from silver.retail_sales_orders"
    assert ask(count) == [(30,)]
    analyse(sales.model_copy(update={"retention": retention}))
    assert ask(count) == [(0,)]


def test_other_break_points_tell_the_segments_anew(
    sales: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell(sales, 30, 0)
    sell(sales, 30, 40)
    consume(sales, once=True)
    analyse(sales)
    assert sales.gold
    before = told()
    rfm = sales.gold.rfm.model_copy(update={"recency": (30.0, 40.0, 50.0, 60.0)})
    changed = sales.model_copy(update={"gold": sales.gold.model_copy(update={"rfm": rfm})})
    monkeypatch.setattr("warehouse.streams.stream", lambda _: changed)
    analyse(changed)
    after = told()
    # On 31 January all ordered 26 days ago, once, for as much: equals are in the least fifth.
    january = dt.date(2026, 1, 1)
    assert (before[january, "segment", "lost"], before[january, "segment", "new"]) == (30, 0)
    assert (after[january, "segment", "lost"], after[january, "segment", "new"]) == (0, 30)


def test_breaks_and_rules_that_make_no_sense_are_refused() -> None:
    lost = {"name": "rest", "title": "Rest", "rule": "true"}
    assert Rfm.model_validate({"segments": [lost]}).recency is None
    for wrong in (
        {"segments": []},
        {"segments": [{**lost, "rule": "r >= 3"}]},
        {"segments": [lost], "recency": [1, 2, 3]},
        {"segments": [lost], "recency": [4, 3, 2, 1]},
        {"segments": [{**lost, "name": "x", "rule": "r > (select 1)"}, lost]},
        {"segments": [lost, lost]},
    ):
        with pytest.raises(ValueError, match=r"rule|break|segment"):
            Rfm.model_validate(wrong)


def test_what_gold_takes_of_the_yaml_is_written_as_sql() -> None:
    analysis = stream("retail_sales").gold
    assert analysis
    assert given(analysis, "rfm.window_days") == "365"
    assert given(analysis, "rfm.recency") == "null::numeric[]"
    assert given(analysis, "rfm.named").startswith("(case when r >= 4")


def test_a_stream_without_sales_has_empty_gold(sales: Stream, setting: Callable[..., None]) -> None:
    done = analyse(sales)
    assert (done.lines, done.complete_to, set(done.rows.values())) == (0, None, {0})
