"""`carrel settings`: every setting, its value, and where that came from; never a secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

EXAMPLE = Path(__file__).with_name("carrel.example.toml")
SIGNED_IN = re.compile(r"(?<=://)[^/@\s]*@")
HEAD = """\
# The settings file of Carrel: copy it to carrel.toml in the home (default ./.carrel), or name it in
# CARREL_SETTINGS. The environment (CARREL_API_RATE=600) wins over settings.env of the home, that
# over this file, this over the defaults, which stand below. Paths begin where `carrel` is started.
# A name that is no setting, and a value of another type or out of its range, are refused with their
# line. `carrel settings` tells which value counts, and where it came from.
"""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(settings)


def settings(
    name: Annotated[str | None, typer.Argument(help="One setting: what it may be.")] = None,
    changed: Annotated[bool, typer.Option(help="Only those that are not the default.")] = False,
    example: Annotated[
        bool, typer.Option(help="Print a settings file with every default.")
    ] = False,
) -> None:
    """Show every setting, its value and where it came from; or check them: exit code 2 if wrong."""
    from warehouse import settings as held
    from warehouse import settings_file as file

    fields = held.Settings.model_fields
    if example:
        typer.echo(example_file(), nl=False)
        return
    now, origins = held.settings(), held.origins()
    if name is not None:
        plain = name.lower().removeprefix("carrel_")
        if plain not in fields:
            from warehouse.errors import ConfigurationError

            raise ConfigurationError(f"{name!r} is no setting.", remedy=file.nearest(plain, fields))
        field = fields[plain]
        typer.echo(f"{plain}: {field.description}")
        typer.echo(f"type:    {file.kind(field)}\nrange:   {file.span(field)}")
        typer.echo(f"default: {file.default(field) or 'none'}")
        typer.echo(f"value:   {shown(plain, now)} ({origins[plain]})")
        return
    for one in fields:
        if not (changed and origins[one] == "default"):
            typer.echo(f"{one:<22} {shown(one, now):<44} {origins[one]}".rstrip())
    if wrong := held.misspelt():
        from warehouse.errors import ConfigurationError

        raise ConfigurationError(
            f"In the environment, {', '.join(wrong)}: no setting of that name.",
            remedy=" ".join(file.nearest(one, fields) for one in wrong),
        )


def shown(name: str, now: Any) -> str:
    """A value as a person may see it: no secret, no sign-in within an address."""
    from deployments.showing import harmless
    from warehouse import settings_file as file

    value = getattr(now, name)
    if file.is_secret(type(now).model_fields[name]):
        return "(set)" if value else "(not set)"
    if value is None:
        return "(not set)"
    if name == "alert_webhook" and value:  # its path often is the password
        return re.sub(r"(?<=://)([^/@\s]*@)?([^/?#\s]*).*", r"\2/…", value)
    if isinstance(value, bool):
        return str(value).lower()
    return harmless(SIGNED_IN.sub("…@", str(value)))


def example_file() -> str:
    """A settings file with what each setting is, its type, range and default, as comments."""
    from warehouse import settings_file as file
    from warehouse.settings import Settings

    parts = [HEAD]
    for name, field in Settings.model_fields.items():
        told = f"# {field.description}\n# {file.kind(field)}; {file.span(field)}\n"
        if file.is_secret(field):
            told += f"# not here: CARREL_{name.upper()} in the environment or in settings.env\n"
        else:
            told += f"# {name} = {file.default(field) or ' # not set'}\n"
        parts.append(told)
    return "\n".join(parts)
