"""The demo's shop: every page of it has something to show, and figures that make sense."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bi_app.models import baskets, customers, returned, sales, store
from deployments.sample.sales import make_sales
from tasks.shop.analyse import analyse
from tasks.stream.consume import consume
from tests.fix_stream import ask, fates
from warehouse.access import Viewer
from warehouse.settings import settings
from warehouse.streams import Stream

ANN = Viewer("ann@example.org", "admin")


@pytest.fixture(name="shop")
def _shop(sales: Stream) -> Stream:
    count = make_sales(sales, datetime.now(UTC))
    consume(sales, once=True)
    analyse(sales)
    assert fates()["events"] == count
    store.forget()
    return sales


def test_every_page_of_the_shop_has_something_to_show(shop: Stream) -> None:
    found = fates()
    assert 3000 < found["counted"] < 15000
    assert found["late"] > 5
    assert found["duplicates"] > 2
    assert found["quarantined"] == 0
    for report in (sales.REPORT, returned.REPORT, customers.REPORT, baskets.REPORT):
        known = report.load(ANN)
        assert known is not None, report.name
        chosen = report.choose(known, {})
        for name, work in report.measures.items():
            assert len(work(known, chosen)), name


def test_its_customers_come_again_and_are_many_enough_to_be_told(shop: Stream) -> None:
    least = settings().suppress_below
    told = dict(ask("select category, customers from gold.retail_segments where month ="
                    " (select max(month) from gold.retail_segments)"))  # fmt: skip
    assert told["all"] > 100
    assert told["again"] > told["once"] > least
    assert ask("select count(*) from gold.retail_baskets where lift > 3")[0][0] > 5
    ((found,),) = ask("select sum(lines) from gold.retail_cancellations where outcome = 'matched'")
    assert found > 5
