"""Gold of the sales: the real day files against pandas, and what is hard about each definition."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.shop.analyse import analyse
from tasks.stream.consume import consume
from tests.fix_stream import ask
from warehouse.streams import Stream


def test_try(
    sales: Stream, sold: Path, figures: dict[str, Any], setting: Callable[..., None]
) -> None:
    import time

    setting(stream_log=sold)
    t = time.time()
    consume(sales, once=True)
    print("consume", time.time() - t)
    print(analyse(sales))
    print(analyse(sales))
    for q in (
        "select outcome, sum(lines), sum(amount) from gold.retail_cancellations group by 1",
        "select * from silver.retail_sales_analysed",
        "select * from gold.retail_baskets order by lift desc limit 5",
        "select count(*), min(lift) from gold.retail_baskets",
        "select * from gold.retail_cohorts order by 1,2,3",
        "select * from gold.retail_segments order by 1,2,3",
        "select table_name, complete_to, rows from ops.publications",
        "select count(*), sum(gross), sum(net) from silver.retail_sales_orders where sales>0",
        "select count(*) from silver.retail_sales_by_person where dimension='order' and sales>0",
    ):
        print(q)
        for r in ask(q)[:70]:
            print("  ", *r)
