"""`carrel connect`: a library system fills the canonical tables, and gold says what it says."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg import sql
from sqlalchemy import make_url

from deployments.connecting import connect
from flows.run import in_order
from tasks.connect import Connection, grants
from tasks.load import load
from tests.fix_warehouse import NONE, NUMBERS, copied, forget, use
from tests.tasks import fix_evergreen, fix_koha
from tests.tasks.conftest import ask
from tests.tasks.fix_evergreen import Evergreen
from tests.tasks.fix_folio import Folio, real
from tests.tasks.fix_koha import Koha
from tests.tasks.fix_mariadb import mariadb
from tests.tasks.fix_web import Web, web
from warehouse.database import connect as database_of
from warehouse.errors import ConfigurationError, SourceUnavailable
from warehouse.settings import settings
from warehouse.spec import dataset, datasets

__all__ = ["mariadb", "web"]
Row = tuple[Any, ...]
BEFORE: set[Path] = set()
TABLES = ("branches", "members", "items", "loan_events", "holds", "fines")


@pytest.fixture
def project(database: str, tmp_path: Path, setting: Callable[..., None]) -> Path:
    """An empty project folder, and a landing folder in which no file is."""
    setting(project=tmp_path / "local", landing=tmp_path / "landing", remote_wait_s=0.01)
    return tmp_path / "local"


@contextmanager
def desk(template: str, folder: Path, **secrets: str) -> Iterator[None]:
    """A desk that several tests read and none changes: its own database and project."""
    name = f"carrel_desk_{next(NUMBERS)}"
    with copied(name, template), pytest.MonkeyPatch.context() as patch:
        patch.setenv("CARREL_PROJECT", str(folder / "local"))
        patch.setenv("CARREL_LANDING", str(folder / "landing"))
        for variable, value in secrets.items():
            patch.setenv(variable, value)
        use(name)
        yield
        use(NONE)
    forget()


def run(system: str, **options: Any) -> None:
    given = {"secret": None, "files": None, "check": False, "grants": False, "replace": False}
    connect(system, **(given | {"load": True} | options))


def everything(schemas: tuple[str, ...] = ("bronze", "silver", "quarantine", "gold")) -> str:
    """Every cell of every library table, as one text."""
    found = []
    with database_of() as connection:
        tables = connection.execute(
            "select schemaname, tablename from pg_tables"
            " where schemaname = any(%s) and tablename like 'library%%'", [list(schemas)],
        ).fetchall()  # fmt: skip
        for schema, table in tables:
            query = sql.SQL("select t::text from {} t").format(sql.Identifier(schema, table))
            found += [str(row[0]) for row in connection.execute(query)]
    return "\n".join(found)


def loads(table: str) -> Row:
    """(in, inserted, updated, deleted, quarantined) of the newest load."""
    return ask(
        "select rows_in, rows_inserted, rows_updated, coalesce(rows_deleted, 0), rows_quarantined"
        f" from ops.loads where dataset = 'library_{table}' and state = 'done'"
        " order by load_id desc limit 1"
    )[0]


def kept() -> set[Path]:
    """The files that loads have kept in this session's home."""
    folders = (settings().home / name for name in ("spool", "files", "answers", "joined"))
    return {p for folder in folders for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module", autouse=True)
def _of_others() -> None:
    """What other tests kept before is not ours: they load such files as they are."""
    BEFORE.update(kept())


def nothing_private(private: list[str]) -> None:
    text = everything().casefold()
    assert private
    assert not [p for p in private if p.casefold() in text]
    ours = kept() - BEFORE
    texts = [p.read_bytes().decode("utf-8", "replace").casefold() for p in ours]
    assert not [p for p in private if any(p.casefold() in t for t in texts)]


# Koha -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def koha_desk(
    mariadb: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Koha]:
    """A Koha, connected and loaded once, for tests that only look."""
    made = fix_koha.make(make_url(mariadb).port or 0, "koha_once")
    with desk(template, tmp_path_factory.mktemp("koha"), CARREL_SECRET_KOHA=made.url):
        run("koha")
        yield made


