"""The audit log: written by every door, only ever added to, and any change of it is found."""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tests.tasks.fix_kill import killed, started
from warehouse import audit, audit_chain
from warehouse.access import Viewer, acting_as
from warehouse.audit_chain import Wanted, cut, entries, verify
from warehouse.database import connect, engine
from warehouse.errors import CarrelError
from warehouse.settings import settings as carrel

ANN = audit.By("ann@example.org", "page", "admin", "192.0.2.7")
ADMIN = Viewer("ann@example.org", "admin")
LENGTH = 12
ADD = "from warehouse import audit\nby = audit.By('a@example.org', 'cli')\n"


@pytest.fixture
def log(database: str) -> Iterator[None]:
    """An empty log, and no heads at home."""
    audit.heads_file().unlink(missing_ok=True)
    engine("app")  # made once, not by several threads at once
    yield
    assert audit.LATE.flush()
    audit.heads_file().unlink(missing_ok=True)


def last() -> dict[str, Any]:
    return next(entries(Wanted(), newest=1))


def test_an_entry_says_who_what_and_from_where(log: None) -> None:
    assert verify().entries == 0
    before = dt.datetime.now(dt.UTC)
    number = audit.note(ANN, "export", "gold.loans_daily", rows=120, kinds=["csv"])
    entry = last()
    assert entry["entry_id"] == number == 1
    assert (entry["who"], entry["role"], entry["address"]) == (ANN.who, "admin", ANN.address)
    assert (entry["door"], entry["act"], entry["outcome"]) == ("page", "export", "done")
    assert entry["details"] == {"rows": 120, "kinds": ["csv"]}
    assert before <= entry["at"] <= entry["noted_at"] <= dt.datetime.now(dt.UTC)
    assert entry["previous"] == audit_chain.ZERO
    assert entry["login"] == carrel().login("app")
    found = verify()
    assert (found.unbroken, found.entries, found.signed_to) == (True, 1, 1)


def test_no_line_can_be_forged_and_no_address_is_kept(log: None) -> None:
    nasty = "x\n2026-01-01 root did it\r\x1b[2J\u202e\u2028\x00\ud800"
    audit.note(audit.By(nasty, "page", address=nasty), "view", nasty, what=nasty, to="bo@b.example")
    entry = last()
    texts = (entry["who"], entry["address"], entry["subject"], entry["details"]["what"])
    assert all(t.isprintable() and r"\u000a" in t and r"\u202e" in t for t in texts)
    assert entry["details"]["to"] == "(e-mail)"
    audit.note(ANN, "change", "account of bo@b.example <bo@b.example>")
    assert last()["subject"] == "account of (e-mail) <(e-mail)>"
    assert verify().unbroken


def test_what_a_stranger_types_is_kept_only_if_it_is_an_account(log: None) -> None:
    typed = audit.By("my secret passphrase", "page", claimed=True)
    audit.note(typed, "sign_in", outcome="refused")
    assert last()["who"] == "(no account)"
    with connect() as db:
        db.execute(
            "insert into app.accounts (email, name, role, password_hash)"
            " values ('Ann@example.org', 'Ann', 'admin', 'x')"
        )
    audit.note(audit.By("ann@EXAMPLE.org", "page", claimed=True), "sign_in", outcome="refused")
    assert last()["who"] == "ann@EXAMPLE.org"


def test_an_act_is_begun_then_done_or_failed(log: None) -> None:
    with audit.acting(ANN, "export", "t", kind="csv") as facts:
        facts["rows"] = 3
    with pytest.raises(ZeroDivisionError), audit.acting(ANN, "export", "t"):
        _ = 1 / 0
    told = [(e["outcome"], e["details"]) for e in entries(Wanted())]
    assert told == [
        ("begun", {"kind": "csv"}),
        ("done", {"begun": 1, "kind": "csv", "rows": 3}),
        ("begun", {}),
        ("failed", {"begun": 3, "error": "ZeroDivisionError"}),
    ]


def test_entry_and_act_stand_or_fall_together(log: None) -> None:
    def undone() -> None:
        with acting_as(ADMIN, writes=True) as connection:
            audit.note(ANN, "change", on=connection)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        undone()
    assert verify().entries == 0
    with acting_as(ADMIN, writes=True) as connection:
        audit.note(ANN, "change", on=connection)
    assert verify().entries == 1


