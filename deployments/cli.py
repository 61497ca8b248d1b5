"""The `carrel` command. Heavy imports happen inside the commands, so that help is instant."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from deployments import (
    alerting,
    api_access,
    auditing,
    configuring,
    connecting,
    exporting,
    held_back,
    inviting,
    judging,
    keeping,
    profiling,
    querying,
    reporting,
    streaming,
)
from deployments.scanning import scan
from warehouse.errors import CarrelError, ConfigurationError, LoadFailed

EXIT_CODES = (
    "Exit codes: 0 done; 1 something else failed; 2 configuration, spec or command wrong;"
    " 3 source unavailable; 4 loaded, but the quality contract failed; 5 load failed or busy;"
    " 6 loaded and published, with warnings; 130 interrupted."
)


class Edge(TyperGroup):
    """Where errors end: message and remedy to the person, exit code to the shell."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except CarrelError as error:
            fault = error
        except KeyboardInterrupt:
            typer.echo("Interrupted.", err=True)
            raise typer.Exit(130) from None
        except Exception as error:
            fault = from_database(error)
        typer.echo(f"error: {fault.message}", err=True)
        if fault.remedy:
            typer.echo(f"remedy: {fault.remedy}", err=True)
        raise typer.Exit(fault.exit_code) from fault


def from_database(error: Exception) -> CarrelError:
    """The database's refusal as one of our errors; anything else is raised again."""
    psycopg = sys.modules.get("psycopg")
    cause = getattr(error, "orig", error)  # SQLAlchemy wraps the driver's error
    if psycopg is None or not isinstance(cause, psycopg.Error):
        raise error
    if isinstance(cause, psycopg.OperationalError):
        return LoadFailed(
            f"The database did not answer: {cause}",
            remedy="See `carrel status` and `carrel doctor`.",
        )
    return LoadFailed(f"The database refused: {cause}")


app = typer.Typer(
    cls=Edge,
    help="The analytics desk of a library, a shop, or any small organisation.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
users = typer.Typer(help="Accounts: who may sign in, and as what.", no_args_is_help=True)
app.add_typer(users, name="users")
app.command()(scan)


def say(line: str) -> None:
    """Progress, to standard error."""
    typer.echo(line, err=True)


@app.command()
def up(
    foreground: Annotated[bool, typer.Option(help="Stay, and stop everything on Ctrl-C.")] = False,
    demo: Annotated[bool, typer.Option(help="Well-known demo sign-ins, on this machine only.")] = (
        False
    ),
) -> None:
    """Start everything: database, sample, Prefect, app; print the addresses; return."""
    from deployments import stack
    from warehouse.settings import settings

    started = stack.up(say, demo=demo or settings().demo)
    _tell(started)
    if foreground:
        stack.stay(say)
        stack.down(say)
    elif started.problem:
        raise started.problem


def _tell(started: Any) -> None:
    names = {"app": "Carrel", "prefect-server": "Prefect", "postgres": "PostgreSQL", "api": "API"}
    for name, address in started.addresses.items():
        typer.echo(f"{names[name]:<12} {address}")
    for one in started.sign_ins:
        typer.echo(f"{one.role:<12} {one.email}  {one.password}")
    if started.sign_ins:
        typer.echo(
            "These passwords are shown once; `carrel users set-password EMAIL` makes new ones."
        )
    else:
        typer.echo(
            "Sign-ins were printed by the first `up`; `carrel users set-password EMAIL` resets one."
        )
    if started.problem:
        say(f"warning: {started.problem}")
    say(f"ready after {started.seconds:.1f} s")


@app.command()
def down() -> None:
    """Stop everything that `up` started."""
    from deployments import stack

    stack.down(say)


@app.command()
def status() -> None:
    """Say what runs; exit code 1 unless everything does."""
    from deployments import stack, stream_health

    rows = stack.status()
    for program, described, _ in rows:
        typer.echo(f"{program.name:<16} {described:<32} {program.address}")
    streams = list(stream_health.lines()) if rows else []
    for line in (*(line for line, _ in streams), *stack.failing_hosts()):
        typer.echo(line)
    if not rows:
        typer.echo("Nothing runs; start it with `carrel up`.")
    if not rows or not all(runs for *_, runs in (*rows, *streams)):
        raise typer.Exit(1)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Examine this machine: pass or fail with a remedy; exit code 1 when anything fails."""
    import json

    from deployments.doctor import examine

    healthy = True
    for finding in examine():
        healthy &= finding.ok
        if as_json:
            typer.echo(json.dumps(vars(finding), ensure_ascii=False))
            continue
        typer.echo(f"{'pass' if finding.ok else 'FAIL'}  {finding.subject:<12} {finding.found}")
        if not finding.ok:
            typer.echo(f"      remedy: {finding.remedy}")
    if not healthy:
        raise typer.Exit(1)


@app.command()
def sample(
    folder: Annotated[Path | None, typer.Argument(help="Default: the landing folder.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
) -> None:
    """Make the sample library's files."""
    from deployments.sample import make_sample
    from warehouse.settings import settings

    place = folder or settings().landing_folder
    make_sample(place, seed=seed)
    typer.echo(str(place))


@app.command()
def migrate() -> None:
    """Bring the database up to date."""
    from warehouse import audit
    from warehouse.migrate import migrate as apply

    applied = apply()
    for name in applied:
        typer.echo(name)
    if applied:
        audit.note(audit.shell(), "migrate", "database", migrations=applied)
    say(f"{len(applied)} migrations applied")


@app.command()
def datasets(
    schema: Annotated[bool, typer.Option(help="Print the JSON schema of a spec.")] = False,
    migration: Annotated[
        str | None, typer.Option(metavar="NAME", help="Print the migration of a dataset.")
    ] = None,
) -> None:
    """List the datasets: name, group, title."""
    import json

    from warehouse import ddl, spec

    if schema:
        typer.echo(json.dumps(spec.json_schema(), indent=2))
    elif migration:
        typer.echo(ddl.migration(spec.dataset(migration)))
    else:
        for dataset in spec.datasets().values():
            typer.echo(f"{dataset.table:<36} {dataset.group:<12} {dataset.title}")


@app.command()
def ingest(
    name: Annotated[str, typer.Argument(help="Dataset, as `carrel datasets` lists it.")],
    path: Annotated[Path | None, typer.Argument(help="File; default: the spec's.")] = None,
    force: Annotated[bool, typer.Option(help="Also when the file is unchanged.")] = False,
) -> None:
    """Load a dataset, judge it and publish its gold. Needs the database; Prefect may be down."""
    from deployments.ingestion import run_ingest

    for line in run_ingest(name, path, force=force):
        typer.echo(line)


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="CSV, Excel, JSON, Parquet or MARC.")],
    domain: Annotated[str, typer.Option(help="First part of the table's name.")] = "local",
    name: Annotated[str | None, typer.Option(help="Second part; default: from the file.")] = None,
) -> None:
    """Draft spec, contract and migration for a file, for a person to read."""
    from tasks.draft import draft

    drafted = draft(file, domain=domain, name=name)
    for path in (drafted.spec, drafted.contract, drafted.migration):
        typer.echo(str(path))
    for note in drafted.notes:
        say(f"check: {note}")
    say(f"Then: carrel migrate && carrel ingest {drafted.dataset.table}")


