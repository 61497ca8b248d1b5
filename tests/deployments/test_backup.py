"""Backups: whole or not there, sealed where there is a key, and restored to the last row."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql
from sqlalchemy import text
from typer.testing import CliRunner

from deployments.cli import app
from deployments.ports import free_port
from deployments.postgres import Server
from tasks import backup as making
from tasks.backup import MANIFEST, TABLES, backup, backups
from tasks.extract import sha256
from tasks.load import load
from tasks.programs import program
from tasks.restore import restore, verify
from tests.fix_warehouse import forget
from warehouse import ddl
from warehouse.access import Viewer, acting_as
from warehouse.database import connect
from warehouse.errors import Busy, CarrelError, ConfigurationError
from warehouse.migrate import migrate
from warehouse.settings import ROOT, settings
from warehouse.spec import dataset

KEY = "a key for the tests alone"  # pragma: allowlist secret
OTHER = "another key for the tests"  # pragma: allowlist secret
PERSON = "M-4711-SECRET-CARD"
SPEC = """
title: Visits
grain: one row a visit
source: {kind: csv, path: "visits.csv"}
key: [visit_id]
access: {branch: branch_code, member: member_key}
columns:
  - {name: visit_id, type: integer, required: true, meaning: number}
  - {name: branch_code, type: text, meaning: branch}
  - {name: member_key, type: text, from: member, privacy: pseudonym, meaning: person}
"""
SUM = """
select count(*), sum(('x' || substr(md5(t::text), 1, 15))::bit(60)::bigint::numeric) from {} t
"""
runner = CliRunner()


@pytest.fixture
def visits(database: str, tmp_path: Path, setting: Callable[..., None]) -> Path:
    """A database with one own dataset loaded; its landing folder."""
    project, landing = tmp_path / "project", tmp_path / "landing"
    spec = project / "datasets" / "test" / "visits.yml"
    spec.parent.mkdir(parents=True)
    spec.write_text(SPEC)
    setting(project=project, landing=landing)
    made = project / "migrations" / "test" / "visits.sql"
    made.parent.mkdir(parents=True)
    made.write_text(ddl.migration(dataset("test_visits")))
    landing.mkdir()
    (landing / "visits.csv").write_text(
        f"visit_id,branch,member,branch_code\n1,x,{PERSON},N\n2,x,m2,S\nbad,x,m3,S\n"
    )
    migrate()
    _ingest()
    kept = settings().home / "files" / ("0" * 64)
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(b"as it arrived" * 100)
    return landing


def _ingest() -> None:
    load(dataset("test_visits"))


@pytest.fixture
def elsewhere(tmp_path: Path, setting: Callable[..., None]) -> Iterator[Callable[[], None]]:
    """A function that moves the settings to another machine: empty home, empty server."""
    home = tmp_path / "elsewhere"
    server = Server(home, 15700, durable=False)

    def move() -> None:
        setting(
            home=home,
            project=home / "local",
            database="carrel",
            pg_port=free_port(15700),
        )
        server.start()
        forget()

    yield move
    server.stop()
    if server.data.parent != home / "postgres":
        shutil.rmtree(server.data.parent, ignore_errors=True)


def _sums() -> dict[str, tuple[Any, ...]]:
    """Rows and checksum of every table."""
    with connect() as db:
        found = {}
        for schema, table in db.execute(TABLES).fetchall():
            name = f"{schema}.{table}"
            if name not in making.LEFT_OUT:
                query = sql.SQL(SUM).format(sql.Identifier(schema, table))
                found[name] = db.execute(query).fetchone()
        return found


POLICIES = """
select schemaname, tablename, policyname, roles::text, cmd, qual, with_check from pg_policies
order by 1, 2, 3
"""
GRANTS = """
with acls as (
    select c.oid::regclass::text as of, null as part, relacl as acl, relowner as owner
    from pg_class c
    union all select a.attrelid::regclass::text, attname, attacl, relowner
    from pg_attribute a join pg_class c on c.oid = attrelid
    union all select nspname, 'schema', nspacl, nspowner from pg_namespace
    union all select p.oid::regprocedure::text, 'function', proacl, proowner from pg_proc p)