def test_a_viewers_login_speaks_for_that_viewer_only(log: None) -> None:
    with acting_as(Viewer("mo@example.org", "member", (), "m1"), writes=True) as connection:
        audit.note(ANN, "change", on=connection)
    assert (last()["who"], last()["role"]) == ("mo@example.org", "member")
    with engine("member").begin() as connection:
        connection.execute(text("set transaction read write"))
        with pytest.raises(CarrelError, match="claim"):
            audit.note(ANN, "change", on=connection)


@pytest.mark.parametrize("login", ["app", "admin", "librarian", "member"])
@pytest.mark.parametrize(
    "attack",
    [
        "update audit.entries set who = 'nobody'",
        "delete from audit.entries",
        "truncate audit.entries",
        "update audit.chain set entry_id = 0",
        "delete from audit.heads",
        "insert into audit.entries select * from audit.entries",
        "alter table audit.entries disable trigger all",
    ],
)
def test_no_login_changes_the_log(scratch: str, login: str, attack: str) -> None:
    from tests.fix_warehouse import NONE, use

    use(scratch)
    with engine(login).connect() as connection:
        connection.execute(text("set transaction read write"))
        connection.execute(text("set local carrel.audit_cut = 'on'"))
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
            connection.execute(text(attack))
    use(NONE)


def test_the_owner_is_told_off_too(connection: psycopg.Connection[Any]) -> None:
    for table in ("entries", "heads", "anchors"):
        with pytest.raises(psycopg.Error, match="only ever added"), connection.transaction():
            connection.execute(f"truncate audit.{table}")  # type: ignore[arg-type]


def test_admins_alone_read_it(log: None) -> None:
    audit.note(ANN, "view", "/overview")
    count = text("select count(*) from audit.entries")
    with acting_as(ADMIN) as connection:
        assert connection.execute(count).scalar() == 1
    with engine("admin").connect() as connection:  # without a claim
        assert connection.execute(count).scalar() == 0
    for role in ("librarian", "member"):
        with acting_as(Viewer("x", role)) as connection, pytest.raises(ProgrammingError):  # type: ignore[arg-type]
            connection.execute(count)


# Tampering ---------------------------------------------------------------------------------------