@pytest.fixture
def koha(mariadb: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> Koha:
    """A Koha that is not connected yet."""
    made = fix_koha.make(make_url(mariadb).port or 0, "koha_other")
    monkeypatch.setenv("CARREL_SECRET_KOHA", made.url)
    return made


def load_again() -> None:
    """Load what the system told, in order, without judging and publishing."""
    known = {d.table: d for d in datasets().values() if d.group == "library"}
    for one in in_order(known):
        if one.name != "orders":
            load(one)


KINDS = {
    "issue": "checkouts",
    "renew": "renewals",
    "return": "returns",
    "localuse": "in_house_uses",
}
EVENTS = """
select distinct if(type = 'onsite_checkout', 'localuse', type), itemnumber, datetime,
    if(branch in ('CPL', 'FFL', 'MPL'), branch, (select homebranch from (
        select itemnumber, homebranch from items union all
        select itemnumber, homebranch from deleteditems) i where i.itemnumber = s.itemnumber))
from statistics s
where type in ('issue', 'renew', 'return', 'localuse', 'onsite_checkout')
    and year(datetime) > 0 and itemnumber is not null
"""


def test_koha_gold_says_what_koha_says(koha_desk: Koha) -> None:
    events = koha_desk.ask(EVENTS)
    told = Counter((b, t.date(), KINDS[k]) for k, _, t, b in events)
    columns = ", ".join(KINDS.values())
    stands = {
        (branch, day, name): count
        for branch, day, *counts in ask(
            f"select branch_code, day, {columns} from"
            " (select branch_code, day, sum(checkouts) checkouts, sum(renewals) renewals,"
            " sum(returns) returns, sum(in_house_uses) in_house_uses"
            " from gold.library_circulation group by 1, 2) c"
        )
        for name, count in zip(KINDS.values(), counts, strict=True)
        if count
    }
    assert stands == told
    assert sum(told.values()) > 2000
    newest = max(t for _, _, t, _ in events).date()
    lent = Counter(i for k, i, t, _ in events
                   if k == "issue" and t.date() > newest - dt.timedelta(days=365))  # fmt: skip
    used = ask("select item_code, checkouts_365_days from gold.library_item_use")
    assert {int(i): n for i, n in used if n} == lent
    assert len(used) == 600


def test_koha_stock_people_holds_and_fines(koha_desk: Koha) -> None:
    (held,) = koha_desk.ask("select count(*) from items where withdrawn = 0 and itemlost = 0")[0]
    assert ask("select count(*) from gold.library_item_use where is_held") == [(held,)]
    assert ask("select sum(holdings) from gold.library_collection_use") == [(held,)]
    (people,) = koha_desk.ask("select count(*) from borrowers where categorycode <> 'SX'")[0]
    assert ask("select count(*), count(distinct member_key) from silver.library_members") == [
        (people, people)
    ]
    assert dict(ask("select member_type, count(*) from silver.library_members group by 1")) == dict(
        koha_desk.ask(
            "select case categorycode when 'K' then 'junior' when 'IL' then 'institution' when 'ST'"
            " then 'student' else if(year(dateofbirth) > 0 and date_add(dateofbirth,"
            " interval 65 year) <= current_date, 'senior', 'adult') end, count(*)"
            " from borrowers where categorycode <> 'SX' group by 1"
        )
    )
    assert dict(ask("select kind, sum(amount)::float from silver.library_fines group by 1")) == {
        kind: float(total)
        for kind, total in koha_desk.ask(
            "select case when debit_type_code in ('OVERDUE', 'LOST') then 'charged'"
            " when credit_type_code = 'PAYMENT' then 'paid' else 'waived' end, sum(abs(amount))"
            " from accountlines a where (debit_type_code in ('OVERDUE', 'LOST') or"
            " (credit_type_code is not null and status is null)) and not (a.branchcode is null"
            " and a.itemnumber is null and coalesce((select branchcode from borrowers b"
            " where b.borrowernumber = a.borrowernumber), '') = '') group by 1"
        )
    }
    assert ask("select rule, column_name from quarantine.library_fines") == [
        ("required", "branch_code")
    ]
    assert (
        dict(ask("select status, count(*) from silver.library_holds group by 1"))["on_shelf"]
        == (koha_desk.ask("select count(*) from reserves where found = 'W'")[0][0])
    )
    assert loads("holds")[0] == loads("holds")[1] == 400
    titles = ask("select title, dewey, dewey_class, isbn from silver.library_items")
    assert any("\U0001f600" in row[0] for row in titles)
    assert {row[0] for row in titles} >= {"日本の庭", "Die Spatzenfänger", "[untitled]"}
    assert {row[3] for row in titles} == {"9780140449136", None}
    assert not [row for row in titles if row[1] and not row[1][:3].isdigit()]
    assert ("398.2", 300) in {(row[1], row[2]) for row in titles}


def test_koha_loses_nothing_and_tells_nobody(koha_desk: Koha) -> None:
    rules = ask(
        "select rule, column_name, count(*) from quarantine.library_loan_events group by 1, 2"
    )
    assert sorted(rules) == [
        ("required", "item_code", 1), ("required", "occurred_at", 1), ("type", "occurred_at", 1)
    ]  # fmt: skip
    (distinct,) = koha_desk.ask(
        "select count(*) from (select distinct if(type = 'onsite_checkout', 'localuse', type),"
        " itemnumber, datetime from statistics where type <> 'payment') e"
    )[0]
    assert loads("loan_events")[0] == distinct
    assert loads("loan_events")[4] == 3
    people = str(koha_desk.ask("select * from borrowers"))
    assert not [mark for mark in fix_koha.PRIVATE if mark not in people]
    nothing_private(fix_koha.PRIVATE)
    assert set(ask("select distinct source_code from silver.library_loan_events")) == {("koha",)}
    assert not ask("select 1 from silver.library_loan_events where member_key !~ '^[0-9a-f]{32}$'")


def test_koha_loans_hang_together(koha_desk: Koha) -> None:
    running = koha_desk.ask("select issue_id, itemnumber, date(date_due) from issues")
    shown = ask(
        "select loan_id::int, min(item_code)::int, max(due_on) filter (where kind = 'checkout')"
        " from silver.library_loan_events where loan_id is not null"
        " group by loan_id having count(*) filter (where kind = 'return') = 0"
        " and loan_id ~ '^[0-9]+$'"
    )
    assert sorted(shown) == sorted(running)
    returned = koha_desk.ask(
        "select issue_id, returndate from old_issues where itemnumber is not null"
    )
    assert sorted(
        (int(loan), at) for loan, at in
        ask("select loan_id, occurred_at from silver.library_loan_events where kind = 'return'"
            " and loan_id is not null")
    ) == sorted(returned)  # fmt: skip


def test_a_second_run_loads_the_changes_alone(koha: Koha) -> None:
    run("koha", load=False)
    load_again()
    before = ask("select count(*) from silver.library_loan_events")[0][0]
    load_again()
    assert ask("select state from ops.loads where dataset = 'library_items' order by load_id") == [
        ("done",), ("unchanged",)
    ]  # fmt: skip
    koha.run(
        "insert into statistics (datetime, branch, type, itemnumber, borrowernumber)"
        " values (now() - interval 5 minute, 'FFL', 'issue', 1, 2)",
        "insert into issues (issue_id, borrowernumber, itemnumber, issuedate, date_due)"
        " values (99999, 2, 1, now() - interval 5 minute, now() + interval 21 day)",
        "update items set itemlost = 1, itemlost_on = now() where itemnumber = 2",
        "delete from borrowers where borrowernumber = 3",
        "update reserves set branchcode = 'FFL' where reserve_id = 5",
    )
    load_again()
    rows_in, inserted, updated, deleted, _ = loads("loan_events")
    assert (inserted, updated, deleted) == (1, 0, 0)
    assert rows_in < before / 10  # the overlap, not two years
    assert loads("items")[1:4] == (0, 1, 0)
    assert loads("members")[1:4] == (0, 0, 1)
    assert loads("holds")[1:4] == (0, 1, 0)
    assert ask("select count(*) from silver.library_loan_events") == [(before + 1,)]
    assert ask("select loan_id, due_on > current_date from silver.library_loan_events"
               " where occurred_at > localtimestamp - interval '1 day'"
               " or loan_id = '99999'")[-1] == ("99999", True)  # fmt: skip


def test_an_event_far_ahead_does_not_stop_the_reading(koha: Koha) -> None:
    koha.run("insert into statistics (datetime, branch, type, itemnumber, borrowernumber)"
             " values ('2099-01-01', 'FFL', 'return', 1, 2)")  # fmt: skip
    run("koha", load=False)
    load(dataset("library_loan_events"))
    koha.run("insert into statistics (datetime, branch, type, itemnumber, borrowernumber)"
             " values (now() - interval 5 minute, 'FFL', 'issue', 1, 2)")  # fmt: skip
    (loaded,) = load(dataset("library_loan_events"))
    assert loaded.inserted == 1


def test_the_sample_is_not_counted_too(koha: Koha, project: Path) -> None:
    with database_of() as connection:
        connection.execute(
            "insert into silver.library_branches (source_code, branch_code, name, _load_id)"
            " values ('sample', 'CEN', 'Central', 1)"
        )
    with pytest.raises(ConfigurationError, match=r"1 in library_branches \(sample\)") as refused:
        run("koha")
    assert "--replace" in str(refused.value.remedy)
    assert not project.exists()
    run("koha", replace=True)
    assert {c for (c,) in ask("select source_code from silver.library_branches")} == {"koha"}


def test_what_is_missing_is_said(koha: Koha, project: Path) -> None:
    koha.run("alter table statistics drop column branch", "drop table deleteditems")
    with pytest.raises(ConfigurationError) as refused:
        run("koha")
    assert "statistics (branch)" in str(refused.value)
    assert "deleteditems (the whole table)" in str(refused.value)
    assert not project.exists()


def test_the_server_is_not_there(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "mysql://a:hush@127.0.0.1:1/koha"  # pragma: allowlist secret
    monkeypatch.setenv("CARREL_SECRET_KOHA", url)
    with pytest.raises(SourceUnavailable) as refused:
        run("koha")
    assert "hush" not in str(refused.value)
    monkeypatch.setenv("CARREL_SECRET_KOHA", url.replace("mysql", "postgresql"))
    with pytest.raises(ConfigurationError, match="no URL of Koha"):
        run("koha")
    with pytest.raises(ConfigurationError, match="evergreen, folio, koha"):
        run("aleph")


def test_a_changed_source_is_kept(koha: Koha, project: Path, capsys: Any) -> None:
    run("koha", load=False)
    path = project / "sources" / "library" / "branches.yml"
    path.write_text(path.read_text().replace("b.branchname", "upper(b.branchname)"))
    run("koha")
    assert f"{path}: differs" in capsys.readouterr().out
    assert ("CPL LIBRARY",) in ask("select name from silver.library_branches")


# Evergreen --------------------------------------------------------------------------------------


@contextmanager
def other_database() -> Iterator[str]:
    """URL of an empty database in the tests' PostgreSQL."""
    name = f"other_{next(NUMBERS)}"
    with copied(name, "template1"):
        url = settings().url().set(database=name, drivername="postgresql")
        yield url.render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def evergreen_desk(template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evergreen]:
    """An Evergreen, connected and loaded once by a user with the printed rights alone."""
    with other_database() as url:
        made = fix_evergreen.make(url)
        with reader(made) as reading:
            folder = tmp_path_factory.mktemp("evergreen")
            with desk(template, folder, CARREL_SECRET_EVERGREEN=reading):
                run("evergreen")
                yield made


@contextmanager
def reader(evergreen: Evergreen) -> Iterator[str]:
    """URL of a user who has what `--grants` prints and no more."""
    role = f"carrel_reads_{next(NUMBERS)}"
    printed = grants(Connection("evergreen", "evergreen"))
    rights = [line.replace(" to carrel;", f" to {role};") for line in printed]
    evergreen.run(f"create role {role} login password 'reading'", *rights)
    url = make_url(evergreen.url).set(username=role, password="reading")
    try:
        yield url.render_as_string(hide_password=False)
    finally:
        evergreen.run(f"grant {role} to current_user", f"drop owned by {role}", f"drop role {role}")


@pytest.fixture
def evergreen(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Evergreen]:
    """An Evergreen that is not connected yet."""
    with other_database() as url:
        monkeypatch.setenv("CARREL_SECRET_EVERGREEN", url)
        yield fix_evergreen.make(url)


LONDON = "at time zone 'Europe/London'"
CIRC = """
select id, target_copy, circ_lib, checkin_lib, xact_start, checkin_time, stop_fines, parent_circ
from action.circulation
union all
select id, target_copy, circ_lib, checkin_lib, xact_start, checkin_time, stop_fines, parent_circ
from action.aged_circulation
"""


def test_evergreen_gold_says_what_evergreen_says(evergreen_desk: Evergreen) -> None:
    told = {
        tuple(row[:3]): row[3]
        for row in evergreen_desk.ask(
            f"""with circ as ({CIRC}), events as (
            select circ_lib as lib, xact_start as at,
                case when parent_circ is null then 'checkouts' else 'renewals' end as kind
            from circ
            union all select checkin_lib, checkin_time, 'returns' from circ
            where checkin_time is not null and stop_fines = 'CHECKIN'
            union all select org_unit, use_time, 'in_house_uses' from action.in_house_use)
            select shortname, (at {LONDON})::date, kind, count(*)
            from events join actor.org_unit o on o.id = lib group by 1, 2, 3"""
        )
    }
    stands = {
        (branch, day, name): count
        for branch, day, *counts in ask(
            "select branch_code, day, sum(checkouts), sum(renewals), sum(returns),"
            " sum(in_house_uses) from gold.library_circulation group by 1, 2"
        )
        for name, count in zip(KINDS.values(), counts, strict=True)
        if count
    }
    assert stands == told
    assert sum(told.values()) > 2000
    assert {k for _, _, k in told} == set(KINDS.values())


def test_evergreen_stock_people_holds_and_fines(evergreen_desk: Evergreen) -> None:
    held = evergreen_desk.ask(
        "select count(*) from asset.copy where not deleted and status not in (3, 13)"
    )
    assert ask("select count(*) from gold.library_item_use where is_held") == held
    assert ask("select count(*) from silver.library_members") == evergreen_desk.ask(
        "select count(*) from actor.usr where not deleted"
    )
    assert sorted(ask("select kind, sum(amount) from silver.library_fines group by 1")) == (
        evergreen_desk.ask(
            "select 'charged', sum(amount) from money.billing where not voided and amount > 0"
            " union all select 'paid', sum(amount) from money.cash_payment where not voided"
            " union all select 'waived', (select sum(amount) from money.payment where not voided)"
            " - (select sum(amount) from money.cash_payment where not voided)"
            " + (select -sum(amount) from money.billing where not voided and amount < 0)"
        )
    )
    assert sorted(ask("select status, count(*) from silver.library_holds group by 1")) == (
        evergreen_desk.ask(
            "select case when fulfillment_time is not null then 'collected' when cancel_cause = 2"
            " then 'expired' when cancel_time is not null then 'cancelled' when shelf_time is not"
            " null then 'on_shelf' else 'waiting' end, count(*) from action.hold_request"
            " group by 1 order by 1"
        )
    )
    assert not ask("select 1 from silver.library_holds where title_code = 'UNKNOWN'"
                   " and hold_id::int % 4 = 0")  # fmt: skip
    consent = dt.date(2025, 2, 3)
    assert ask("select count(*) from silver.library_members where history_consent_on is not null"
               f" and history_consent_on = '{consent}'") == [(38,)]  # fmt: skip
    for table in TABLES:
        assert loads(table)[4] == 0


def test_evergreen_tells_nobody_and_keeps_chains(evergreen_desk: Evergreen) -> None:
    people = str(evergreen_desk.ask("select * from actor.usr, actor.card c, actor.usr_address a,"
                                    " action.hold_request where c.usr = usr.id and a.id = c.id"
                                    " and action.hold_request.id = 3"))  # fmt: skip
    assert not [mark for mark in fix_evergreen.PRIVATE if mark not in people]
    nothing_private(fix_evergreen.PRIVATE)
    chains = Counter(n for (n,) in evergreen_desk.ask(
        f"""with recursive circ as ({CIRC}), chain as (
        select id, id as first from circ where parent_circ is null
        union all select c.id, chain.first from circ c join chain on c.parent_circ = chain.id)
        select count(*) from chain group by first"""
    ))  # fmt: skip
    assert chains == Counter(
        n for (n,) in ask("select count(*) from silver.library_loan_events where kind in"
                          " ('checkout', 'renewal') group by loan_id")
    )  # fmt: skip


def test_a_second_run_of_evergreen_loads_the_changes_alone(evergreen: Evergreen) -> None:
    run("evergreen", load=False)
    load_again()
    before = ask("select count(*) from silver.library_loan_events")[0][0]
    ((open_one, copy),) = evergreen.ask(
        "select id, target_copy from action.circulation where checkin_time is null limit 1"
    )
    evergreen.run(
        # returned now, as if a month ago; lent offline a month ago, told now
        "update action.circulation set checkin_time = now() - interval '30 days', checkin_lib = 4,"
        f" checkin_scan_time = now(), stop_fines = 'CHECKIN' where id = {open_one}",
        "insert into action.circulation (id, usr, target_copy, circ_lib, xact_start, due_date)"
        f" values (99999, 3, {copy}, 5, now() - interval '30 days', now() + interval '3 days')",
        "update asset.copy set status = 3, status_changed_time = now() where id = 1",
        "update actor.usr set deleted = true where id = 3",
    )
    load_again()
    assert loads("loan_events")[1:4] == (2, 0, 0)
    assert loads("loan_events")[0] < before / 10
    assert loads("items")[1:4] == (0, 1, 0)
    assert loads("members")[1:4] == (0, 0, 1)


def test_rights_that_lack_are_said(evergreen: Evergreen, monkeypatch: pytest.MonkeyPatch) -> None:
    with reader(evergreen) as url:
        monkeypatch.setenv("CARREL_SECRET_EVERGREEN", url)
        run("evergreen", check=True)
        evergreen.run(f"revoke select (dob) on actor.usr from {make_url(url).username}")
        with pytest.raises(
            ConfigurationError, match=r"not to be read by this user: actor.usr \(dob"
        ):
            run("evergreen", check=True)


# FOLIO ------------------------------------------------------------------------------------------


@pytest.fixture
def folio(web: Web, shared: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Folio:
    """A FOLIO on loopback that serves the real records; not connected yet."""
    made = Folio(web, shared / "systems" / "folio")
    monkeypatch.setenv("CARREL_SECRET_FOLIO", made.url)
    return made


def local(text: str) -> dt.datetime:
    """The London time of an instant, without its zone."""
    at = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return at.astimezone(ZoneInfo("Europe/London")).replace(tzinfo=None)


def persons(shared: Path) -> list[str]:
    """What the real records tell of people: names, e-mail addresses, barcodes, telephones."""
    found = set()
    for user in real(shared / "systems" / "folio", "users"):
        person = user["personal"]
        found |= {person["lastName"], person.get("email"), person.get("phone"), user["barcode"],
                  *(a.get("addressLine1") for a in person.get("addresses", []))}  # fmt: skip
    return [p for p in found if p and len(p) > 8]


def test_folio_gold_says_what_folio_says(folio: Folio, shared: Path) -> None:
    run("folio")
    lists = folio.lists
    told = Counter((local(loan["loanDate"]).date(), "checkouts") for loan in lists["loans"])
    told += Counter((local(loan["returnDate"]).date(), "returns")
                    for loan in lists["loans"] if loan.get("returnDate"))  # fmt: skip
    told += Counter(
        (local(entry["createdDate"]).date(), "renewals")
        for entry in lists["history"]
        if entry["loan"]["action"] == "renewed"
    )
    told += Counter(
        (local(seen["occurredDateTime"]).date(), "in_house_uses")
        for seen in lists["checkins"]
        if seen["itemStatusPriorToCheckIn"] == "Available"
    )
    stands = {
        (day, name): count
        for day, *counts in ask(
            "select day, sum(checkouts), sum(renewals), sum(returns), sum(in_house_uses)"
            " from gold.library_circulation group by 1"
        )
        for name, count in zip(KINDS.values(), counts, strict=True)
        if count
    }
    assert stands == told
    assert sum(told.values()) > 500
    assert ask("select distinct branch_code from gold.library_circulation") == [("DI",)]
    assert ask("select count(*) from gold.library_item_use where is_held") == [(25,)]
    real_users = [u for u in lists["users"] if u.get("type", "patron") in ("patron", "staff")]
    assert ask("select count(*) from silver.library_members") == [(len(real_users),)]
    fees = len(lists["accounts"])
    assert sorted(ask("select kind, sum(amount)::float from silver.library_fines group by 1")) == [
        ("charged", pytest.approx(2.35 * fees)), ("paid", pytest.approx(fees)),
        ("waived", pytest.approx(1.35 * fees)),
    ]  # fmt: skip
    assert len(ask("select 1 from silver.library_holds")) == len(lists["requests"]) > 10
    for table in TABLES:
        assert loads(table)[4] == 0
    assert ask("select title, author, isbn from silver.library_items where title = 'Nod'") == [
        ("Nod", "Barnes, Adrian", "9780956687692")
    ]
    nothing_private([*persons(shared), "Jewess"])


def test_folio_is_read_again_and_pages_are_asked(folio: Folio, web: Web) -> None:
    run("folio", load=False)
    load_again()
    pages = [a.params["offset"] for a in web.of("/users") if "offset" in a.params]
    assert pages[-4:] == ["100", "200", "300", "303"]
    loan = folio.lists["loans"].pop()
    folio.lists["loans"].append(loan | {"id": "0" * 8 + loan["id"][8:], "returnDate": None})
    folio.lists["users"].pop(0)
    load_again()
    assert loads("loan_events")[1:4] == (1, 0, 0)
    assert loads("members")[1:4] == (0, 0, 1)
    assert not list((settings().home / "joined").rglob("*.duckdb"))


def test_an_older_folio_signs_in_too(web: Web, folio: Folio, shared: Path) -> None:
    web.pages.clear()
    Folio(web, shared / "systems" / "folio", old=True)
    run("folio", check=True)
    assert len(web.of("/authn/login-with-expiry")) >= 1


def test_folio_refuses_and_is_quoted_without_the_password(
    folio: Folio, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARREL_SECRET_FOLIO", folio.url.replace("p%40ss", "wr%40ng"))
    with pytest.raises(SourceUnavailable, match="answered 422") as refused:
        run("folio")
    assert "wr@ng" not in str(refused.value) + str(refused.value.remedy)
    monkeypatch.setenv("CARREL_SECRET_FOLIO", folio.url.removesuffix("/diku"))
    with pytest.raises(ConfigurationError, match="no host and tenant"):
        run("folio")
    monkeypatch.setenv("CARREL_SECRET_FOLIO", folio.url)
    folio.web.pages["/loan-storage/loans"] = lambda _: (403, {}, b"")
    with pytest.raises(SourceUnavailable, match="/loan-storage/loans: answered 403"):
        run("folio")
    assert not project.exists()


def test_folio_of_files(project: Path, shared: Path) -> None:
    run("folio", files=shared / "systems" / "folio")
    assert ask("select kind, count(*), max(occurred_at) from silver.library_loan_events"
               " group by 1 order by 1") == [
        ("checkout", 5, dt.datetime(2017, 3, 5, 18, 32, 31)),
        ("return", 1, dt.datetime(2017, 3, 1, 11, 35, 12)),
    ]  # fmt: skip
    assert ask("select sum(checkouts), sum(returns) from gold.library_circulation") == [(5, 1)]
    assert ask("select count(*), count(distinct member_key) from silver.library_members") == [
        (len(real(shared / "systems" / "folio", "users")),) * 2
    ]
    assert ask("select count(*) from gold.library_titles") == [
        (len({h["instanceId"] for h in real(shared / "systems" / "folio", "holdings")
              if h["id"] in {i["holdingsRecordId"] for i in
                             real(shared / "systems" / "folio", "items")}}),)
    ]  # fmt: skip
    nothing_private(persons(shared))


def test_files_are_for_folio_alone(koha: Koha, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="read from its database"):
        run("koha", files=tmp_path)
    with pytest.raises(SourceUnavailable, match="no file at"):
        run("folio", files=tmp_path)
