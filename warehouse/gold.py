"""Gold tables: SQL files, each one table, ordered by their own references.

A file is a header of `-- key: value` lines and one SELECT:

    -- title: Circulation by hour
    -- grain: one row a branch, day and hour
    -- key: branch_code, day, hour
    -- access: branch=branch_code            (or member=…, staff, public; comma-separated)
    -- refresh: day from library_loan_events (only if a changed day, or month, can be refreshed
       alone: the column that holds the day, or the month's first day)
    -- column checkouts: Charges, renewals excluded (KPIS 1)
    -- lattice: block=…, count=…             (only if it counts people: warehouse/lattice.py)

A SELECT of a lattice says `{{new(column)}}` where it can leave out the blocks that are told
already, and `{{least}}` for the smallest number of people that may be told. What a stream's YAML
says of its analyses stands for `{{given(stream.name)}}` (warehouse/shop.py).

A rebuild makes shadow tables in `gold_next`, gives them policies and grants, and swaps all of them
in one transaction: nobody sees half of it, and a kill leaves yesterday's gold.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from pydantic import ValidationError

from warehouse import lattice
from warehouse.ddl import literal
from warehouse.errors import SpecError
from warehouse.policies import access_sql
from warehouse.settings import settings
from warehouse.shop import given
from warehouse.spec import Access

HEADER = re.compile(
    r"^--\s*(title|grain|key|access|refresh|description|lattice|column\s+\w+)\s*:\s*(.*)$"
)
REFERENCE = re.compile(r'\b(silver|gold)\.(?:"(\w+)"|(\w+))')
DAYS = re.compile(r"\{\{\s*days\(([\w.\"]+)\)\s*\}\}")
NEW = re.compile(r"\{\{\s*new\(((?:[^()]|\([^()]*\))*)\)\s*\}\}")
LEAST = re.compile(r"\{\{\s*least\s*\}\}")
GIVEN = re.compile(r"\{\{\s*given\((\w+)\.([\w.]+)\)\s*\}\}")
SPANS = ("day", "month")  # columns by which a table may be refreshed, and how much each covers
Connection = psycopg.Connection[Any]
Changed = Mapping[str, Collection[dt.date] | None]


@dataclass(frozen=True)
class GoldTable:
    """One gold table as its file says. `reads` holds `silver.x` and `gold.y` names.

    `sources`: every dataset that it reads, directly or through other gold tables.
    """

    domain: str
    name: str
    path: Path
    title: str
    grain: str
    key: tuple[str, ...]
    access: Access
    body: str
    reads: frozenset[str]
    refresh: str | None = None
    refresh_from: str | None = None
    description: str = ""
    lattice: lattice.Lattice | None = None
    meanings: Mapping[str, str] = field(default_factory=dict)
    sources: frozenset[str] = frozenset()

    @property
    def table(self) -> str:
        """Its name in schema gold: `<domain>_<name>`."""
        return f"{self.domain}_{self.name}"


def tables() -> dict[str, GoldTable]:
    """Every gold table, shipped and of the project folder, each after those it reads.

    Raises:
        SpecError: a file's header is wrong, or a table reads a gold table that does not exist.
    """
    folders = (Path(__file__).parent / "gold", settings().project / "gold")
    found = {t.table: t for folder in folders for t in map(_read, sorted(folder.glob("*/*.sql")))}
    order: TopologicalSorter[str] = TopologicalSorter()
    for table in found.values():
        order.add(table.table, *(r.removeprefix("gold.") for r in table.reads if r[0] == "g"))
    names = list(order.static_order())
    for table in found.values():
        if lost := [r for r in table.reads if r[0] == "g" and r.removeprefix("gold.") not in found]:
            raise SpecError(table.path, f"reads {', '.join(lost)}, which no file makes")
    for name in names:
        read = [each.partition(".") for each in found[name].reads]
        behind = [found[n].sources for schema, _, n in read if schema == "gold"]
        direct = {n for schema, _, n in read if schema == "silver"}
        found[name] = replace(found[name], sources=frozenset(direct).union(*behind))
    return {name: found[name] for name in names}


def _read(path: Path) -> GoldTable:
    text = path.read_text("utf-8")
    head = {m[1]: m[2] for m in map(HEADER.match, text.splitlines()) if m}
    if lost := [k for k in ("title", "grain", "key", "access") if k not in head]:
        raise SpecError(path, f"header lacks {', '.join(lost)}")
    body = "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip(" ;\n")
    reads = frozenset(f"{schema}.{a or b}" for schema, a, b in REFERENCE.findall(body))
    refresh, _, source = (p.strip() for p in head.get("refresh", "").partition(" from "))
    if refresh and refresh not in SPANS:
        raise SpecError(path, f"refresh: {refresh!r} is neither day nor month")
    if refresh and not DAYS.search(body):
        raise SpecError(path, "has `refresh` but no {{days(column)}} in its SELECT")
    meanings = {k.split()[1]: v for k, v in head.items() if k.startswith("column")}
    counted = lattice.parse(path, head["lattice"]) if "lattice" in head else None
    if counted and refresh:
        raise SpecError(path, "a lattice's blocks are told once; it cannot have `refresh`")
    return GoldTable(
        domain=path.parent.name,
        name=path.stem,
        path=path,
        title=head["title"],
        grain=head["grain"],
        key=tuple(k.strip() for k in head["key"].split(",")),
        access=_access(path, head["access"]),
        body=body,
        reads=reads,
        refresh=refresh or None,
        refresh_from=source or None,
        description=head.get("description", ""),
        lattice=counted,
        meanings=meanings | ({lattice.MARK: lattice.MEANING} if counted else {}),
    )


def _access(path: Path, text: str) -> Access:
    parts = [p.strip().partition("=") for p in text.split(",")]
    try:
        return Access.model_validate({k: v or True for k, _, v in parts})
    except ValidationError as error:
        raise SpecError(path, f"access {text!r}: {error.errors()[0]['msg']}") from error


def create_missing(connection: Connection) -> None:
    """Make gold tables that do not exist yet, empty, so that pages have something to ask."""
    for table in tables().values():
        if not exists(connection, table.table):
            _create_empty(connection, table, "gold")
            connection.execute(finish(connection, table, "gold").encode())


def _create_empty(connection: Connection, table: GoldTable, schema: str) -> None:
    target, select = f'{schema}."{table.table}"', _select(table)
    connection.execute(f"create table {target} as {select} with no data".encode())
    if table.lattice:
        connection.execute(f"alter table {target} add {lattice.MARK} boolean not null".encode())
    if table.lattice and table.lattice.unsafe:
        connection.execute(f'alter table {target} drop column "{table.lattice.unsafe}"'.encode())


def exists(connection: Connection, table: str) -> bool:
    """Whether a gold table is there."""
    row = connection.execute("select to_regclass(%s)", [f'gold."{table}"']).fetchone()
    return row is not None and row[0] is not None


def publish(
    connection: Connection,
    names: Iterable[str],
    *,
    changed: Changed,
    run_id: str | None = None,
) -> dict[str, int]:
    """Rebuild or refresh gold tables in one transaction; return each one's row count.

    Args:
        connection: the owner's, in autocommit or with no transaction open.
        names: gold tables to publish; their order does not matter.
        changed: datasets that changed, each with its changed event days (None: unknown, so whole).
        run_id: written to ops.publications.
    """
    wanted = set(names)
    chosen = [t for name, t in tables().items() if name in wanted]
    whole: list[GoldTable] = []
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtext('carrel publish'))")
        connection.execute("create schema if not exists gold_next")
        connection.execute("set local work_mem = '64MB'")  # else large groupings go to disk
        for table in chosen:
            days = changed_days(table, changed)
            rebuilt = {f"gold.{t.table}" for t in whole}
            if days is not None and not (table.reads & rebuilt):
                _refresh(connection, table, days)
            else:
                _build(connection, table, rebuilt)
                whole.append(table)
        for table in whole:
            _swap(connection, table)
        return {t.table: _record(connection, t, run_id) for t in chosen}


def changed_days(table: GoldTable, changed: Changed) -> list[dt.date] | None:
    """The days to refresh, or None when the table must be rebuilt whole."""
    if not table.refresh:
        return None
    touched = {name for name in table.sources if name in changed}
    source = table.refresh_from or next(iter(table.sources))
    days = changed.get(source)
    return sorted(days) if touched == {source} and days is not None else None


def _select(
    table: GoldTable,
    days: str = "true",
    shadows: Collection[str] = (),
    told: Collection[Any] = (),
) -> str:
    """The table's SELECT with its placeholders and shadow names filled in."""
    body = DAYS.sub(lambda m: days.replace("{column}", m[1]), table.body)
    listed = ", ".join(sql.Literal(block).as_string(None) for block in told)
    body = NEW.sub(lambda m: f"({m[1]}) not in ({listed})" if listed else "true", body)
    body = LEAST.sub(str(settings().suppress_below), filled(table, body))
    return REFERENCE.sub(
        lambda m: f"gold_next.{m[0].split('.')[1]}" if _plain(m) in shadows else m[0], body
    )


