"""One matrix: roles, tables and doors. Each cell is tried by SQL as the role, and by each door.

The rows are made by the columns' types: each table holds two branches and two members, so that
"own" is half of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from bi_app.api.tables import TABLES, explored
from bi_app.auth.roles import may_open
from bi_app.models import explore
from tasks.export import export
from tests.fix_warehouse import NONE, copied, use
from warehouse import gold
from warehouse.access import ROLES, Role, Viewer, acting_as
from warehouse.database import connect
from warehouse.errors import ConfigurationError
from warehouse.spec import Access, datasets
from warehouse.streams import streams

MATRIX: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("matrix.yml").read_text("utf-8"))
RULES = {table: rule for rule, tables in MATRIX["tables"].items() for table in tables}
SEES: dict[tuple[str, str], str] = {
    (table, role): MATRIX["rules"][rule][role] for table, rule in RULES.items() for role in ROLES
}
STREAMS = {table: rule for rule, tables in MATRIX["streams"].items() for table in tables}
SEES |= {
    (table, role): MATRIX["rules"][rule][role] for table, rule in STREAMS.items() for role in ROLES
}
OWN, OTHER, MINE, YOURS = "OWN", "OTHER", "a" * 32, "b" * 32
VIEWERS = {
    "admin": Viewer("ann@example.org", "admin"),
    "librarian": Viewer("lin@example.org", "librarian", (OWN,)),
    "member": Viewer("mo@example.org", "member", (), MINE),
}
DAY = dt.date(2026, 1, 1)
CELLS = [pytest.param(t, r, id=f"{t}-{r}") for t, r in SEES]
EXPORTED = [pytest.param(t, r, id=f"{t}-{r}") for t, r in SEES if t in RULES]


def accesses() -> dict[str, Access]:
    """The access of every table that Carrel ships."""
    found = {f"silver.{name}": d.access for name, d in datasets().items()}
    return found | {f"gold.{name}": t.access for name, t in gold.tables().items()}


def stream_accesses() -> dict[str, Access]:
    """The access of every table of a stream."""
    return {f"silver.{name}": s.access for s in streams().values() for name in s.tables}


@pytest.fixture(scope="module")
def filled(template: str) -> Iterator[str]:
    """A database with four rows in each table: two branches times two members."""
    with copied("carrel_matrix", template) as name:
        use(name)
        with connect() as connection:
            for table, access in (accesses() | stream_accesses()).items():
                fill(connection, table, access)
        yield name
        use(NONE)


def fill(connection: psycopg.Connection[Any], table: str, access: Access) -> None:
    """Rows for every branch and member; one member for whom the member is the key."""
    kinds = connection.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 and not attisdropped",
        [table],
    ).fetchall()
    for number, (branch, member) in enumerate(
        [(OWN, MINE), (OWN, YOURS), (OTHER, MINE), (OTHER, YOURS)]
    ):
        row = {column: made(kind, number) for column, kind in kinds}
        row |= {c: branch for c in (access.branch,) if c}
        row |= {c: member for c in (access.member,) if c}
        names = ", ".join(f'"{c}"' for c in row)
        marks = ", ".join(["%s"] * len(row))
        connection.execute(f"insert into {table} ({names}) values ({marks})", [*row.values()])


def made(kind: str, number: int) -> Any:
    """A value of a type; another for each number."""
    if kind == "text":
        return f"text {number}"
    if kind == "boolean":
        return True
    if kind == "interval":
        return dt.timedelta(minutes=number)
    if kind == "date" or kind.startswith("timestamp"):
        return DAY + dt.timedelta(days=number)
    assert kind in {"smallint", "integer", "bigint", "numeric", "double precision"}, kind
    return number


@pytest.fixture
def viewer(filled: str, request: pytest.FixtureRequest) -> Viewer:
    use(filled)
    return VIEWERS[request.param]


# The list itself ----------------------------------------------------------------------------------


def test_every_table_stands_in_the_matrix_once() -> None:
    listed = [table for tables in MATRIX["tables"].values() for table in tables]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(accesses())
    assert set(STREAMS) == set(stream_accesses())


@pytest.mark.parametrize("table", RULES | STREAMS)
def test_a_table_s_own_file_says_what_the_matrix_says(table: str) -> None:
    access = (accesses() | stream_accesses())[table]
    parts = [p for p in ("public", "staff", "branch", "member") if getattr(access, p)]
    assert " and ".join(parts) == (RULES | STREAMS)[table]


def test_private_columns_are_those_of_the_specs() -> None:
    stated = {
        f"silver.{name}": sorted(
            c.name for c in d.columns if c.privacy in ("pseudonym", "personal")
        )
        for name, d in datasets().items()
    }
    assert {t: c for t, c in stated.items() if c} == MATRIX["private"]
    members = {t for t, a in accesses().items() if a.member}
    assert set(MATRIX["private"]) == members, "who names a member hides who it is"


def test_columns_of_nobody_are_those_of_the_streams() -> None:
    stated = {f"silver.{t}": c for s in streams().values() for t, c in s.tables.items() if c}
    assert stated == MATRIX["nobody's"]


# By SQL -------------------------------------------------------------------------------------------


def expected(table: str, role: str) -> int | None:
    """How many of the four rows a role sees; None where it is refused."""
    return {"all": 4, "own": 2, "refused": None}[SEES[table, role]]


def columns_of(table: str, role: str) -> list[str]:
    """The columns that a role may read, by the matrix."""
    with connect() as connection:
        names = [
            row[0]
            for row in connection.execute(
                "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0"
                " and not attisdropped and attname not in ('_load_id', '_hash') order by attnum",
                [table],
            )
        ]
    hidden = () if role == "member" else MATRIX["private"].get(table, ())
    hidden = MATRIX["nobody's"].get(table, hidden)
    return [n for n in names if n not in hidden]


@pytest.mark.parametrize(
    ("table", "viewer"), CELLS, indirect=["viewer"]
)  # each cell as the role's own login
def test_by_sql(table: str, viewer: Viewer) -> None:
    named = ", ".join(f'"{c}"' for c in columns_of(table, viewer.role))
    question = text(f"select {named} from {table}")
    wanted = expected(table, viewer.role)
    with acting_as(viewer) as connection:
        if wanted is None:
            with pytest.raises(ProgrammingError, match="permission denied"):
                connection.execute(question)
        else:
            assert len(connection.execute(question).fetchall()) == wanted


STAFF = [
    pytest.param(table, column, role, id=f"{table}.{column}-{role}")
    for table, columns in MATRIX["private"].items()
    for column in (*columns, "_hash")
    for role in ("admin", "librarian")
]
STAFF += [
    pytest.param(table, column, role, id=f"{table}.{column}-{role}")
    for table, columns in MATRIX["nobody's"].items()
    for column in columns
    for role in ROLES
]


@pytest.mark.parametrize(("table", "column", "viewer"), STAFF, indirect=["viewer"])
def test_a_private_column_is_refused_by_sql(table: str, column: str, viewer: Viewer) -> None:
    for question in (
        f'select "{column}" from {table}',
        f'select count(distinct "{column}") from {table}',
        f'select 1 from {table} where "{column}" is null',
        f"select t from {table} t",
    ):
        with (
            acting_as(viewer) as connection,
            pytest.raises(ProgrammingError, match="permission denied"),
        ):
            connection.execute(text(question))


@pytest.mark.parametrize("viewer", ROLES, indirect=True)
@pytest.mark.parametrize("table", MATRIX["closed"])
def test_what_is_closed_is_refused_by_sql(table: str, viewer: Viewer) -> None:
    with (
        acting_as(viewer) as connection,
        pytest.raises(ProgrammingError, match="permission denied"),
    ):
        connection.execute(text(f"select * from {table}"))


@pytest.mark.parametrize("role", ROLES)
def test_without_a_claim_there_are_no_rows(filled: str, role: Role) -> None:
    use(filled)
    nobody = Viewer("x", role, (), None)
    for table in RULES:
        if SEES[table, role] == "own":
            with acting_as(nobody) as connection:
                assert connection.execute(text(f"select count(*) from {table}")).scalar() == 0


# By the doors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("table", "viewer"), EXPORTED, indirect=["viewer"])
def test_by_export_as_a_person(table: str, viewer: Viewer, tmp_path: Path) -> None:
    to = tmp_path / "out.csv"
    wanted = expected(table, viewer.role)
    if wanted is None:
        with pytest.raises(ConfigurationError):
            export(table, to, viewer=viewer)
        assert not to.exists()
        return
    assert export(table, to, viewer=viewer).rows == wanted
    head = to.read_text("utf-8-sig").splitlines()[0].split(",")
    assert head == columns_of(table, viewer.role)


@pytest.mark.parametrize(("table", "viewer"), CELLS, indirect=["viewer"])
def test_by_the_explore_page_and_its_download(table: str, viewer: Viewer) -> None:
    known = explore.catalogue(viewer)
    wanted = expected(table, viewer.role)
    if wanted is None:
        assert table not in known
        with pytest.raises(KeyError):
            explored(viewer, "rows", {"table": [table.encode()]})
        return
    assert set(known[table].names) <= set(columns_of(table, viewer.role))
    saved = explored(viewer, "rows", {"table": [table.encode()]})
    assert len(saved) == wanted
    assert [c.key for c in saved.columns] == known[table].names


def test_by_the_pages() -> None:
    """A page that a role may not open saves nothing for it either; test_doors.py asks by HTTP."""
    saved = {role: {p for p in TABLES if may_open(f"/{p}", role)} for role in ROLES}
    assert saved["member"] <= set(MATRIX["members_pages"])
    assert "my_loans" not in saved["admin"] | saved["librarian"]
    assert saved["admin"] >= saved["librarian"]
