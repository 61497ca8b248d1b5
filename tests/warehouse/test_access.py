"""The database decides who sees a row: `acting_as`, row policies, column grants."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import InternalError, ProgrammingError

from warehouse import gold
from warehouse.access import CLAIM_SECONDS, Viewer, acting_as, claim
from warehouse.database import connect, engine
from warehouse.policies import access_sql, policies
from warehouse.settings import settings
from warehouse.spec import Access, dataset, datasets

ADMIN = Viewer("ann@example.org", "admin")
LIBRARIAN = Viewer("lin@example.org", "librarian", ("NORTH",))
MEMBER = Viewer("mo@example.org", "member", (), "m1")
COUNT = "select count(*) from silver.shop_loans"


def ask(viewer: Viewer, question: str) -> object:
    with acting_as(viewer) as connection:
        return connection.execute(text(question)).scalar()


@pytest.mark.parametrize(
    ("viewer", "rows"),
    [
        (ADMIN, 100),
        (LIBRARIAN, 50),
        (Viewer("x", "librarian"), 0),
        (Viewer("x", "librarian", ("NORTH", "SOUTH")), 100),
        (MEMBER, 20),
        (Viewer("x", "member"), 0),
        (Viewer("x", "member", ("NORTH",), "m9"), 0),
    ],
)
def test_each_role_sees_its_rows(shop: Path, viewer: Viewer, rows: int) -> None:
    assert ask(viewer, COUNT) == rows


@pytest.mark.parametrize(
    "attack",
    [
        "set role {admin}",
        "set session authorization {admin}",
        "select * from private.claim_key",
        "select private.checked_claim()",
        "select * from app.accounts",
        "select * from bronze.shop_loans",
        "select * from quarantine.shop_loans",
        "select * from gold.shop_daily",
        "create function pg_temp.f() returns int language sql as 'select 1'",
        "update silver.shop_loans set member_key = 'm1'",
        "select pg_read_file('/etc/passwd')",
        "copy silver.shop_loans to program 'cat'",
    ],
)
def test_raw_sql_of_a_member_reaches_nothing_else(shop: Path, attack: str) -> None:
    statement = attack.format(admin=settings().login("admin"))
    with pytest.raises((ProgrammingError, InternalError), match=r"permission denied|read-only"):
        ask(MEMBER, statement)
    assert ask(MEMBER, COUNT) == 20


def test_turning_read_only_off_does_not_help(shop: Path) -> None:
    with engine("member").connect() as connection:
        connection.execute(text("set default_transaction_read_only = off"))
        connection.commit()
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text("delete from silver.shop_loans"))
        connection.rollback()
        connection.execute(text("reset default_transaction_read_only"))


def forged() -> list[str]:
    good = claim(MEMBER)
    body, signature = good.rsplit("|", 1)
    return [
        "",
        "|",
        body,
        good.replace("m1", "m2"),
        good.replace("|member|", "|admin|"),
        f"{body}|{'0' * 64}",
        f"{body}|{signature.upper()}",
        claim(MEMBER, now=time.time() - CLAIM_SECONDS - 1),
        claim(ADMIN),
        claim(LIBRARIAN),
    ]


@pytest.mark.parametrize("which", range(10))
def test_a_claim_that_does_not_hold_shows_no_row(shop: Path, which: int) -> None:
    with engine("member").begin() as connection:
        connection.execute(
            text("select set_config('carrel.claim', :c, true)"), {"c": forged()[which]}
        )
        assert connection.execute(text(COUNT)).scalar() == 0


def test_a_claim_ends_with_its_transaction(shop: Path) -> None:
    with engine("member").connect() as connection:
        with connection.begin():
            connection.execute(
                text("select set_config('carrel.claim', :c, true)"), {"c": claim(MEMBER)}
            )
            assert connection.execute(text(COUNT)).scalar() == 20
        with connection.begin():
            assert connection.execute(text(COUNT)).scalar() == 0


@pytest.mark.parametrize("part", ["a|admin", "m1|2"])
def test_a_separator_in_a_claim_is_refused(part: str) -> None:
    with pytest.raises(ValueError, match="separator"):
        claim(Viewer(part, "member", (), "m1"))
    with pytest.raises(ValueError, match="separator"):
        claim(Viewer("x", "librarian", ("A,B",)))


def test_pseudonyms_are_for_their_own_member_only(shop: Path) -> None:
    question = "select count(distinct member_key) from silver.shop_loans"
    assert ask(MEMBER, question) == 1
    for viewer in (ADMIN, LIBRARIAN):
        with pytest.raises(ProgrammingError, match="permission denied"):
            ask(viewer, question)


def test_gold_keeps_its_policies_through_a_swap(shop: Path) -> None:
    with connect(autocommit=True) as connection:
        for _ in range(2):
            gold.publish(connection, ["shop_daily", "shop_total"], changed={"shop_loans": None})
    assert ask(ADMIN, "select sum(loans) from gold.shop_daily") == 100
    assert ask(LIBRARIAN, "select sum(loans) from gold.shop_daily") == 50
    assert ask(MEMBER, "select sum(loans) from gold.shop_total") == 100
    with pytest.raises(ProgrammingError, match="permission denied"):
        ask(MEMBER, "select sum(loans) from gold.shop_daily")


def rules_in_database(schema: str, table: str) -> dict[str, str]:
    with connect() as connection:
        rows = connection.execute(
            "select policyname, qual from pg_policies where schemaname = %s and tablename = %s"
            " and cmd = 'SELECT' and permissive = 'PERMISSIVE'",
            [schema, table],
        )
        return dict(rows.fetchall())


def rules_in_spec(access: Access, schema: str, table: str) -> dict[str, str]:
    """The spec's rules, as PostgreSQL writes them: made on a copy and rolled back."""
    with connect() as connection:
        connection.execute(f'create table staging.probe (like {schema}."{table}")')
        for policy in policies(access, table):
            connection.execute(
                f"create policy {policy.name} on staging.probe using ({policy.using})"
            )
        rows = connection.execute(
            "select policyname, qual from pg_policies where tablename = 'probe'"
        ).fetchall()
        connection.rollback()
    return dict(rows)


