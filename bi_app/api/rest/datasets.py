"""The catalogue, and rows of its tables: those that PostgreSQL shows the caller."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from psycopg import sql
from starlette.concurrency import run_in_threadpool

from bi_app.api.rest import answers, shapes
from bi_app.api.rest.paging import After, Limit, opened, page
from bi_app.api.rest.problems import Problem, address
from bi_app.api.rest.who import Exports, Reads
from bi_app.models.explore import SAVED_ROWS, Entry, catalogue, plain
from bi_app.models.export import WRITERS, file_name
from bi_app.models.figures import work
from bi_app.models.freshness import fresh_of
from bi_app.models.summary import MOST_DIMENSIONS, MOST_MEASURES, ask
from bi_app.models.table import Table
from bi_app.queries import rows
from warehouse import audit
from warehouse.access import Role, Viewer
from warehouse.errors import ConfigurationError

router = APIRouter(tags=["datasets"])
Named = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}$")]
KNOWN_SECONDS = 5.0
FILTER = r"^[a-z][a-z0-9_]{0,62}:(eq|ne|lt|le|gt|ge|like|null)(:[^\x00]{0,200})?$"
OPERATORS = {
    "eq": sql.SQL("="), "ne": sql.SQL("<>"), "lt": sql.SQL("<"), "le": sql.SQL("<="),
    "gt": sql.SQL(">"), "ge": sql.SQL(">="), "like": sql.SQL("like"),
}  # fmt: skip
TYPE = re.compile(r"[a-z ]{3,40}(\(\d+(,\d+)?\))?(\[\])?")
Filters = Annotated[
    list[Annotated[str, Query(pattern=FILTER)]] | None,
    Query(
        alias="filter",
        max_length=20,
        description="`column:operator:value`, all of which must hold; operators eq, ne, lt, le,"
        " gt, ge, like (% and _), null (`column:null:true` or `:false`)",
    ),
]
Columns = Annotated[
    str | None,
    Query(
        pattern=r"^[a-z0-9_,]{1,2000}$", description="Comma separated; default: all you may read"
    ),
]


@router.get("/datasets", response_model=shapes.Datasets)
async def datasets(
    request: Request, caller: Reads, limit: Limit = 100, after: After = None
) -> Response:
    """Tables of which you may read something, with the columns that are yours to read."""
    start = opened(after, (str,)) or [""]
    known = await run_in_threadpool(_catalogue, caller.viewer)
    found = [known[name] for name in sorted(known) if name > start[0]][: limit + 1]
    asked = page(request, found, limit, lambda e: [e.table_name])
    return answers.sent({**asked, "items": [_out(e) for e in asked["items"]]})


@router.get("/datasets/{name}", response_model=shapes.Dataset)
async def dataset(caller: Reads, name: Named) -> Response:
    """One table: what it is, what a row is, what each column means."""
    return answers.sent(_out(await run_in_threadpool(_entry, caller.viewer, name)))


@router.get("/datasets/{name}/rows", response_model=shapes.Rows)
async def dataset_rows(  # noqa: PLR0913, PLR0917 - as the address has it
    request: Request,
    caller: Reads,
    name: Named,
    columns: Columns = None,
    filters: Filters = None,
    limit: Limit = 100,
    after: After = None,
) -> Response:
    """Rows in the order of the key."""

    def read() -> bytes:
        entry = _entry(caller.viewer, name)
        found, key = _page(caller.viewer, entry, filters or (), (limit, after))
        wanted = _wanted(entry, columns)
        asked = page(request, found, limit, key)
        if wanted != entry.names:
            asked["items"] = [{n: r[n] for n in wanted} for r in asked["items"]]
        return answers.written(asked, others=str)

    return Response(await run_in_threadpool(read), media_type=answers.JSON)


@router.get(
    "/datasets/{name}/file.{kind}",
    responses={200: {"content": {media: {} for media, _ in WRITERS.values()}}},
    response_class=Response,
)
async def dataset_file(  # noqa: PLR0913, PLR0917 - as the address has it
    request: Request,
    caller: Exports,
    name: Named,
    kind: Literal["csv", "xlsx"],
    columns: Columns = None,
    filters: Filters = None,
) -> Response:
    """The first 10,000 rows as a file."""

    def make() -> Response:
        entry = _entry(caller.viewer, name)
        found, _ = _page(caller.viewer, entry, filters or (), (SAVED_ROWS, None))
        wanted = _wanted(entry, columns)
        data = {n: [plain(r[n]) for r in found[:SAVED_ROWS]] for n in wanted}
        heads = [c for c in entry.shown() if c.key in wanted]
        table = Table("rows", entry.title, heads, data, [entry.grain, entry.table_name])
        media, write = WRITERS[kind]
        by = audit.viewer(caller.viewer, "api", address(request))
        audit.note(by, "export", name, kind=kind, rows=len(table), columns=wanted)
        file_ = file_name(table, kind, today=dt.date.today())
        headers = {"Content-Disposition": f'attachment; filename="{file_}"'}
        return Response(write(table), 200, headers, media)

    return await run_in_threadpool(make)


Word = Annotated[str, Query(pattern=r"^[a-z_]{1,20}(:[a-z][a-z0-9_]{0,62})?$")]
Measures = Annotated[
    list[Word] | None,
    Query(
        alias="measure",
        max_length=MOST_MEASURES,
        description="`count`, or `kind:column`: sum, mean, median, min, max, distinct",
    ),
]
By = Annotated[
    list[Annotated[str, Query(pattern=r"^[a-z][a-z0-9_]{0,62}(:[a-z]{1,10})?$")]] | None,
    Query(
        max_length=MOST_DIMENSIONS,
        description="A column; of a day `column:grain`: day, week, month, quarter, year",
    ),
]
Condition = Annotated[str, Query(pattern=r"^[a-z][a-z0-9_]{0,62}:[a-z]{1,10}:[^\x00]{1,200}$")]
Where = Annotated[
    list[Condition] | None,
    Query(
        alias="filter",
        max_length=20,
        description="`column:operator:value`: eq (several on one column: one of them), ge, le,"
        " last (newest days), null (true or false)",
    ),
]
Sort = Annotated[
    str | None,
    Query(
        pattern=r"^-?[dm][0-3]$",
        description="A column of the answer: d0; -m0: greatest first",
    ),
]
Top = Annotated[int, Query(ge=1, le=500, description="Groups; the rest is in `others`")]


@router.get("/datasets/{name}/summary", response_model=shapes.Summary)
async def dataset_summary(  # noqa: PLR0913, PLR0917 - as the address has it
    caller: Reads,
    name: Named,
    measure: Measures = None,
    by: By = None,
    filters: Where = None,
    sort: Sort = None,
    top: Top = 20,
) -> Response:
    """Measures of the rows that you see and that fit, by up to three columns, as on Explore."""

    def make() -> bytes:
        entry = _entry(caller.viewer, name)
        asked: dict[str, Any] = {"measure": measure, "by": by, "filter": filters}
        if sort:
            asked |= {"sort": sort.lstrip("-"), "down": sort.startswith("-")}
        return answers.written(_summary(caller.viewer, entry, asked, top))

    return Response(await run_in_threadpool(make), media_type=answers.JSON)


def _summary(viewer: Viewer, entry: Entry, asked: dict[str, Any], top: int) -> dict[str, Any]:
    """A summary as the API tells it.

    Raises:
        Problem: 422, a row of the table is a person, or a part of the question makes no sense.
    """
    try:
        question = ask(entry, asked)
    except ConfigurationError as refused:
        raise Problem(422, refused.message) from refused
    if question.left_out or (asked.get("sort") and not question.sort):
        faults = question.left_out or ("There is no such column to sort by.",)
        errors = [{"where": "query", "what": what} for what in faults]
        raise Problem(422, "The question makes no sense here.", errors=errors)
    found = work(viewer, question, top)
    keys = [c.key for c in question.columns]
    measured = keys[len(question.by) :]
    fresh = fresh_of(viewer, entry.table_name)
    return {
        "title": question.title,
        "notes": found.notes,
        "complete_to": fresh.complete_to,
        "columns": [{"key": c.key, "title": c.title, "kind": c.kind} for c in question.columns],
        "rows": [dict(zip(keys, r, strict=True)) for r in found.shown],
        "others": (
            dict(zip(measured, found.others[len(question.by) :], strict=True))
            if found.others
            else None
        ),
        "total": dict(zip(measured, found.total, strict=True)),
        "groups": found.groups,
        "fitting": found.rows,
        "withheld": dict(zip(measured, found.withheld, strict=True)),
    }


_kept: dict[Role, tuple[float, dict[str, Entry]]] = {}


def _catalogue(viewer: Viewer) -> dict[str, Entry]:
    """What the viewer's role may read, as of a few seconds ago; grants are a role's."""
    at, known = _kept.get(viewer.role, (0.0, None))
    if known is None or time.monotonic() - at > KNOWN_SECONDS:
        at, known = time.monotonic(), catalogue(viewer)
        _kept[viewer.role] = (at, known)
    return known


def _entry(viewer: Viewer, name: str) -> Entry:
    """A table of the viewer's catalogue.

    Raises:
        Problem: 404; what is not yours to read is not told from what is not there.
    """
    found = _catalogue(viewer).get(name)
    if found is None:
        raise Problem(404, "You see no such dataset.")
    return found


def _out(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.table_name, "layer": entry.layer, "title": entry.title, "grain": entry.grain,
        "description": entry.description, "licence": entry.licence,
        "key": [k for k in entry.key_columns if k in entry.names],
        "columns": [
            {k: c.get(k) for k in ("name", "type", "privacy")} | {"meaning": c.get("meaning") or ""}
            for c in entry.columns
        ],
    }  # fmt: skip


def _wanted(entry: Entry, columns: str | None) -> list[str]:
    """The columns asked for, in the table's order.

    Raises:
        Problem: 422, one is none that the viewer may read.
    """
    names = columns.split(",") if columns else entry.names
    if lost := [n for n in names if n not in entry.names]:
        raise _no_column(entry, lost[0])
    return [n for n in entry.names if n in names]


def _no_column(entry: Entry, name: str) -> Problem:
    return Problem(422, f"{entry.table_name} has no column {name!r} for you.", known=entry.names)


def _page(
    viewer: Viewer, entry: Entry, filters: Sequence[str], asked: tuple[int, str | None]
) -> tuple[Sequence[Mapping[str, Any]], Any]:
    """Rows after the cursor, one more than the limit, and what makes a row's cursor.

    The key orders the rows where the viewer may read all of it; else every column does, and the
    cursor is a place, up to 10,000 rows.
    """
    limit, after = asked
    keyed = bool(entry.key_columns) and all(k in entry.names for k in entry.key_columns)
    order = list(entry.key_columns) if keyed else entry.names
    conditions, values = _conditions(entry, filters)
    place = 0
    if keyed:
        if key := opened(after, (str,) * len(order)):
            conditions.append(_beyond(entry, order))
            values |= {f"k{n}": v for n, v in enumerate(key)}
    elif start := opened(after, (int,)):
        place = min(max(int(start[0]), 0), SAVED_ROWS)
    found = rows(
        viewer,
        "rows_after",
        {**values, "limit": limit + 1, "offset": place},
        columns=sql.SQL(", ").join(map(sql.Identifier, entry.names)),
        table=entry.identifier,
        where=sql.SQL(" and ").join(conditions) if conditions else sql.SQL("true"),
        order=sql.SQL(", ").join(map(sql.Identifier, order)),
    )
    last = place + limit
    return found, (lambda r: [_text(r[k]) for k in order]) if keyed else (lambda r: [last])


def _text(value: Any) -> str:
    """A key's value as PostgreSQL reads it back."""
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _beyond(entry: Entry, order: Sequence[str]) -> sql.Composed:
    """The rows after a key, each of its values cast to its column's type."""
    casts = [_value(entry, name, f"k{n}") for n, name in enumerate(order)]
    return sql.SQL("({}) > ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, order)), sql.SQL(", ").join(casts)
    )


