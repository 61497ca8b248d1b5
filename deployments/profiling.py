"""Commands that look at what data hold and at what was unusual: profile, anomalies."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to `carrel`."""
    for command in (profile, anomalies):
        app.command()(command)


def profile(
    name: Annotated[str, typer.Argument(help="Dataset, as `carrel datasets` lists it.")],
    last: Annotated[bool, typer.Option(help="The one kept last; measure nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a column.")] = False,
) -> None:
    """Measure each column: nulls, distinct, extremes, quantiles, frequent values, drift."""
    import json

    from quality import profile as making
    from warehouse.spec import dataset

    subject = dataset(name)
    columns = making.last_profile(subject) if last else making.profile(subject, keep=False).columns
    if not columns:
        typer.echo(f"{subject.table} has no profile yet; it gets one after a load.", err=True)
        raise typer.Exit(1)
    if as_json:
        for column, measures in columns.items():
            line = {"column": column} | measures
            typer.echo(json.dumps(line, ensure_ascii=False))
        return
    _table(subject.table, columns)
    for column, measures in columns.items():
        for line in (measures.get("drift") or {}).get("words", ()):
            typer.echo(f"drift: {column}: {line}")


def _table(title: str, columns: dict[str, Any]) -> None:
    """The profile as a table; `~` marks what was estimated of a sample."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    first = next(iter(columns.values()))
    shown = Table(title=f"{title}: {first['rows']:,} rows", box=box.SIMPLE, title_justify="left")
    for head in ("column", "type", "nulls", "distinct", "min", "median", "max", "mean", "frequent"):
        shown.add_column(head, overflow="fold")
    for name, m in columns.items():
        shown.add_row(*_cells(name, m))
    Console(width=140, highlight=False, markup=False).print(shown)
    if first["sample"] < first["rows"]:
        typer.echo(f"~ estimated, as are median, mean and shares, of {first['sample']:,} rows")


def _cells(name: str, m: dict[str, Any]) -> list[str]:
    nulls = f"{m['nulls'] / m['rows']:.1%}" if m["rows"] else "-"
    distinct = f"{'' if m['distinct_exact'] else '~'}{m['distinct']:,}"
    start = [name, m["type"], nulls, distinct]
    if m.get("personal"):
        return [*start, "", "", "", "", "personal: counts only"]
    top = ", ".join(f"{one['value']} {one['share']:.0%}" for one in m["top"][:3])
    shapes = ", ".join(f"{one['pattern']} {one['share']:.0%}" for one in m.get("patterns", [])[:2])
    median = m.get("quantiles", {}).get("p50")
    values = [m.get("min"), median, m.get("max"), m.get("mean")]
    return [*start, *("" if v is None else str(v) for v in values), top or shapes]


def anomalies(
    name: Annotated[str | None, typer.Argument(help="Dataset; default: every one.")] = None,
    day: Annotated[
        str | None,
        typer.Option("--day", metavar="DAY", help="Last day judged; default: yesterday."),
    ] = None,
) -> None:
    """Judge the days since the last load against their history, and say what was unusual."""
    from tasks.observe import look_back
    from warehouse.errors import ConfigurationError
    from warehouse.spec import dataset

    try:
        last = dt.date.fromisoformat(day) if day else None
    except ValueError:
        raise ConfigurationError(
            f"--day: {day!r} is no day.", remedy="Write it as 2026-03-31."
        ) from None
    found = look_back([dataset(name).table] if name else None, last)
    for table, lines in found.items():
        for line in lines:
            typer.echo(f"{table}: {line}")
    if not found:
        typer.echo("Nothing unusual.", err=True)