def filled(table: GoldTable, body: str = "") -> str:
    """A SELECT with what streams say of their analyses.

    Raises:
        SpecError: no stream says so.
    """

    def said(match: re.Match[str]) -> str:
        from warehouse.streams import stream

        analysis = stream(match[1]).gold
        if analysis is None or not hasattr(analysis, match[2].split(".")[0]):
            raise SpecError(table.path, f"{match[0]}: the stream says no such thing")
        return given(analysis, match[2])

    return GIVEN.sub(said, body or table.body)


def _plain(match: re.Match[str]) -> str:
    return f"{match[1]}.{match[2] or match[3]}"


def _build(connection: Connection, table: GoldTable, shadows: Collection[str]) -> None:
    connection.execute(f'drop table if exists gold_next."{table.table}"'.encode())
    if table.lattice:
        _create_empty(connection, table, "gold_next")
        _tell_blocks(connection, table, table.lattice, shadows)
    else:
        select = _select(table, shadows=shadows)
        connection.execute(f'create table gold_next."{table.table}" as {select}'.encode())
    connection.execute(finish(connection, table, "gold_next").encode())
    connection.execute(f'analyze gold_next."{table.table}"'.encode())


def _tell_blocks(
    connection: Connection, table: GoldTable, shape: lattice.Lattice, shadows: Collection[str]
) -> None:
    """Fill the shadow of a lattice: blocks that were told stay as they are, new ones are added.

    The true counts pass through this process and are in no table.
    """
    columns = list(_types(connection, "gold_next", table.table))
    told: list[dict[str, Any]] = []
    with connection.cursor(row_factory=dict_row) as cursor:
        if _types(connection, "gold", table.table) == _types(connection, "gold_next", table.table):
            before = sql.SQL("select * from gold.{}").format(sql.Identifier(table.table))
            told = cursor.execute(before).fetchall()
        blocks = sorted({row[shape.block] for row in told})
        select = _select(table, shadows=shadows, told=blocks)
        found = cursor.execute(select.encode()).fetchall()
    known = set(blocks)
    fresh = [row for row in found if row[shape.block] not in known]
    rows = [*told, *lattice.withhold(shape, fresh, settings().suppress_below, told)]
    named = sql.SQL(", ").join(map(sql.Identifier, columns))
    into = sql.SQL("copy gold_next.{} ({}) from stdin").format(sql.Identifier(table.table), named)
    with connection.cursor() as cursor, cursor.copy(into) as copy:
        for row in rows:
            copy.write_row([row[c] for c in columns])