def _value(entry: Entry, column: str, name: str) -> sql.Composed:
    """A bound value, cast to the column's type as the catalogue has it."""
    kind = next(c["type"] for c in entry.columns if c["name"] == column)
    if not TYPE.fullmatch(kind):
        raise Problem(422, f"The column {column!r} cannot be asked for.")
    return sql.SQL("{}::{}").format(sql.Placeholder(name), sql.SQL(kind))


def _conditions(
    entry: Entry, filters: Sequence[str]
) -> tuple[list[sql.Composable], dict[str, Any]]:
    """Filters as SQL: names and types from the catalogue, values bound.

    Raises:
        Problem: 422, a column is none that the viewer may read, or a value is missing.
    """
    conditions: list[sql.Composable] = []
    values: dict[str, Any] = {}
    for place, text in enumerate(filters):
        column, operator, *rest = text.split(":", 2)
        if column not in entry.names:
            raise _no_column(entry, column)
        given, name = (rest[0] if rest else None), sql.Identifier(column)
        if operator == "null":
            if given not in ("true", "false"):
                raise Problem(422, f"{column}:null:true or {column}:null:false.")
            ends = sql.SQL("is null" if given == "true" else "is not null")
            conditions.append(sql.SQL("{} {}").format(name, ends))
            continue
        if given is None:
            raise Problem(422, f"The filter {column}:{operator} has no value.")
        values[f"f{place}"] = given
        value = (
            sql.Placeholder(f"f{place}") if operator == "like"
            else _value(entry, column, f"f{place}")
        )  # fmt: skip
        shown = sql.SQL("{}::text").format(name) if operator == "like" else name
        conditions.append(sql.SQL("{} {} {}").format(shown, OPERATORS[operator], value))
    return conditions, values
