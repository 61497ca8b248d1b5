"""A small project folder: one dataset with branches and members, two gold tables, some rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fix_warehouse import READY
from warehouse import ddl
from warehouse.database import connect
from warehouse.migrate import migrate, migration_path
from warehouse.spec import dataset

SPEC = """
title: Loans
grain: one row a loan
source: {kind: csv, path: loans.csv}
key: [loan_id]
access: {branch: branch_code, member: member_key}
event: lent_at
columns:
  - {name: loan_id, type: bigint, meaning: Number on the slip}
  - {name: branch_code, type: text, meaning: Branch that lent it}
  - {name: member_key, type: text, meaning: Who borrowed it, privacy: pseudonym}
  - {name: lent_at, type: timestamp, meaning: When it left}
"""
DAILY = """
-- title: Loans by day
-- grain: one row a branch and day
-- key: branch_code, day
-- access: branch=branch_code
-- refresh: day
-- column loans: Loans that day
select branch_code, lent_at::date as day, count(*) as loans
from silver.shop_loans
where {{days(lent_at)}}
group by 1, 2
"""
TOTAL = """
-- title: Loans of all branches
-- grain: one row a day
-- key: day
-- access: public
select day, sum(loans) as loans from gold.shop_daily group by 1
"""
ROWS = """
insert into silver.shop_loans
select i, case when i % 2 = 0 then 'NORTH' else 'SOUTH' end, 'm' || i % 5,
       timestamp '2024-01-01' + i * interval '1 hour', 1
from generate_series(1, 100) as i
"""


def write_shop(folder: Path) -> None:
    """Write spec, gold and migration into the project folder that is set."""
    files = {"datasets/shop/loans.yml": SPEC, "gold/shop/daily.sql": DAILY}
    for place, text in (files | {"gold/shop/total.sql": TOTAL}).items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text.lstrip())
    loans = dataset("shop_loans")
    migration_path(loans).parent.mkdir(parents=True)
    migration_path(loans).write_text(ddl.migration(loans))


def make_shop(folder: Path) -> None:
    """Write the project, migrate the database that is set, and lend."""
    write_shop(folder)
    migrate()
    with connect() as connection:
        connection.execute(ROWS)


READY["shop"] = make_shop


@pytest.fixture
def shop(tmp_path: Path, database: str, setting: Callable[..., None]) -> Path:
    """The project folder, migrated, with 100 loans in silver."""
    setting(project=tmp_path)
    write_shop(tmp_path)
    return tmp_path
