"""Put a filled staging table in silver's place, with the same indexes, policies and grants."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg import sql

from warehouse import ddl
from warehouse.spec import Dataset

INDEXES = """
select pg_get_indexdef(indexrelid) from pg_index
where indrelid = %s::regclass and not indisprimary order by indexrelid
"""
DEPENDENTS = """
select 1 from pg_depend d join pg_rewrite r on r.oid = d.objid
where d.refobjid = %s::regclass and d.classid = 'pg_rewrite'::regclass
union all select 1 from pg_constraint where confrelid = %s::regclass
union all select 1 from pg_trigger where tgrelid = %s::regclass and not tgisinternal
limit 1
"""


def can_swap(connection: psycopg.Connection[Any], dataset: Dataset) -> bool:
    """Whether no view, foreign key or trigger hangs on silver's table."""
    name = f'silver."{dataset.table}"'
    return connection.execute(DEPENDENTS, [name] * 3).fetchone() is None


def swap_in(connection: psycopg.Connection[Any], dataset: Dataset, staging: str) -> None:
    """Index the staging table, drop silver's and take its place."""
    old = f'silver."{dataset.table}"'
    indexes = [row[0] for row in connection.execute(INDEXES, [old])]
    _run(connection, ddl.add_key(dataset, "staging", staging).split("\n")[0])
    for definition in indexes:
        _run(connection, _moved(definition, staging))
    names = {
        "old": sql.Identifier("silver", dataset.table),
        "new": sql.Identifier("staging", staging),
        "moved": sql.Identifier("silver", staging),
        "name": sql.Identifier(dataset.table),
        "key": sql.Identifier(f"{staging}_pkey"),
        "named": sql.Identifier(f"{dataset.table}_pkey"),
    }
    connection.execute(sql.SQL(SWAP).format(**names))
    _run(connection, ddl.comments(dataset))
    _run(connection, ddl.access(dataset))


SWAP = """
drop table {old};
alter table {new} set schema silver;
alter table {moved} rename constraint {key} to {named};
alter table {moved} rename to {name};
"""


def _moved(definition: str, staging: str) -> str:
    """An index definition as of the staging table, its name left to PostgreSQL."""
    return re.sub(
        r"INDEX \S+ ON (ONLY )?\S+ USING",
        f'INDEX ON staging."{staging}" USING',
        definition,
        count=1,
    )


def _run(connection: psycopg.Connection[Any], statement: str) -> None:
    connection.execute(statement.encode())
