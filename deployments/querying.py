"""`carrel query`: ready questions, own read-only selects and tables, at a prompt or at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from deployments.asker import Asker
    from warehouse.access import Viewer

EPILOG = (
    "Exit codes: 0 answered, and nothing in the review wants a look; 2 refused; 5 too slow, or the"
    " database did not answer; 6 something in the review wants a look."
)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog=EPILOG)(query)


def query(  # noqa: PLR0913, PLR0917 - each is an option
    question: Annotated[
        str | None, typer.Argument(help="A ready question; without one: a prompt.")
    ] = None,
    values: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="The question's parameters.")
    ] = None,
    statement: Annotated[
        str | None, typer.Option("--sql", metavar="SELECT", help="Answer this select.")
    ] = None,
    batch: Annotated[bool, typer.Option("--batch", help="Print the daily review.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the ready questions.")] = False,
    user: Annotated[
        str | None,
        typer.Option("--as", metavar="USERNAME", help="Ask as this person; default: as an admin."),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Answers as CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answers as JSON lines.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Rows at the most.")] = 1000,
    timeout: Annotated[
        int, typer.Option(min=1, max=86_400, help="Seconds a question may take.")
    ] = 60,
) -> None:
    """Ask the figures: ready questions, your own selects, tables. Nothing can be changed."""
    from deployments.asker import Asker
    from deployments.cli import from_database
    from deployments.query_shell import Shell, parameters
    from deployments.showing import Form
    from warehouse.errors import ConfigurationError

    if sum([question is not None, statement is not None, batch, listed]) > 1 or (
        as_csv and as_json
    ):
        raise ConfigurationError(
            "Two things are asked for at once.",
            remedy="Give a question, --sql, --batch or --list; and --csv or --json.",
        )
    form = Form.csv if as_csv else Form.json if as_json else Form.table
    asker = Asker(_viewer(user), form, limit, timeout)
    if batch:
        _review(asker)
    elif listed:
        asker.list_questions()
    elif statement is not None:
        asker.statement(statement)
    elif question is not None:
        asker.question(question, parameters(values or []))
    elif code := Shell(asker, from_database).run():
        raise typer.Exit(code)


def _review(asker: Asker) -> None:
    """Write the daily review, then what wants a look, to standard error.

    Raises:
        Exit: something does.
    """
    from deployments.showing import harmless
    from tasks.daily import wants_a_look
    from warehouse.errors import WITH_WARNINGS

    looks = wants_a_look(asker.review())
    for one in looks:
        note = f" ({harmless(one.note)})" if one.note else ""
        typer.echo(f"wants a look: {one.name}: {one.shown[0]}{note}", err=True)
    if looks:
        raise typer.Exit(WITH_WARNINGS)


def _viewer(user: str | None) -> Viewer:
    """Who is asked as: a person with an account, or an admin under the shell's own name."""
    from deployments.sign_ins import viewer
    from warehouse import audit
    from warehouse.access import Viewer

    return viewer(user) if user else Viewer(audit.shell().who, "admin")