def forget_blocks(connection: Connection, source: str) -> None:
    """Empty the lattices that read a dataset, so that the next publication tells all blocks anew.

    For when the rows were somebody else's: a sample that gives way to the library's own data.
    """
    for table in tables().values():
        if table.lattice and source in table.sources and exists(connection, table.table):
            connection.execute(f'truncate gold."{table.table}"'.encode())
            connection.execute(
                "update ops.publications set sql_sha256 = null where table_name = %s",
                [table.table],
            )


def finish(connection: Connection, table: GoldTable, schema: str) -> str:
    """Statements that give a new gold table its key, comments, policies and grants."""
    target = f'{schema}."{table.table}"'
    key = ", ".join(f'"{k}"' for k in table.key)
    columns = list(_types(connection, schema, table.table))
    lines = [f"alter table {target} add primary key ({key});"]
    lines.append(f"comment on table {target} is {literal(f'{table.title}: {table.grain}')};")
    lines += [
        f'comment on column {target}."{c}" is {literal(table.meanings[c])};'
        for c in columns
        if c in table.meanings
    ]
    return "\n".join([*lines, access_sql(schema, table.table, table.access, columns)])


def _types(connection: Connection, schema: str, table: str) -> dict[str, str]:
    rows = connection.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
        [f'{schema}."{table}"'],
    )
    return dict(rows.fetchall())


