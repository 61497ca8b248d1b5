"""A question of one's own reads and does nothing else, whatever it says."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
import pytest

from tasks import asking
from tasks.asking import Answer, ask, calls, checked
from warehouse.access import Viewer
from warehouse.database import connect
from warehouse.errors import ConfigurationError, LoadFailed
from warehouse.settings import settings

ADMIN = Viewer("ann@example.org", "admin")
LIN = Viewer("lin@example.org", "librarian", ("NORTH",))
MO = Viewer("mo@example.org", "member", (), "m1")
COUNT = "select count(*) from silver.shop_loans"
# Each would change something or reach beyond the rows, and PostgreSQL refuses it by itself.
WRITES = (
    "insert into silver.shop_loans values (1)",
    "update silver.shop_loans set branch_code = 'X'",
    "delete from silver.shop_loans",
    "truncate silver.shop_loans",
    "drop table silver.shop_loans",
    "create table silver.mine (a int)",
    "create temp table mine (a int)",
    "copy silver.shop_loans to program 'cat'",
    "do $$ begin delete from silver.shop_loans; end $$",
    "copy silver.shop_loans from program 'cat'",
    "set role {owner}",
    "set session authorization {owner}",
    "select * from silver.shop_loans for update",
    "select * into silver.mine from silver.shop_loans",
    "with a as (delete from silver.shop_loans returning *) select * from a",
    "with a as (insert into app.requests (asked_by, action, subject)"
    " values ('x', 'run', 'y') returning 1) select * from a",
    "select pg_read_file('/etc/passwd')",
    "select pg_ls_dir('/')",
    "select lo_import('/etc/passwd')",
    "select nextval('ops.loads_load_id_seq')",
    "select * from audit.append('[]'::jsonb)",
)
# These would leave something behind beside the rows, or are no single select.
ACTS = (
    *WRITES,
    "copy silver.shop_loans to stdout",
    "call quality.nothing()",
    "reset role",
    "set default_transaction_read_only = off",
    "begin read write",
    "commit",
    "rollback",
    "lock table silver.shop_loans",
    "listen a",
    "notify a",
    "prepare a as select 1",
    "vacuum",
    "explain analyze delete from silver.shop_loans",
    "select 1; delete from silver.shop_loans",
    "select 1; select 2",
    "select 1;; drop table silver.shop_loans; --",
    "select * into temp mine from silver.shop_loans",
    "select dblink('', 'select 1')",
    "select pg_terminate_backend(pid) from pg_stat_activity",
    "select pg_catalog.pg_terminate_backend (pid) from pg_stat_activity",
    'select "pg_terminate_backend"/* */(pid) from pg_stat_activity',
    "select PG_Cancel_Backend -- one\n (1)",
    "select 1 limit pg_advisory_lock(1)::text::int",
    "select pg_advisory_lock(1)",
    "select set_config('transaction_read_only', 'off', true)",
    "select set_config('default_transaction_read_only', 'off', false)",
    "select set_config('statement_timeout', '0', false)",
    "select query_to_xml('select pg_sleep(9)', true, true, '')",
    "select pg_sleep(9)",
    "select pg_notify('a', 'b')",
    "select setval('ops.loads_load_id_seq', 9)",
    "select quality.act_on_alert(1, 'resolve', 'x', null)",
    "select app.remove_second_factor(1)",
    "values (pg_backend_pid(), pg_sleep(9))",
    "select E'\\'' , pg_sleep(9) --'",
    'select U&"pg\\005fsleep"(9)',
    "select $€$ ' $€$, pg_sleep(9), $€$ ' $€$",  # to PostgreSQL, any letter beyond ASCII is one
    "select $٣$ ' $٣$, pg_sleep(9), $٣$ ' $٣$",
    "select 'a'\0",
    "select '\udcff'",
    "",
    ";",
    "-- nothing",
)


def told(answer: Answer) -> list[tuple[str | None, ...]]:
    return answer.rows


@pytest.mark.parametrize(("viewer", "rows"), [(ADMIN, "100"), (LIN, "50"), (MO, "20")])
def test_each_viewer_sees_the_own_rows(shop: Path, viewer: Viewer, rows: str) -> None:
    assert told(ask(viewer, COUNT)) == [(rows,)]


def test_acts_are_refused_and_nothing_changes(shop: Path) -> None:
    state = (
        "select (select count(*) from silver.shop_loans), (select count(*) from app.requests),"
        " (select count(*) from audit.entries), (select last_value from ops.loads_load_id_seq),"
        " (select count(*) from pg_class)"
    )
    with connect() as connection:
        was = connection.execute(state).fetchone()
    for act in ACTS:
        for viewer in (ADMIN, MO):
            with pytest.raises(ConfigurationError) as refused:
                ask(viewer, act.format(owner=settings().login("owner")) if "{" in act else act)
            assert refused.value.remedy, act
    with connect() as connection:
        assert connection.execute(state).fetchone() == was
    assert told(ask(MO, COUNT)) == [("20",)]


@pytest.mark.parametrize("viewer", [ADMIN, LIN, MO])
def test_postgresql_itself_refuses_what_changes_rows(shop: Path, viewer: Viewer) -> None:
    """Without any look of ours at the statement: by rights, and by the read-only transaction."""
    for act in WRITES:
        statement = act.format(owner=settings().login("owner"))
        refused = pytest.raises(ConfigurationError, match=r"permission denied|read-only|must be")
        with refused, asking.asking(viewer) as driver:
            driver.execute(statement.encode())
    assert told(ask(ADMIN, COUNT)) == [("100",)]


def test_nothing_that_a_question_sets_outlives_it(shop: Path) -> None:
    with asking.asking(ADMIN) as driver:
        pid = driver.info.backend_pid
        driver.execute("select set_config('default_transaction_read_only', 'off', false)")
        driver.execute("select set_config('statement_timeout', '0', false)")
        with pytest.raises(psycopg.Error), driver.transaction():
            driver.execute("set transaction read write")
    with asking.asking(ADMIN, 7) as driver:
        assert driver.info.backend_pid == pid
        shown = driver.execute(
            "select current_setting('default_transaction_read_only'),"
            " current_setting('transaction_read_only'), current_setting('statement_timeout')"
        ).fetchone()
    assert shown == ("on", "on", "7s")


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("select 1", ("1",)),
        (" Select 1 ; -- done\n", ("1",)),
        ("/* a /* b */ ; */ select ';' as x", (";",)),
        ("(select 1) union all (select 1) limit 1", ("1",)),
        ("values ($a$;'$a$)", (";'",)),
        ("with a as (select 3 as n) select n from a", ("3",)),
        ("table silver.nothing", None),
        ("select 'pg_sleep(9)', '100%', random() < 2, clock_timestamp() > '-infinity'",
         ("pg_sleep(9)", "100%", "true", "true")),
        ("select 'infinity'::date, null, '4713-01-01 BC'::date, 'NaN'::numeric, 1e300::float8",
         ("infinity", None, "4713-01-01 BC", "NaN", "1e+300")),
        ("select timestamptz '2026-07-01 12:00+02', '{\"a\": 1}'::jsonb, array[1,2]",
         ("2026-07-01 10:00:00+00", '{"a": 1}', "{1,2}")),
    ],
)  # fmt: skip
def test_what_reads_is_answered(shop: Path, statement: str, row: tuple[str, ...] | None) -> None:
    if row is None:
        with pytest.raises(ConfigurationError, match="does not exist"):
            ask(MO, statement)
    else:
        assert told(ask(MO, statement)) == [row]


def test_values_are_bound() -> None:
    assert calls("select f (1), \"G\"(2), 'h(3)', i.j(4), $$k(5)$$ -- l(6)") >= {"f", "G", "j"}
    assert not calls("select 'h(3)', $$k(5)$$ -- l(6)\n /* m(7) */")
    assert checked("select 1 -- a\n;;") == "select 1"


def test_a_value_is_no_sql(shop: Path) -> None:
    text = "'; drop table silver.shop_loans; --"
    assert told(ask(MO, "select %(text)s::text", {"text": text})) == [(text,)]


def test_rows_are_limited_and_it_says_so(shop: Path) -> None:
    few = ask(ADMIN, "select loan_id from silver.shop_loans order by 1", most=3)
    assert (len(few.rows), few.more) == (3, True)
    assert not ask(ADMIN, "select loan_id from silver.shop_loans", most=100).more
    assert [f.type for f in few.fields] == ["bigint"]


def test_a_long_question_is_stopped(shop: Path) -> None:
    began = time.monotonic()
    with pytest.raises(LoadFailed, match="took longer than 1 s"):
        ask(MO, "select count(*) from generate_series(1, 1000000000000)", seconds=1)
    assert time.monotonic() - began < 10
    assert told(ask(MO, COUNT)) == [("20",)]
