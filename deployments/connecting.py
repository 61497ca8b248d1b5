"""`carrel connect`: Koha, Evergreen or FOLIO in place of the sample library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from tasks.connect import Connection


def register(app: typer.Typer) -> None:
    """Add the command to `carrel`."""
    app.command()(connect)


def connect(  # noqa: PLR0913, PLR0917 - each is an option
    system: Annotated[str, typer.Argument(help="koha, evergreen or folio.")],
    secret: Annotated[
        str | None, typer.Option(help="Secret that holds its URL; default: the system's name.")
    ] = None,
    files: Annotated[
        Path | None, typer.Option(help="Of FOLIO: read this folder of JSON files instead.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only look whether all is there.")] = False,
    grants: Annotated[bool, typer.Option("--grants", help="Only print the rights needed.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove what the sample or others loaded.")
    ] = False,
    load: Annotated[bool, typer.Option(help="Load at once.")] = True,
) -> None:
    """Fill the library's tables from its own system: check, write the sources, load."""
    from tasks.connect import Connection
    from tasks.connect import grants as rights

    connection = Connection(system, secret or system, files)
    if grants:
        _say(rights(connection))
        return
    _look(connection, write=not check, replace=replace)
    if load and not check:
        _say(_load())


def _say(lines: Iterator[str]) -> None:
    for line in lines:
        typer.echo(line)


def _look(connection: Connection, *, write: bool, replace: bool) -> None:
    """Check the system, then write the sources; rows of others go where that is asked."""
    from tasks import connect as connecting

    files = connecting.sources(connection)
    _say(connecting.check(connection, files))
    if not write:
        return
    strangers = connecting.others(connection)
    if strangers and not replace:
        listed = ", ".join(f"{count:,} in {name}" for name, count in strangers.items())
        raise ConfigurationError(
            f"There are rows from elsewhere, which would be counted too: {listed}.",
            remedy="Add --replace to remove them (the sample can be made again).",
        )
    _say(connecting.write(files))
    if strangers:
        connecting.remove_others(connection)
        typer.echo(f"removed: {sum(strangers.values()):,} rows from elsewhere")


def _load() -> Iterator[str]:
    """Bring in the library's datasets in order; the lines say how each went."""
    from deployments import pipeline
    from tasks.connect import DOMAIN
    from warehouse.settings import tell_libraries

    tell_libraries(PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="CRITICAL")
    from flows.ingest import ingest_group

    run = ingest_group if pipeline.answers() else ingest_group.fn
    result = run(group=DOMAIN)
    for one in result.done.values():
        yield str(one)
    for name, reason in result.held.items():
        yield f"{name}: held: {reason}"
    for published in result.published:
        reason = f" ({published.reason})" if published.reason else ""
        yield f"gold.{published.table}: {published.state}{reason}"
    result.require_success()
