"""Commands that keep data and let it go: backup, restore, retain, stages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to `carrel`."""
    for command in (backup, restore):
        app.command()(command)


def backup(
    to: Annotated[
        Path | None, typer.Option(help="Folder of backups; default: backups in the home.")
    ] = None,
    keep: Annotated[int | None, typer.Option(help="Keep only so many of the newest.")] = None,
    days: Annotated[
        int | None, typer.Option(help="Keep only those of so many days; the newest in any case.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the backups there are.")] = False,
) -> None:
    """Back up database, project, kept files and settings; encrypted with CARREL_BACKUP_KEY."""
    from tasks import backup as making
    from warehouse.settings import settings

    if listed:
        for path in making.backups(to or settings().home / "backups"):
            typer.echo(str(path))
        return
    made = making.backup(to, keep=keep, days=days)
    typer.echo(str(made))
    if settings().backup_key is None:
        typer.echo(
            "warning: not encrypted, and so without keys and passwords. Keep"
            f" {settings().home / 'secrets.json'} in a safe place, or set CARREL_BACKUP_KEY.",
            err=True,
        )


def restore(
    folder: Annotated[Path, typer.Argument(help="The backup, as `carrel backup --list` names it.")],
    into: Annotated[
        str | None, typer.Option(metavar="URL", help="Database; default: the settings' own.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option(help="Also where the database holds loads, or the project files.")
    ] = False,
    new_keys: Annotated[
        bool, typer.Option(help="Also where this home has another pseudonym key.")
    ] = False,
    check: Annotated[bool, typer.Option(help="Only verify the backup; write nothing.")] = False,
) -> None:
    """Verify a backup, then bring it back: all of it, or nothing."""
    from tasks import restore as restoring
    from warehouse.settings import settings

    if check:
        manifest = restoring.verify(folder)
        typer.echo(f"{manifest.name}: whole; {len(manifest.tables)} tables")
        return
    if into:
        os.environ["CARREL_DATABASE_URL"] = into
        settings.cache_clear()
    done = restoring.restore(folder, overwrite=overwrite, new_keys=new_keys)
    typer.echo(f"{done.rows} rows in {done.tables} tables restored and counted")
    for name in done.migrations:
        typer.echo(f"newer than the backup, applied: {name}")
    for note in done.notes:
        typer.echo(note, err=True)