def test_every_policy_in_the_database_is_the_specs(shop: Path) -> None:
    kept = {("silver", d.table): d.access for d in datasets().values()}
    kept |= {("gold", t.table): t.access for t in gold.tables().values()}
    for (schema, table), access in kept.items():
        assert rules_in_database(schema, table) == rules_in_spec(access, schema, table)


# What is told of datasets: measures, words and who did what; no row is about a person.
JUDGED = (
    "verdicts", "results", "history", "scores", "outcomes", "overrides", "lost_keys",
    "profiles", "latest_profiles", "metrics", "anomalies",
    "alerts", "alert_parts", "alert_events",
)  # fmt: skip


def test_no_table_that_viewers_may_read_is_without_row_security(shop: Path) -> None:
    logins = [settings().login(role) for role in ("admin", "librarian", "member")]
    with connect() as connection:
        open_tables = connection.execute(
            """
            select distinct c.oid::regclass::text from pg_class c
            cross join unnest(%s::text[]) as login
            where c.relkind in ('r', 'p', 'v', 'm') and not c.relrowsecurity
              and c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
              and has_any_column_privilege(login, c.oid, 'select')
            """,
            [logins],
        ).fetchall()
    facts_about_loads = {"ops.catalogue", "ops.publications", "ops.loads", "ops.steps"}
    facts_about_loads |= {"ops.failures"}
    verdicts = {f"quality.{name}" for name in JUDGED}
    # Hosts, counts and line numbers: no row is about a person.
    for_admins = {"ops.breakers", "ops.removals", "ops.replays", "ops.stream_partitions"}
    for_admins |= {f"ops.stream_{name}" for name in ("metrics", "rebuilds", "removals", "runs")}
    # Views of the own rows alone, empty without a claim: tests/bi_app/test_my_data.py.
    own = {t for (t,) in barred_views() if t == "app.own_addresses" or t.startswith("app.my_")}
    seen = {t for (t,) in open_tables}
    assert sorted(seen - facts_about_loads - verdicts - for_admins - own) == []


def barred_views() -> list[tuple[str]]:
    """Views behind whose condition no function of an asker can look."""
    with connect() as connection:
        return connection.execute(
            "select c.oid::regclass::text from pg_class c"
            " where c.relkind = 'v' and 'security_barrier=true' = any (c.reloptions)"
        ).fetchall()


def test_an_access_change_in_the_spec_takes_effect_at_migrate(shop: Path) -> None:
    from warehouse.migrate import migrate

    spec = dataset("shop_loans").path
    spec.write_text(
        spec.read_text().replace("branch: branch_code, member: member_key", "staff: true")
    )
    migrate()
    assert ask(Viewer("x", "librarian"), COUNT) == 100
    with pytest.raises(ProgrammingError, match="permission denied"):
        ask(MEMBER, COUNT)


def test_a_table_of_private_columns_only_is_closed_to_staff(shop: Path) -> None:
    rule = Access(member="member_key")
    with connect() as connection:
        connection.execute("create table staging.secret (member_key text)")
        statements = access_sql("staging", "secret", rule, ["member_key"], ["member_key"])
        connection.execute(statements.encode())
        granted = connection.execute(
            "select grantee from information_schema.column_privileges"
            " where table_name = 'secret' and privilege_type = 'SELECT' and grantee <> grantor"
        ).fetchall()
        connection.rollback()
    assert granted == [(settings().login("member"),)]


def test_a_claim_costs_no_clock_trouble() -> None:
    expiry = int(claim(ADMIN, now=dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()).split("|")[4])
    assert expiry == 1767225600 + CLAIM_SECONDS
