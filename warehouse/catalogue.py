"""The catalogue: what each dataset and gold table is, readable by every role."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from warehouse import ddl
from warehouse.spec import Dataset

UPSERT = """
insert into ops.catalogue (
    table_name, layer, domain, name, title, grain, description, licence,
    key_columns, access, columns
) values (
    %(table_name)s, %(layer)s, %(domain)s, %(name)s, %(title)s, %(grain)s, %(description)s,
    %(licence)s, %(key_columns)s, %(access)s, %(columns)s
)
"""


def fill(connection: psycopg.Connection[Any], known: dict[str, Dataset]) -> None:
    """Make the catalogue hold exactly the known datasets and gold tables."""
    from warehouse import gold

    entries = [dataset_entry(d) for d in known.values()]
    entries += [gold.entry(connection, t) for t in gold.tables().values()]
    connection.execute("delete from ops.catalogue")
    with connection.cursor() as cursor:
        cursor.executemany(UPSERT, entries)


def dataset_entry(dataset: Dataset) -> dict[str, Any]:
    """The catalogue row of a dataset's silver table."""
    return {
        "table_name": f"silver.{dataset.table}",
        "layer": "silver",
        "domain": dataset.domain,
        "name": dataset.table,
        "title": dataset.title,
        "grain": dataset.grain,
        "description": dataset.description,
        "licence": dataset.licence,
        "key_columns": list(dataset.key_columns),
        "access": Jsonb(dataset.access.model_dump()),
        "columns": Jsonb([_column(c) for c in dataset.stored]),
    }


def _column(column: Any) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": ddl.PG_TYPES[column.type],
        "meaning": column.meaning,
        "privacy": getattr(column, "privacy", None),
    }