@users.command("list")
def list_users() -> None:
    """Each account: role, e-mail, name, branches."""
    from deployments.sign_ins import listed

    for role, email, name, branches, enabled in listed():
        where = ", ".join(branches) or "-"
        typer.echo(f"{role:<12} {email:<32} {name:<20} {where}{'' if enabled else '  (disabled)'}")


@users.command("add")
def add_user(  # noqa: PLR0913, PLR0917 - each is an option
    email: str,
    role: Annotated[str, typer.Argument(help="admin, librarian or member.")],
    name: Annotated[str, typer.Option(help="The person's name.")] = "",
    branch: Annotated[list[str] | None, typer.Option(help="A librarian's branch; repeat.")] = None,
    member: Annotated[str | None, typer.Option(help="A member's key in the data.")] = None,
    old_hash: Annotated[
        bool, typer.Option("--old-hash", help="Read a PBKDF2 hash from standard input.")
    ] = False,
) -> None:
    """Make an account; its generated password is printed once."""
    from deployments import sign_ins
    from warehouse import audit
    from warehouse.access import ROLES

    known = {r: r for r in ROLES}
    if role not in known:
        raise ConfigurationError(f"{role!r} is no role.", remedy=f"Roles: {', '.join(ROLES)}.")
    kept = sys.stdin.readline().strip() if old_hash else None
    with audit.acting(audit.shell(), "account", "add", role=role, branches=branch or []):
        made = sign_ins.add(email, name or email, known[role], branch or [], member, kept)
    if kept is None:
        typer.echo(made)


@users.command("set-password")
def set_password(
    email: str,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read it from standard input.")] = False,
) -> None:
    """Give an account a new password and end its sessions; a generated one is printed once."""
    from deployments import sign_ins
    from warehouse import audit

    password = sys.stdin.readline().rstrip("\n") if stdin else None
    with audit.acting(audit.shell(), "account", "set password"):
        made = sign_ins.reset(email, password)
    if password is None:
        typer.echo(made)


alerting.register(app)
api_access.register(app)
auditing.register(app)
configuring.register(app)
connecting.register(app)
exporting.register(app)
held_back.register(app)
inviting.register(app, users)
keeping.register(app)
judging.register(app)
profiling.register(app)
querying.register(app)
streaming.register(app)
reporting.register(app)


def main() -> None:
    """Run the command line."""
    app(prog_name="carrel")
