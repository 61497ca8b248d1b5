"""The programs of the local stack, and the supervisor's configuration made from them."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deployments.ports import LOOPBACK
from deployments.postgres import server
from warehouse.settings import ROOT, settings

POOL = "carrel"


@dataclass(frozen=True)
class Program:
    """A program that the supervisor runs; `port` is None where it listens on none."""

    name: str
    command: tuple[str, ...]
    port: int | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 20
    start_seconds: int = 10
    """One that ends sooner has not started; after three such starts it is given up."""
    folder: Path = ROOT
    account: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    host: str = LOOPBACK
    sealed: bool = False
    """Whether it speaks TLS."""

    @property
    def address(self) -> str:
        """Where a person or a program reaches it."""
        if self.port is None:
            return ""
        scheme = "postgresql" if self.name == "postgres" else "https" if self.sealed else "http"
        return f"{scheme}://{self.host}:{self.port}"


def programs() -> list[Program]:
    """What runs with these settings, in the order of starting."""
    mine = settings()
    found = [] if mine.database_url else [_postgres(mine.stack["pg_port"])]
    if not mine.prefect_api_url:
        found.append(_prefect_server(mine.stack["prefect_port"]))
    requests = Program("requests", (sys.executable, "-m", "deployments.requests"))
    return [
        *found,
        _prefect_worker(),
        requests,
        *_app(mine.stack["app_port"]),
        _api(mine.stack["api_port"]),
    ]


def _postgres(port: int) -> Program:
    embedded = server()
    account = embedded.account.pw_name if embedded.account else None
    return Program(
        "postgres",
        tuple(embedded.command(port)),
        port,
        stop_signal="INT",  # "fast": ends sessions, loses nothing
        start_seconds=1,
        folder=Path("/"),
        account=account,
    )


def _prefect_server(port: int) -> Program:
    command = (sys.executable, "-m", "prefect", "server", "start", "--host", LOOPBACK)
    pages = settings().home.resolve() / "prefect" / "pages"
    _without_second_page(pages)
    variables = {"PREFECT_SERVER_UI_STATIC_DIRECTORY": str(pages)}
    return Program("prefect-server", (*command, "--port", str(port)), port, variables=variables)


def _without_second_page(pages: Path) -> None:
    """Leave Prefect's second page no place: it asks a stranger, also when typed by hand.

    Prefect copies each of its pages below this folder and serves those that it could copy; a link
    to nowhere stands in the second one's place, so its address leads to the first.
    """
    pages.mkdir(parents=True, exist_ok=True)
    place = pages / "v2"
    if not place.is_symlink():
        if place.is_dir():
            shutil.rmtree(place)
        place.symlink_to("nowhere")


def _prefect_worker() -> Program:
    command = (sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL)
    # Prefect keeps a folder of fixed name in the temporary one, which another user may have made.
    own = settings().home.resolve() / "tmp"
    own.mkdir(mode=0o700, exist_ok=True)
    return Program(
        "prefect-worker",
        (*command, "--type", "process", "--name", "local"),
        variables={"TMPDIR": str(own)},
    )


def _app(port: int) -> list[Program]:
    """The app: one process, or several behind the proxy, which then has the app's port and name."""
    from bi_app.serve import tls

    behind = settings().stack.get("app_ports") or []
    listen = settings().app_listen
    outside: dict[str, Any] = {"host": _reached_at(listen), "sealed": bool(tls())}
    if not behind:
        return [replace(_app_process("app", port, address=listen), **outside)]
    to = [part for p in behind for part in ("--to", str(p))]
    proxy = (sys.executable, "-m", "deployments.proxy", "--address", listen, *tls())
    command = (*proxy, "--port", str(port), *to)
    processes = [_app_process(f"app-{n}", p, public=port) for n, p in enumerate(behind, 1)]
    return [*processes, Program("app", command, port, start_seconds=1, **outside)]


def _reached_at(listen: str) -> str:
    """The host by which this machine reaches what listens on an address."""
    if listen in ("0.0.0.0", "localhost"):  # noqa: S104 - compared, not bound
        return LOOPBACK
    if listen == "::":
        return "[::1]"
    return f"[{listen}]" if ":" in listen else listen


def _app_process(
    name: str, port: int, *, address: str = LOOPBACK, public: int | None = None
) -> Program:
    from bi_app import serve

    # Its folder is where programs run and its home is inherited: the others are its own.
    inherited = ("PYTHONPATH", "CARREL_HOME")
    variables = {k: v for k, v in serve.environment().items() if k not in inherited}
    command = tuple(serve.command(port, address=address, public=public))
    return Program(name, command, port, variables=variables)


def _api(port: int) -> Program:
    from bi_app.api.rest import serve

    return Program("api", tuple(serve.command(port)), port)


def configuration(folder: Path, socket: Path, known: list[Program], *, user: str | None) -> str:
    """The supervisor's configuration; all its state is in `folder`."""
    parts: dict[str, dict[str, object]] = {
        "unix_http_server": {"file": socket, "chmod": "0700"},
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
        "supervisord": {
            "logfile": folder / "logs" / "supervisor.log",
            "pidfile": folder / "supervisor.pid",
            "childlogdir": folder / "logs",
            "directory": folder,
            "umask": "077",
        },
    }
    if user:
        parts["supervisord"]["user"] = user
    for program in known:
        parts[f"program:{program.name}"] = _section(folder, program)
    return _rendered(parts)


def _section(folder: Path, program: Program) -> dict[str, object]:
    section: dict[str, object] = {
        "command": shlex.join(program.command),
        "directory": program.folder,
        "autostart": "false",
        "autorestart": "true",
        "startsecs": program.start_seconds,
        "stopsignal": program.stop_signal,
        "stopwaitsecs": program.stop_seconds,
        # Prefect's worker starts a process a flow run: those go with it.
        "stopasgroup": "false" if program.name == "postgres" else "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": folder / "logs" / f"{program.name}.log",
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": 3,
    }
    if program.variables:
        section["environment"] = ",".join(f'{k}="{v}"' for k, v in program.variables.items())
    return section | ({"user": program.account} if program.account else {})


def _rendered(parts: dict[str, dict[str, object]]) -> str:
    """As an ini file; a percent sign would start an expansion and is doubled."""
    lines = []
    for name, section in parts.items():
        lines += [
            f"[{name}]",
            *(f"{k}={str(v).replace('%', '%%')}" for k, v in section.items()),
            "",
        ]
    return "\n".join(lines)
