"""The catalogue: what each dataset, stream and gold table is, readable by every role."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from warehouse import ddl, streams
from warehouse.spec import Dataset
from warehouse.streams import Stream

ABOUT = {"by": "sums", "by_person": "sums by person", "late": "late events",
         "duplicates": "duplicates"}  # fmt: skip
UPSERT = """
insert into ops.catalogue (
    table_name, layer, domain, name, title, grain, description, licence,
    key_columns, access, columns, version
) values (
    %(table_name)s, %(layer)s, %(domain)s, %(name)s, %(title)s, %(grain)s, %(description)s,
    %(licence)s, %(key_columns)s, %(access)s, %(columns)s, %(version)s
)
"""


def fill(connection: psycopg.Connection[Any], known: dict[str, Dataset]) -> None:
    """Make the catalogue hold exactly the known datasets, streams and gold tables."""
    from warehouse import gold

    entries = [dataset_entry(d) for d in known.values()]
    entries += [e for s in streams.streams().values() for e in stream_entries(connection, s)]
    entries += [gold.entry(connection, t) | {"version": None} for t in gold.tables().values()]
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
        "version": 1 + len(list(_migrations(dataset).glob(f"{dataset.name}.[0-9]*.sql"))),
    }


def _migrations(dataset: Dataset) -> Path:
    return dataset.path.parents[2] / "migrations" / dataset.domain


def stream_entries(connection: psycopg.Connection[Any], stream: Stream) -> list[dict[str, Any]]:
    """The catalogue rows of a stream's tables in silver; the version is that of its events."""
    row = connection.execute(
        "select max(version) from ops.stream_schemas where stream = %s", [stream.table]
    ).fetchone()
    return [
        {
            "table_name": f"silver.{table}",
            "layer": "stream",
            "domain": stream.domain,
            "name": table,
            "title": f"{stream.title}: {_about(stream, table)}",
            "description": stream.description,
            "licence": stream.licence,
            "access": Jsonb(stream.access.model_dump()),
            "columns": Jsonb(
                [
                    {
                        "name": name,
                        "type": kind,
                        "meaning": stream.meanings.get(name, ""),
                        "privacy": "pseudonym" if name in private else None,
                    }
                    for name, kind in streams.stored(connection, table).items()
                ]
            ),
            "version": row[0] if row else None,
            **_as_made(connection, table),
        }
        for table, private in stream.tables.items()
    ]


def _about(stream: Stream, table: str) -> str:
    part = table.removeprefix(f"{stream.table}_")
    return ABOUT.get(part, part.replace("_", " "))


def _as_made(connection: psycopg.Connection[Any], table: str) -> dict[str, Any]:
    """A table's grain, as its comment says it, and its key."""
    row = connection.execute(
        "select coalesce(obj_description(to_regclass(%(name)s), 'pg_class'), ''),"
        " array(select attname::text from pg_index, unnest(indkey) with ordinality as k (n, place)"
        " join pg_attribute on attrelid = to_regclass(%(name)s) and attnum = n"
        " where indrelid = to_regclass(%(name)s) and indisprimary order by place)",
        {"name": f"silver.{table}"},
    ).fetchone()
    assert row
    return {"grain": row[0], "key_columns": row[1]}


def _column(column: Any) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": ddl.PG_TYPES[column.type],
        "meaning": column.meaning,
        "privacy": getattr(column, "privacy", None),
    }
