"""Put a filled staging table in silver's place, with the same policies and grants."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from warehouse import ddl
from warehouse.spec import Dataset

DEPENDENTS = """
select 1 from pg_depend d join pg_rewrite r on r.oid = d.objid
where d.refobjid = %s::regclass and d.classid = 'pg_rewrite'::regclass
union all select 1 from pg_constraint where confrelid = %s::regclass
union all select 1 from pg_trigger where tgrelid = %s::regclass and not tgisinternal
limit 1
"""
SWAP = """
drop table {old};
alter table {new} set schema silver;
alter table {moved} rename constraint {key} to {named};
alter table {moved} rename to {name};
"""


def can_swap(connection: psycopg.Connection[Any], dataset: Dataset) -> bool:
    """Whether no view, foreign key or trigger hangs on silver's table."""
    name = f'silver."{dataset.table}"'
    return connection.execute(DEPENDENTS, [name] * 3).fetchone() is None


def swap_in(connection: psycopg.Connection[Any], dataset: Dataset, staging: str) -> None:
    """Drop silver's table and let the staging table, which is indexed, take its place."""
    names = {
        "old": sql.Identifier("silver", dataset.table),
        "new": sql.Identifier("staging", staging),
        "moved": sql.Identifier("silver", staging),
        "name": sql.Identifier(dataset.table),
        "key": sql.Identifier(f"{staging}_pkey"),
        "named": sql.Identifier(f"{dataset.table}_pkey"),
    }
    connection.execute(sql.SQL(SWAP).format(**names))
    connection.execute(ddl.comments(dataset).encode())
    connection.execute(ddl.access(dataset).encode())
