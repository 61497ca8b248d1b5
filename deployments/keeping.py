"""Commands that keep data and let it go: backup, restore, retain, stages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from warehouse.spec import Dataset


def register(app: typer.Typer) -> None:
    """Add the commands to `carrel`."""
    for command in (backup, restore, retain, stages):
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
    from warehouse import audit
    from warehouse.settings import settings

    if listed:
        for path in making.backups(to or settings().home / "backups"):
            typer.echo(str(path))
        return
    sealed = settings().backup_key is not None
    with audit.acting(audit.shell(), "backup", "everything", encrypted=sealed) as facts:
        made = making.backup(to, keep=keep, days=days)
        facts["name"] = made.name
    typer.echo(str(made))
    if not sealed:
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
    from warehouse import audit, audit_chain
    from warehouse.settings import settings

    if check:
        manifest = restoring.verify(folder)
        typer.echo(f"{manifest.name}: whole; {len(manifest.tables)} tables")
        return
    if into:
        os.environ["CARREL_DATABASE_URL"] = into
        settings.cache_clear()
    done = restoring.restore(folder, overwrite=overwrite, new_keys=new_keys)
    aside = audit_chain.take_over()
    audit.note(audit.shell(), "restore", folder.name, rows=done.rows, heads_set_aside=aside)
    typer.echo(f"{done.rows} rows in {done.tables} tables restored and counted")
    for name in done.migrations:
        typer.echo(f"newer than the backup, applied: {name}")
    for note in done.notes:
        typer.echo(note, err=True)


def retain(
    name: Annotated[str | None, typer.Argument(help="Dataset; default: every one.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Let go of what the datasets' specs say is too old."""
    from tasks import retention
    from warehouse import audit
    from warehouse.settings import tell_libraries
    from warehouse.spec import dataset, datasets

    members = [dataset(name)] if name else list(datasets().values())
    if dry_run:
        went = [one for member in members for one in retention.plan(member)]
        went += [] if name else retention.strays()
    else:
        tell_libraries(PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="CRITICAL")
        from flows.retain import carry_out
        from flows.run import run

        with audit.acting(audit.shell(), "retain", name or "everything") as noted, run() as run_id:
            went = carry_out(members, run_id, everything=name is None)
            noted["things"] = len(went)
    for one in went:
        rows = "" if one.rows is None else f"{one.rows} rows"
        size = "" if one.bytes is None else f"{one.bytes} bytes"
        facts = ", ".join(fact for fact in (rows, size, one.reason) if fact)
        typer.echo(f"{one.dataset or '-':<36} {one.what:<11} {one.name}: {facts}")
    verb = "would go" if dry_run else "went"
    total = sum(one.bytes or 0 for one in went)
    typer.echo(f"{len(went)} things {verb}, {total} bytes", err=True)
    for member in members:
        if retention.unaged(member):
            typer.echo(
                f"warning: {member.table}: no column tells how old a row is, so persons stay;"
                " name one as retention.personal_by.",
                err=True,
            )


def stages(
    name: Annotated[str | None, typer.Argument(help="Dataset; default: every one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    steps: Annotated[
        bool, typer.Option("--steps", help="Rather how fast each step of the last run was.")
    ] = False,
) -> None:
    """Show what is raw, staged and processed: source, run, rows, checksum, schema, state, age."""
    import json
    from dataclasses import asdict

    from tasks import stages as look
    from warehouse.spec import dataset, datasets

    for member in [dataset(name)] if name else datasets().values():
        if steps:
            _tell_pace(member, as_json)
            continue
        for stage in look.stages(member):
            if as_json:
                typer.echo(json.dumps(asdict(stage), default=str, ensure_ascii=False))
                continue
            age = "-" if stage.age is None else f"{stage.age.total_seconds() / 86_400:.1f} days"
            typer.echo(
                f"{stage.table}  load {stage.load_id}  {stage.state}  {stage.rows} rows"
                f"  {'-' if stage.bytes is None else stage.bytes} bytes  {age} old"
            )
            typer.echo(
                f"    source {stage.source}  sha256 {stage.sha256}  run {stage.run_id or '-'}"
            )
            typer.echo(f"    schema {stage.schema}")


def _tell_pace(member: Dataset, as_json: bool) -> None:
    """The steps of a dataset's last run: rows, seconds, rows a second."""
    import json
    from dataclasses import asdict

    from tasks.pace import last_run

    for pace in last_run(member):
        if as_json:
            facts = {"dataset": member.table} | asdict(pace) | {"per_second": pace.per_second}
            typer.echo(json.dumps(facts, default=str))
            continue
        amount = "-" if pace.amount is None else f"{pace.amount:,} {pace.unit}"
        rate = "-" if pace.per_second is None else f"{pace.per_second:,.0f}/s"
        typer.echo(
            f"{member.table:<36} {pace.step:<9} {pace.state:<7} {amount:>18}"
            f" {pace.seconds:>9.2f} s {rate:>14}  run {pace.run_id}"
        )
