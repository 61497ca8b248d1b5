"""The embedded server: survives a kill, keeps to loopback, finds a port, needs a password."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from deployments import postgres as module
from deployments.ports import free_port
from deployments.postgres import Server
from warehouse.database import connect
from warehouse.errors import CarrelError
from warehouse.settings import settings


@pytest.fixture
def alone(tmp_path: Path, setting) -> Iterator[Server]:
    """A server of its own, in a folder with a space."""
    home = tmp_path / "a home"
    setting(home=home, database="carrel", pg_port=free_port(15600))
    server = Server(home, settings().pg_port, durable=False)
    yield server
    server.stop()
    if server.data.parent != home / "postgres":
        shutil.rmtree(server.data.parent, ignore_errors=True)


def test_start_is_idempotent_and_the_owner_connects(alone: Server) -> None:
    port = alone.start()
    assert alone.start() == port == alone.running_port() == settings().stack["pg_port"]
    with connect() as db:
        query = "select current_user, current_setting('wal_level'), current_setting('port')"
        assert db.execute(query).fetchone() == ("carrel_owner", "minimal", str(port))


def test_a_killed_server_starts_again(alone: Server) -> None:
    alone.start()
    with connect() as db:
        db.execute("create table kept (i integer); insert into kept values (1)")
    main = module._postmaster(alone.data)
    assert main
    main.kill()
    main.wait(10)
    alone.start()
    with connect() as db:
        assert db.execute("select i from kept").fetchall() == [(1,)]


def test_a_stale_pid_file_of_another_program_is_no_server(alone: Server) -> None:
    alone.start()
    alone.stop()
    (alone.data / "postmaster.pid").write_text(f"{os.getpid()}\n{alone.data}\n0\n1\n\n\n\n")
    assert alone.running_port() is None
    alone.start()
    assert alone.running_port()


def test_a_taken_port_gives_the_next(alone: Server) -> None:
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", settings().pg_port))
        squatter.listen()
        assert alone.start() == settings().pg_port + 1


def test_a_port_that_another_server_takes_first_is_left_to_it(
    alone: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = settings().pg_port
    other = Server(tmp_path / "other home", port, durable=False)
    assert other.start() == port
    try:
        offered = iter([port, port + 1])
        monkeypatch.setattr(module, "free_port", lambda first: next(offered))
        assert alone.start() == port + 1 == alone.running_port()
        with pytest.raises(CarrelError, match=f"did not start on port {port}"):
            alone.wait(port, 0.2)
    finally:
        other.stop()


def test_a_password_is_needed(alone: Server) -> None:
    port = alone.start()
    guess = "guess"  # pragma: allowlist secret
    for user in ("postgres", "carrel_owner"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(host="127.0.0.1", port=port, user=user, dbname="postgres")
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(
                host="127.0.0.1", port=port, user=user, password=guess, dbname="postgres"
            )


def test_it_listens_on_loopback_alone(alone: Server) -> None:
    alone.start()
    main = module._postmaster(alone.data)
    assert main
    listening = {c.laddr.ip for c in main.net_connections("all") if c.status == "LISTEN"}
    assert listening == {"127.0.0.1"}
    assert not list(alone.data.glob(".s.PGSQL*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another account")
def test_root_drops_to_an_account_and_changes_no_folder(alone: Server) -> None:
    home = alone.home
    home.mkdir(mode=0o700)
    rights = {p: p.stat().st_mode for p in (home, *home.parents)}
    alone.start()
    main = module._postmaster(alone.data)
    assert main
    assert main.uids().real == alone.account.pw_uid != 0
    assert alone.data.is_relative_to(module.OUTSIDE)
    assert alone.data.stat().st_mode & 0o777 == 0o700
    assert {p: p.stat().st_mode for p in rights} == rights
    assert (home / "secrets.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another account")
def test_root_copies_a_runtime_that_the_account_cannot_reach(
    alone: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = Path("/var/lib") / f"carrel-test-{os.getpid()}"
    monkeypatch.setattr(module, "OUTSIDE", outside)
    reaches = module._reaches
    monkeypatch.setattr(
        module, "_reaches", lambda a, p: "site-packages" not in str(p) and reaches(a, p)
    )
    try:
        alone.start()
        assert alone.runtime.is_relative_to(outside)
        alone.stop()
    finally:
        shutil.rmtree(outside)


def test_stop_leaves_no_process(alone: Server) -> None:
    alone.start()
    main = module._postmaster(alone.data)
    assert main
    family = [main, *main.children(recursive=True)]
    alone.stop()
    alone.stop()
    assert not psutil.wait_procs(family, timeout=5)[1]
