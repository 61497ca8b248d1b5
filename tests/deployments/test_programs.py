"""The supervisor reads back what was meant, whatever the folder is called."""

from __future__ import annotations

import json
import shlex
import socket
from configparser import RawConfigParser
from pathlib import Path

import pytest

from deployments.ports import free_port, is_free
from deployments.programs import Program, configuration, programs
from warehouse.errors import ConfigurationError


def read(text: str) -> RawConfigParser:
    parser = RawConfigParser()
    parser.read_string(text)
    return parser


def test_awkward_folders() -> None:
    folder = Path("/tmp/100% of 'my' home")
    program = Program("app", (str(folder / "bin/python"), "-m", "x y"), 1)
    made = read(configuration(folder, folder / "s.sock", [program], user=None))["program:app"]
    command = made["command"].replace("%%", "%")
    assert shlex.split(command) == list(program.command)
    assert made["stdout_logfile"] == "/tmp/100%% of 'my' home/logs/app.log"


def test_your_own_servers_replace_ours(setting, tmp_path: Path) -> None:
    ports = {"pg_port": 1, "prefect_port": 2, "app_port": 3, "api_port": 4}
    (tmp_path / "stack.json").write_text(json.dumps(ports))
    setting(home=tmp_path)
    started = ["postgres", "prefect-server", "prefect-worker", "requests", "app", "api"]
    assert [p.name for p in programs()] == started
    setting(database_url="postgresql://me@db.invalid/x", prefect_api_url="http://p.invalid/api")
    assert [p.name for p in programs()] == ["prefect-worker", "requests", "app", "api"]


def test_several_processes_of_the_app_stand_behind_the_proxy(setting, tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"app_port": 3, "app_ports": [4, 5], "api_port": 6}')
    setting(home=tmp_path, database_url="postgresql://me@db.invalid/x", prefect_api_url="http://p")
    first, second, proxy = programs()[-4:-1]
    assert (first.name, second.name, proxy.name) == ("app-1", "app-2", "app")
    assert proxy.command[-6:] == ("--port", "3", "--to", "4", "--to", "5")
    assert (proxy.address, first.port, second.port) == ("http://127.0.0.1:3", 4, 5)
    assert "127.0.0.1:3" in first.command  # the address that browsers name
    assert first.variables["BOKEH_SECRET_KEY"] == second.variables["BOKEH_SECRET_KEY"]


def test_next_free_port() -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        assert not is_free(port)
        found = free_port(port)
        assert found > port
        assert free_port(port, but_not=frozenset({found})) > found


def test_no_port_left() -> None:
    with pytest.raises(ConfigurationError):
        free_port(65535, but_not=frozenset({65535}))
