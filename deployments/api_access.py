"""`carrel api-key` and `carrel api`: keys of programs, and the keys that sign the API's tokens."""

from __future__ import annotations

from typing import Annotated

import typer

from warehouse.errors import ConfigurationError

keys = typer.Typer(
    help="Keys of programs for the REST API: create, list, end.", no_args_is_help=True
)
api = typer.Typer(help="The REST API: rotate-keys.", no_args_is_help=True)
Email = Annotated[str, typer.Argument(help="Whose account the key sees with.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `carrel`."""
    app.add_typer(keys, name="api-key")
    app.add_typer(api, name="api")


@keys.command()
def create(
    email: Email,
    name: Annotated[str, typer.Option(help="What it is for.")] = "program",
    scope: Annotated[
        list[str] | None, typer.Option(help="read, export, act or admin; repeat. Default: read.")
    ] = None,
    days: Annotated[int, typer.Option(help="How long it is good for, at most 366.")] = 90,
) -> None:
    """Make a key; it is printed once and stored nowhere."""
    from bi_app.auth.callers import make_key

    if not 1 <= len(name) <= 100:
        raise ConfigurationError("A key's name has 1 to 100 characters.")
    key, _ = make_key(_account(email), name, scope or ["read"], days)
    typer.echo(key)


@keys.command("list")
def list_keys(email: Email) -> None:
    """An account's keys: number, start, scopes, until when, last use, name."""
    from bi_app.auth.callers import keys_of

    for one in keys_of(_account(email)):
        used = f"{one['last_used_at']:%Y-%m-%d %H:%M}" if one["last_used_at"] else "never"
        scopes = ",".join(one["scopes"])
        typer.echo(
            f"{one['key_id']:>4}  {one['prefix']}…  {scopes:<24}"
            f" until {one['expires_at']:%Y-%m-%d}  used {used:<16}  {one['name']}"
        )


@keys.command()
def end(email: Email, number: Annotated[int, typer.Argument(help="As `list` has it.")]) -> None:
    """End a key at once."""
    from bi_app.auth.callers import end_key

    if not end_key(_account(email), number):
        raise ConfigurationError(
            f"{email} has no key {number}.", remedy="See `carrel api-key list`."
        )


@api.command("rotate-keys")
def rotate_keys() -> None:
    """Sign tokens with a new key from now on; the one before verifies until the next rotation.

    Run it twice to make every token that is out there worthless.
    """
    from bi_app.auth.token_keys import rotate

    typer.echo(rotate())


def _account(email: str) -> int:
    """The number of a person's account.

    Raises:
        ConfigurationError: there is none, or it is disabled.
    """
    from bi_app.auth.sql import run

    found = run("account", email=email)
    if not found:
        raise ConfigurationError(f"{email} has no account.", remedy="See `carrel users list`.")
    return int(found[0].account_id)