@pytest.fixture
def chained(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """A chain of twelve entries, every fourth signed, in a transaction that is rolled back."""
    audit.heads_file().unlink(missing_ok=True)
    for number in range(1, LENGTH + 1):
        notes = json.dumps([{"who": f"p{number}", "door": "cli", "act": "view",
                             "subject": "a" * number, "details": {"n": number}}])  # fmt: skip
        row = connection.execute("select * from audit.append(%s::jsonb)", [notes]).fetchone()
        if number % 4 == 0 and row:
            now = dt.datetime.now(dt.UTC)
            mac = audit.signature("head", row[0], row[1].hex(), audit.stamp(now))
            connection.execute(
                "select audit.sign(%s, %s, %s, %s, %s)",
                [row[0], row[1], now, audit.key_print(), mac],
            )
    for table in ("entries", "heads", "anchors"):
        connection.execute(f"alter table audit.{table} disable trigger user")  # type: ignore[arg-type]
    assert verify(connection).unbroken
    return connection


NUMBER = st.integers(1, LENGTH)
FIELDS = {
    "at": "at + interval '1 microsecond'",
    "noted_at": "noted_at - interval '1 hour'",
    "who": "who || 'x'",
    "role": "'admin'",
    "address": "'192.0.2.1'",
    "door": "'page'",
    "act": "'change'",
    "subject": "substr(subject, 2)",
    "outcome": "'failed'",
    "details": "details || '{\"n\": 0}'",
    "login": "'nobody'",
    "previous": "hash",
    "hash": "sha256(hash)",
}
CHANGES = st.one_of(
    st.builds(
        lambda n, f: f"update audit.entries set {f} = {FIELDS[f]} where entry_id = {n}",
        NUMBER,
        st.sampled_from(sorted(FIELDS)),
    ),
    st.builds(lambda n: f"delete from audit.entries where entry_id = {n}", NUMBER),
    st.builds(lambda n: f"delete from audit.entries where entry_id >= {n}", NUMBER),
    st.builds(lambda n: f"delete from audit.entries where entry_id <= {n}", NUMBER),
    st.builds(
        lambda n, to: "insert into audit.entries select (jsonb_populate_record(e,"
        f" jsonb_build_object('entry_id', {to}))).* from audit.entries e where entry_id = {n}",
        NUMBER,
        st.integers(LENGTH + 1, LENGTH + 3) | st.integers(-2, 0),
    ),
    st.tuples(NUMBER, NUMBER).filter(lambda p: p[0] != p[1]).map(
        lambda p: f"update audit.entries set entry_id = -entry_id where entry_id in {p};"
        f"update audit.entries set entry_id = {p[0] + p[1]} + entry_id where entry_id < 0"
    ),
    # Written anew from an entry on, hashes and all, by who has the database but not the key.
    st.integers(1, LENGTH).map(lambda n: f"REWRITE {n}"),
)  # fmt: skip
REWRITE = """
do $$ declare e audit.entries; before bytea; begin
    select previous into before from audit.entries where entry_id = {0};
    for e in select * from audit.entries where entry_id >= {0} order by entry_id loop
        e.who := 'nobody'; e.previous := before; e.hash := sha256(audit.canonical(e));
        before := e.hash;
        update audit.entries set who = e.who, previous = e.previous, hash = e.hash
        where entry_id = e.entry_id;
    end loop;
    update audit.chain set hash = before;
    {1}
end $$
"""


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(change=CHANGES)
def test_any_single_change_is_found(chained: psycopg.Connection[Any], change: str) -> None:
    if change.startswith("REWRITE"):
        change = REWRITE.format(change.split()[1], "")
    with chained.transaction(force_rollback=True):
        chained.execute(change)  # type: ignore[arg-type]
        assert not verify(chained).unbroken, change
    assert verify(chained).unbroken


def test_a_log_written_anew_without_its_signatures_is_found(
    chained: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    chained.execute(REWRITE.format(1, "delete from audit.heads;"))  # type: ignore[arg-type]
    assert verify(chained).unbroken  # so short a log need not have been signed yet
    monkeypatch.setattr(audit_chain, "MOST_UNSIGNED", LENGTH - 1)
    assert "not signed" in (verify(chained).fault or "")


def test_signatures_of_another_key_are_found(
    chained: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_key", lambda: b"another key")
    assert "another key" in (verify(chained).fault or "")


def test_the_file_at_home_tells_of_what_the_database_lost(log: None) -> None:
    for _ in range(3):
        audit.note(ANN, "view")
    assert audit.heads_file().stat().st_mode & 0o077 == 0
    with connect() as db:  # back to the first entry, everything consistent but for the file
        for table in ("entries", "heads"):
            db.execute(f"alter table audit.{table} disable trigger user")  # type: ignore[arg-type]
            db.execute(f"delete from audit.{table} where entry_id > 1")  # type: ignore[arg-type]
        db.execute(
            "update audit.chain c set entry_id = 1, signed_id = 1, hash = e.hash"
            " from audit.entries e"
        )
    assert verify().fault == "entry 2 was signed, but is missing"
    audit_chain.take_over()  # what `carrel restore` does
    assert verify().unbroken


def test_a_log_restored_beside_another_key_is_vouched_for_by_it(
    log: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        audit.note(ANN, "view")
    monkeypatch.setattr(audit, "_key", lambda: b"the key of another home")
    assert not verify().unbroken
    audit_chain.take_over()
    assert verify().unbroken
    audit.note(ANN, "view")
    assert verify().signed_to == 4
    with connect() as db:
        db.execute("alter table audit.entries disable trigger user")
        db.execute("update audit.entries set who = 'x' where entry_id = 2")
    assert verify().fault == "entry 2 was changed"


# Retention ---------------------------------------------------------------------------------------


def test_retention_takes_the_oldest_and_leaves_what_verifies(log: None) -> None:
    for _ in range(4):
        audit.note(ANN, "view")
    moment = last()["noted_at"]
    audit.note(ANN, "view")
    assert cut(moment) == 3
    assert cut(moment) == 0
    found = verify()
    assert (found.unbroken, found.entries, found.last) == (True, 2, 5)
    assert len(audit.heads_file().read_text().splitlines()) == 2
    with connect() as db:
        db.execute("alter table audit.anchors disable trigger user")
        db.execute("update audit.anchors set entry_id = 4")
    assert not verify().unbroken


def test_retention_keeps_the_newest_and_never_cuts_what_is_broken(log: None) -> None:
    audit.note(ANN, "view")
    audit.note(ANN, "view")
    assert cut(dt.datetime.now(dt.UTC) + dt.timedelta(days=1)) == 1
    audit.note(ANN, "view")
    assert verify().entries == 2
    with connect() as db:
        db.execute("alter table audit.entries disable trigger user")
        db.execute("update audit.entries set who = 'x' where entry_id = 3")
    with pytest.raises(CarrelError, match="entry 3 was changed"):
        cut(dt.datetime.now(dt.UTC) + dt.timedelta(days=1))


# Many at once, and kills -------------------------------------------------------------------------


def test_writers_at_once_make_one_chain(log: None) -> None:
    def write(number: int) -> None:
        for turn in range(10):
            audit.note(ANN, "change", f"{number}", n=turn)
            audit.note_late(ANN, "view", f"{number}", n=turn)

    writers = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert audit.LATE.flush()
    found = verify()
    assert (found.unbroken, found.entries) == (True, 120)
    late = list(entries(Wanted(act="view")))
    assert {(e["subject"], e["details"]["n"]) for e in late} == {
        (str(n), turn) for n in range(6) for turn in range(10)
    }
    assert all(e["at"] <= e["noted_at"] for e in late)


def test_a_kill_amid_entries_leaves_a_whole_chain(log: None) -> None:
    code = ADD + "for n in range(9): audit.note(by, 'change', n=n)"
    assert killed(("warehouse.audit", "keep_outside", 5), code)
    assert verify().entries == 5
    assert killed(("warehouse.audit", "signature", 3), code)  # amid the transaction
    assert verify().unbroken
    audit.note(ANN, "view")
    assert verify().unbroken


def test_a_kill_at_any_time_leaves_a_whole_chain(log: None) -> None:
    code = ADD + "while True: audit.note(by, 'change'); audit.note_late(by, 'view')"
    with started(("", "", 0), code) as running:
        while verify().entries < 20:
            assert running.poll() is None
        running.kill()
    found = verify()
    assert found.unbroken
    assert audit.note(ANN, "view") > 20
    assert verify().unbroken


def test_a_process_that_ends_writes_what_waits(log: None) -> None:
    with started(("", "", 0), ADD + "audit.note_late(by, 'view')") as running:
        assert running.wait(60) == 0
    assert last()["act"] == "view"


def test_late_entries_wait_until_the_log_can_be_written(
    log: None, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(autocommit=True) as db:
        db.execute("alter table audit.entries rename to away")
        audit.note_late(ANN, "view", "/overview")
        assert not audit.LATE.flush(1.0)
        with pytest.raises(CarrelError, match="nothing was done"):
            audit.note(ANN, "export")
        db.execute("alter table audit.away rename to entries")
    assert audit.LATE.flush()
    assert last()["subject"] == "/overview"
    assert "entries wait" in caplog.text


def test_what_is_given_up_is_told_in_both_logs(
    log: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MOST_WAITING", 2)
    with caplog.at_level(logging.ERROR):
        for number in range(4):
            audit.note_late(ANN, "view", f"/page{number}")
    assert audit.LATE.flush()
    audit.note_late(ANN, "view", "/later")
    assert audit.LATE.flush()
    assert "/page3" in caplog.text
    lost = [e["details"] for e in entries(Wanted(act="lost"))]
    assert sum(one["entries"] for one in lost) == 2


def test_signatures_come_by_themselves(log: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "SIGN_EVERY", 5)
    audit.note(ANN, "view")
    for turn in range(3):
        for _ in range(3):
            audit.note_late(ANN, "view", f"{turn}")
        assert audit.LATE.flush()
    assert verify().signed_to == 7


def test_filters(log: None) -> None:
    audit.note(ANN, "view", "/a")
    audit.note(audit.By("bo@example.org", "api", "member"), "export", "b", "refused")
    middle = last()["at"]

    def found(**wanted: Any) -> list[int]:
        return [e["entry_id"] for e in entries(Wanted(**wanted))]

    assert found() == [1, 2]
    assert found(who="BO@") == found(act="export") == found(door="api") == [2]
    assert found(outcome="refused") == found(start=middle) == [2]
    assert found(end=middle) == [1]
    assert found(who="%") == []
    assert [e["entry_id"] for e in entries(Wanted(), newest=1)] == [2]


def test_a_log_that_is_not_there_has_a_remedy(log: None, setting: Callable[..., None]) -> None:
    with connect(autocommit=True) as db:
        db.execute("drop schema audit cascade")
    with pytest.raises(CarrelError, match="carrel migrate"):
        verify()
    with pytest.raises(CarrelError, match="carrel migrate"):
        audit.note(ANN, "export")
