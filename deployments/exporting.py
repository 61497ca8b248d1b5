"""`carrel export`: rows to a file or a folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class By(StrEnum):
    """What a file of a folder covers."""

    day = "day"
    month = "month"
    year = "year"


class Kind(StrEnum):
    """How the files of a folder are written."""

    parquet = "parquet"
    csv = "csv"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(export)


def export(  # noqa: PLR0913, PLR0917 - each is an option
    what: Annotated[
        str, typer.Argument(help='Dataset, table of a stream, gold table, or "select …".')
    ],
    to: Annotated[
        str, typer.Option(help="x.csv, .xlsx, .json, .jsonl, .parquet; or folder/ for a folder.")
    ],
    user: Annotated[
        str | None, typer.Option("--as", metavar="USERNAME", help="Only what this person sees.")
    ] = None,
    by: Annotated[By | None, typer.Option(help="Of a folder: a file for each.")] = None,
    files: Annotated[Kind, typer.Option(help="Of a folder: kind of its files.")] = Kind.parquet,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds a query may take.")] = 600,
) -> None:
    """Write a table or a query to a file, or to a folder for other tools."""
    from deployments.sign_ins import viewer as viewer_of
    from tasks import export as exports
    from warehouse import audit
    from warehouse.errors import ConfigurationError

    viewer = viewer_of(user) if user else None
    place = Path(to)
    folder = to.endswith("/") or by or place.is_dir() or (place.is_symlink() and not place.suffix)
    if files is not Kind.parquet and not folder:
        raise ConfigurationError("--files is for a folder.", remedy="End --to with /.")
    # A query may hold anything: the log says that it was one, and no more.
    subject = "a query" if " " in what.strip() else what
    seen_by = viewer.role if viewer else "owner"
    with audit.acting(audit.shell(), "export", subject, seen_by=seen_by) as facts:
        if folder:
            made = exports.export_folder(
                what,
                place,
                by=by.value if by else None,
                kind=files.value,
                viewer=viewer,
                seconds=timeout,
            )
        else:
            made = exports.export(what, place, viewer=viewer, seconds=timeout)
        facts |= {"rows": made.rows, "files": made.files, "kind": place.suffix}
    typer.echo(f"{made.path}: {made.rows} rows in {made.files} files")