select of, part, pg_get_userbyid(g.grantee), g.privilege_type
from acls, aclexplode(acl) g where g.grantee <> owner and pg_get_userbyid(owner) = 'carrel_owner'
union all select oid::regclass::text, 'secured', null, relrowsecurity::text from pg_class
where relrowsecurity order by 1, 2, 3, 4
"""


def _rules() -> list[list[tuple[Any, ...]]]:
    with connect() as db:
        return [db.execute(query).fetchall() for query in (POLICIES, GRANTS)]


def _seen(viewer: Viewer) -> list[int]:
    with acting_as(viewer) as db:
        return list(db.execute(text("select visit_id from silver.test_visits")).scalars())


def _refused(call: Callable[[], object], kind: type[CarrelError], words: str) -> None:
    with pytest.raises(kind, match=words):
        call()


@pytest.mark.parametrize("key", [KEY, None], ids=["sealed", "plain"])
def test_a_restore_into_an_empty_server_equals(
    visits: Path,
    elsewhere: Callable[[], None],
    setting: Callable[..., None],
    tmp_path: Path,
    key: str | None,
) -> None:
    if key:
        setting(backup_key=key)
    made = backup(tmp_path / "kept")
    sums, rules, home = _sums(), _rules(), settings().home
    assert sums["silver.test_visits"][0] == 2
    assert len(rules[0]) > 30
    assert len(rules[1]) > 100
    assert sums["quarantine.test_visits"][0] == 1
    assert json.loads((made / MANIFEST).read_text())["tables"] == {n: s[0] for n, s in sums.items()}
    before = settings().secrets
    elsewhere()
    if key is None:
        _refused(lambda: restore(made), ConfigurationError, "pseudonym key")
        shutil.copy(home / "secrets.json", settings().home / "old.json")
    restored = restore(made, new_keys=key is None)
    assert restored.rows == sum(s[0] for s in sums.values())
    assert restored.migrations == []
    assert _sums() == sums | {"ops.catalogue": _sums()["ops.catalogue"]}
    assert _rules() == rules
    same = {name: settings().secrets.get(name) == before[name] for name in before}
    assert same["pseudonym_key"] == same["claim_key"] == (key is not None)
    assert not same["owner"]
    assert (settings().project / "datasets/test/visits.yml").read_text() == SPEC
    kept = settings().home / "files" / ("0" * 64)
    assert kept.read_bytes() == b"as it arrived" * 100
    assert _seen(Viewer("a", "admin")) == [1, 2]
    assert _seen(Viewer("l", "librarian", ("S",))) == [2]
    assert _seen(Viewer("m", "member")) == []


def test_it_goes_on_after_a_restore(
    visits: Path, elsewhere: Callable[[], None], setting: Callable[..., None], tmp_path: Path
) -> None:
    setting(backup_key=KEY)
    made = backup(tmp_path / "kept")
    elsewhere()
    restore(made)
    (visits / "visits.csv").write_text(f"visit_id,branch_code,member\n1,S,{PERSON}\n3,N,m9\n")
    _ingest()
    assert _sums()["silver.test_visits"][0] == 3
    with connect() as db:
        query = "select count(distinct member_key) from silver.test_visits"
        assert db.execute(query).fetchone() == (3,)  # the same person has the same pseudonym


def test_nothing_is_overwritten_unless_told(visits: Path, tmp_path: Path) -> None:
    made = backup(tmp_path / "kept")
    before = _sums()
    _refused(lambda: restore(made), ConfigurationError, "holds 1 loads")
    with connect() as db:
        db.execute("delete from silver.test_visits")
        db.execute("create schema extra; create table extra.more (i integer)")
    restore(made, overwrite=True)
    assert _sums() == before | {"ops.catalogue": _sums()["ops.catalogue"]}


def test_a_restore_that_fails_changes_nothing(visits: Path, tmp_path: Path) -> None:
    made = backup(tmp_path / "kept")
    facts = json.loads((made / MANIFEST).read_text())
    facts["tables"]["silver.test_visits"] = 99
    (made / MANIFEST).write_text(json.dumps(facts))
    with connect() as db:
        db.execute("delete from silver.test_visits where visit_id = 1")
    before = _sums()
    _refused(lambda: restore(made, overwrite=True), CarrelError, "other rows than the manifest")
    assert _sums() == before


def test_a_wrong_or_missing_key_is_told(
    visits: Path, setting: Callable[..., None], tmp_path: Path
) -> None:
    setting(backup_key=KEY)
    made = backup(tmp_path / "kept")
    verify(made)
    setting(backup_key=OTHER)
    _refused(lambda: verify(made), ConfigurationError, "not the key")
    os.environ.pop("CARREL_BACKUP_KEY")
    forget()
    _refused(lambda: verify(made), ConfigurationError, "no key")
    setting(backup_key=KEY)


def test_a_sealed_backup_says_nothing(
    visits: Path, setting: Callable[..., None], tmp_path: Path
) -> None:
    setting(backup_key=KEY)
    (settings().home / "settings.env").write_text(f"CARREL_BACKUP_KEY={KEY}\n")
    try:
        made = backup(tmp_path / "kept")
    finally:
        (settings().home / "settings.env").unlink()
    content = b"".join(path.read_bytes() for path in made.iterdir())
    for said in (PERSON, KEY, "PGDMP", "visit_id", *settings().secrets.values()):
        assert said.encode() not in content
    assert all(path.stat().st_mode & 0o077 == 0 for path in (made, *made.iterdir()))


def test_a_plain_backup_holds_no_secret(
    visits: Path, setting: Callable[..., None], tmp_path: Path
) -> None:
    url = "postgresql://u:hush@h/d"  # pragma: allowlist secret
    lines = f"CARREL_LOG_LEVEL=INFO\nexport CARREL_PREFECT_DATABASE_URL={url}\n"
    (settings().home / "settings.env").write_text(lines)
    try:
        made = backup(tmp_path / "kept")
    finally:
        (settings().home / "settings.env").unlink()
    kept = json.loads((made / "settings.json").read_text())
    assert kept == {"settings.env": ["CARREL_LOG_LEVEL=INFO"]}
    dump = subprocess.run(
        [program("pg_restore", 18), "-f", "-", made / "database.dump"],
        capture_output=True,
        check=True,
    ).stdout
    assert PERSON.encode() in dump  # bronze is kept as it arrived
    assert not [s for s in settings().secrets.values() if s.encode() in dump]
    assert b"COPY private.claim_key" not in dump


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("harm", ["flip", "cut", "lose", "swap"])
def test_harm_is_noticed_before_anything_is_written(
    visits: Path, setting: Callable[..., None], tmp_path: Path, sealed: bool, harm: str
) -> None:
    if sealed:
        setting(backup_key=KEY)
    made = backup(tmp_path / "kept")
    dump = next(made.glob("database.dump*"))
    content = bytearray(dump.read_bytes())
    if harm == "flip":
        content[len(content) // 2] ^= 1
    elif harm == "swap":
        content = bytearray(next(made.glob("files.tar*")).read_bytes())
    dump.write_bytes(content[:-100] if harm == "cut" else content)
    if harm == "lose":
        dump.unlink()
    if sealed and harm != "lose":  # a forger would set the checksums right
        facts = json.loads((made / MANIFEST).read_text())
        part = next(p for p in facts["parts"] if p["name"] == dump.name)
        part |= {"bytes": dump.stat().st_size, "sha256": sha256(dump)}
        (made / MANIFEST).write_text(json.dumps(facts))
    _refused(lambda: restore(made, overwrite=True), CarrelError, "changed|checksum|missing")


def test_a_forged_manifest_of_a_sealed_backup_is_noticed(
    visits: Path, setting: Callable[..., None], tmp_path: Path
) -> None:
    setting(backup_key=KEY)
    made = backup(tmp_path / "kept")
    text = (made / MANIFEST).read_text()
    (made / MANIFEST).write_text(text.replace('"silver.test_visits": 2', '"silver.test_visits": 3'))
    _refused(lambda: verify(made), CarrelError, "manifest.json: was changed")


def test_what_is_written_meanwhile_is_in_the_next_one(
    visits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect() as db:
        db.execute("create table silver.more (i integer)")
    start = making.start

    def late(*arguments: Any, **pipes: Any) -> Any:
        with connect() as db:
            db.execute("insert into silver.more values (1)")
        return start(*arguments, **pipes)

    with monkeypatch.context() as patch:
        patch.setattr(making, "start", late)
        made = backup(tmp_path / "kept")
    assert verify(made).tables["silver.more"] == 0
    restore(made, overwrite=True)
    assert _sums()["silver.more"][0] == 0


def test_into_a_database_of_ones_own(visits: Path, tmp_path: Path) -> None:
    made = backup(tmp_path / "kept")
    before, url, was = _sums(), settings().url(), settings().project
    with connect(autocommit=True) as db:
        db.execute("create database of_ones_own")
    was.rename(was.with_name("moved"))
    into = url.set(drivername="postgresql", database="of_ones_own")
    try:
        command = ["restore", str(made), "--into", into.render_as_string(hide_password=False)]
        done = runner.invoke(app, command)
        assert done.exit_code == 0, done.output
        assert settings().url().database == "of_ones_own"
        after = _sums()
        acts = {name: after[name] for name in after if name.startswith("audit.")}  # its own, too
        assert after == before | acts | {"ops.catalogue": after["ops.catalogue"]}
    finally:
        os.environ.pop("CARREL_DATABASE_URL", None)
        forget()
        with connect(autocommit=True) as db:
            db.execute("drop database of_ones_own")


def test_old_ones_go_and_the_newest_stays(visits: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    for stamp in ("20200101T000000Z", "20200102T000000Z"):
        (folder / f"carrel-{stamp}").mkdir(parents=True)
    (folder / "not ours").mkdir()
    first = backup(folder)
    assert len(backups(folder)) == 3
    second = backup(folder, keep=2)
    assert backups(folder) == [first, second]
    (folder / "carrel-20200101T000000Z").mkdir()
    assert making.prune(folder, keep=None, days=1) == [folder / "carrel-20200101T000000Z"]
    assert (folder / "not ours").is_dir()
    _refused(lambda: backup(folder, keep=0), ConfigurationError, "at least 1")


def test_a_killed_backup_leaves_nothing_that_looks_whole(visits: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    with connect() as db:
        db.execute("create table silver.more as select repeat(md5(i::text), 20) as t"
                   " from generate_series(1, 200000) i")  # fmt: skip
    command = [sys.executable, "-m", "deployments", "backup", "--to", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {}, start_new_session=True)
    try:
        end = time.monotonic() + 30
        while not list(folder.glob(".part-*/database.dump")) and time.monotonic() < end:
            time.sleep(0.005)
        _refused(lambda: backup(folder), Busy, "another backup")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert list(folder.glob(".part-*"))
    assert backups(folder) == []
    made = backup(folder)
    assert backups(folder) == [made]
    assert not list(folder.glob(".part-*"))
    verify(made)


def test_a_server_newer_than_every_pg_dump_is_told() -> None:
    _refused(lambda: program("pg_dump", 99), ConfigurationError, "new enough for PostgreSQL 99")


def test_the_commands(visits: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    made = runner.invoke(app, ["backup", "--to", str(folder)])
    assert made.exit_code == 0, made.output
    assert "not encrypted" in made.stderr
    name = made.stdout.strip()
    assert runner.invoke(app, ["backup", "--to", str(folder), "--list"]).stdout.strip() == name
    assert "whole" in runner.invoke(app, ["restore", name, "--check"]).stdout
    assert runner.invoke(app, ["restore", name]).exit_code == 2
    assert runner.invoke(app, ["restore", str(tmp_path)]).exit_code == 2
    done = runner.invoke(app, ["restore", name, "--overwrite"])
    assert done.exit_code == 0, done.output


def test_the_flow_makes_one_too(visits: Path, tmp_path: Path) -> None:
    from flows.backup import backup as flow

    made = flow.fn(to=str(tmp_path / "kept"), keep=1)
    assert [str(path) for path in backups(tmp_path / "kept")] == [made]
