"""`carrel quarantine`: list, export and replay the records that quarantine holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(help="Dataset, as `carrel datasets` lists it.")]
Rule = Annotated[str | None, typer.Option(help="Only records that break this rule.")]
LoadId = Annotated[int | None, typer.Option("--load", help="Only records of this load.")]

quarantine = typer.Typer(
    help="Records that were held back: list, export, replay.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(quarantine, name="quarantine")


@quarantine.command("list")
def listed(
    name: Name,
    rule: Rule = None,
    load: LoadId = None,
    limit: Annotated[int, typer.Option(min=1, help="Findings shown.")] = 100,
) -> None:
    """Show load, line, file, rule, column and value of each finding, and a total by rule."""
    from tasks import quarantine as tasks
    from warehouse import audit
    from warehouse.spec import dataset

    chosen = tasks.Chosen(rule, load)
    held = dataset(name)
    audit.note(audit.shell(), "view", f"quarantine.{name}", rule=rule, load=load)
    found = tasks.found(held, chosen, limit)
    for one in found:
        column, value = one.column or "-", "-" if one.value is None else _shown(one.value)
        place = f"{Path(one.file).name}:{one.file_line}"
        typer.echo(f"load {one.load} line {one.line}  {one.rule}  {column}  {value}  {place}")
    totals = tasks.totals(held, chosen)
    for broken, records in totals:
        typer.echo(f"{broken}: {records} records")
    if not totals:
        typer.echo("Nothing is held back.")
    if len(found) == limit:
        typer.echo(f"Only the first {limit} findings are shown: --limit.", err=True)


def _shown(value: str) -> str:
    """A value on one line, with nothing in it that a terminal obeys."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in value)


@quarantine.command()
def export(
    name: Name,
    to: Annotated[Path, typer.Option(help="File that is written: x.csv.")],
    rule: Rule = None,
    load: LoadId = None,
) -> None:
    """Write the records to a CSV file, to be edited in a spreadsheet and replayed."""
    from tasks import quarantine as tasks
    from warehouse import audit
    from warehouse.spec import dataset

    chosen = dataset(name)
    with audit.acting(audit.shell(), "export", f"quarantine.{name}", rule=rule, load=load) as facts:
        made = tasks.export(chosen, to, tasks.Chosen(rule, load))
        facts["rows"] = made.records
    typer.echo(f"{made.path}: {made.records} records")
    if made.without_lines:
        typer.echo(f"{made.without_lines} records are left out: their lines are gone.", err=True)
    typer.echo(
        "These are records as they arrived, persons in clear; only you may read the file."
        " Delete it when it has been replayed.",
        err=True,
    )


@quarantine.command()
def replay(
    name: Name,
    path: Annotated[
        Path | None, typer.Argument(help="Edited export; default: the records as they were.")
    ] = None,
    rule: Rule = None,
    load: LoadId = None,
) -> None:
    """Send records again, edited or under changed rules, then judge and publish."""
    from deployments.ingestion import run_replay

    for line in run_replay(name, path, rule, load):
        typer.echo(line)