def _refresh(connection: Connection, table: GoldTable, days: list[dt.date]) -> None:
    """Replace the rows of some days, or of the months that they lie in."""
    if not days:
        return
    span = table.refresh or SPANS[0]
    spans = sorted({d.replace(day=1) for d in days} if span == "month" else days)
    listed = ", ".join(f"date '{d:%Y-%m-%d}'" for d in spans)
    predicate = (
        f"({{column}} >= date '{spans[0]:%Y-%m-%d}'"
        f" and {{column}} < date '{spans[-1]:%Y-%m-%d}' + interval '1 {span}'"
        f" and date_trunc('{span}', {{column}})::date in ({listed}))"
    )
    connection.execute(
        sql.SQL("delete from gold.{} where {} = any(%s)").format(
            sql.Identifier(table.table), sql.Identifier(span)
        ),
        [spans],
    )
    insert = f'insert into gold."{table.table}" {_select(table, predicate)}'
    connection.execute(insert.encode())


def _swap(connection: Connection, table: GoldTable) -> None:
    connection.execute(f'drop table if exists gold."{table.table}"'.encode())
    connection.execute(f'alter table gold_next."{table.table}" set schema gold'.encode())


RECORD = """
insert into ops.publications (table_name, published_at, complete_to, run_id, rows, sources)
select
    %(table)s, clock_timestamp(), coalesce(min(t.read_at), now()), %(run_id)s, %(rows)s,
    %(sources)s
from (
    select dataset, max(started_at) as read_at from ops.loads
    where dataset = any(%(sources)s) and state in ('done', 'unchanged') group by dataset
) t
on conflict (table_name) do update set
    published_at = excluded.published_at, complete_to = excluded.complete_to,
    run_id = excluded.run_id, rows = excluded.rows, sources = excluded.sources
"""


def _record(connection: Connection, table: GoldTable, run_id: str | None) -> int:
    count = sql.SQL("select count(*) from gold.{}").format(sql.Identifier(table.table))
    row = connection.execute(count).fetchone()
    rows = int(row[0]) if row else 0
    connection.execute(
        RECORD,
        {"table": table.table, "run_id": run_id, "rows": rows, "sources": sorted(table.sources)},
    )
    return rows


def entry(connection: Connection, table: GoldTable) -> dict[str, Any]:
    """The catalogue row of a gold table."""
    return {
        "table_name": f"gold.{table.table}",
        "layer": "gold",
        "domain": table.domain,
        "name": table.table,
        "title": table.title,
        "grain": table.grain,
        "description": table.description,
        "licence": None,
        "key_columns": list(table.key),
        "access": Jsonb(table.access.model_dump()),
        "columns": Jsonb(
            [
                {"name": n, "type": t, "meaning": table.meanings.get(n, ""), "privacy": None}
                for n, t in _types(connection, "gold", table.table).items()
            ]
        ),
    }
