"""The settings file: TOML, one line a setting, read strictly, and what each setting may be.

    # carrel.toml in the home, or the file that CARREL_SETTINGS names
    timezone = "Europe/Berlin"
    api_rate = 600

What is wrong is told with file, line, key and remedy. Secrets are refused: they stand in the
environment, in `settings.env`, or in the folder `secrets` of the home, readable by their owner.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from warehouse.errors import ConfigurationError

NAME = "carrel.toml"
HERE = Path(__file__).resolve().parent.parent  # that paths of defaults begin at
Fields = Mapping[str, FieldInfo]
SOUNDS_SECRET = re.compile(r"password|secret|token|_key$")
SIGNS = {"ge": "{} or more", "gt": "more than {}", "le": "{} or less", "lt": "less than {}"}


@dataclass(frozen=True)
class Told:
    """What a file sets: values, and the line of each."""

    path: Path
    values: dict[str, Any]
    lines: dict[str, int]

    def place(self, name: str) -> str:
        """File and line of a setting."""
        return f"{self.path}, line {self.lines[name]}"


def read(path: Path, fields: Fields, *, found_by_home: bool = False) -> Told:
    """What a settings file sets.

    Args:
        path: the file.
        fields: the settings that there are.
        found_by_home: it was looked for in the home, which it can therefore not move.

    Raises:
        ConfigurationError: it cannot be read, or a line of it is wrong.
    """
    try:
        text = path.read_text("utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(
            f"The settings file {path} cannot be read: {error.strerror}.",
            remedy="Name a file that is there in CARREL_SETTINGS, or unset it.",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path}: is not TOML: {error}.",
            remedy='Write a setting a line, as `timezone = "Europe/Berlin"`; numbers stand bare.',
        ) from None
    told = Told(path, values, {name: _line(text, name) for name in values})
    for name, value in values.items():
        _check(told, name, value, fields)
    if found_by_home and "home" in values:
        raise ConfigurationError(
            f"{told.place('home')}: home: this file was found in the home and cannot move it.",
            remedy="Set CARREL_HOME, or name a file elsewhere in CARREL_SETTINGS.",
        )
    return told


def _line(text: str, name: str) -> int:
    """The line on which a key, or a table of that name, stands; 1 where that is not plain."""
    key = re.escape(name)
    found = re.search(rf"""^[ \t]*\[*[ \t]*(["']?){key}\1[ \t]*[=.\]]""", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _check(told: Told, name: str, value: Any, fields: Fields) -> None:
    where = told.place(name)
    if name not in fields:
        raise ConfigurationError(f"{where}: {name}: is no setting.", remedy=nearest(name, fields))
    field = fields[name]
    if is_secret(field):
        raise ConfigurationError(
            f"{where}: {name}: a secret does not stand in this file.",
            remedy=f"Set CARREL_{name.upper()} in the environment or in settings.env of the home,"
            " and `chmod 600` that.",
        )
    if not _is_of(value, field):
        raise ConfigurationError(
            f"{where}: {name}: {_shown(value)} is no {kind(field)}.", remedy=rule(name, field)
        )


def nearest(name: str, fields: Fields) -> str:
    """A remedy for a name that is no setting."""
    plain = name.lower().removeprefix("carrel_")
    if SOUNDS_SECRET.search(plain):
        return f"A secret stands in CARREL_SECRET_{plain.upper()}, or in secrets/{plain} at home."
    near = difflib.get_close_matches(plain, fields, n=1, cutoff=0.5)
    known = "`carrel settings` lists all."
    return f"Did you mean {near[0]}? {known}" if near else known


def wrong(told: Told, name: str, field: FieldInfo, message: str) -> ConfigurationError:
    """The error for a value of the file that is out of its range."""
    shown = _shown(told.values[name])
    return ConfigurationError(
        f"{told.place(name)}: {name}: {shown}: {message}.", remedy=rule(name, field)
    )


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


# What a setting may be ---------------------------------------------------------------------------


def is_secret(field: FieldInfo) -> bool:
    """Whether its value is never shown."""
    return SecretStr in _types(field)


def kind(field: FieldInfo) -> str:
    """Its type in words."""
    known = _types(field)
    if bool in known:
        return "true or false"
    if int in known:
        return "whole number"
    if float in known:
        return "number"
    return "path" if Path in known else "secret" if SecretStr in known else "text"


def span(field: FieldInfo) -> str:
    """The values that it may have, in words."""
    told = [
        SIGNS[sign].format(_plain(getattr(one, sign)))
        for one in field.metadata
        for sign in SIGNS
        if getattr(one, sign, None) is not None
    ]
    if len(told) == 2 and told[0].endswith(" or more") and told[1].endswith(" or less"):
        told = [f"{told[0].removesuffix(' or more')} to {told[1].removesuffix(' or less')}"]
    for one in field.metadata:
        if least := getattr(one, "min_length", None):
            told.append(f"{least} characters or more")
        if pattern := getattr(one, "pattern", None):
            told.append(f"fits {pattern}")
    if choices := _choices(field):
        told.append("one of " + ", ".join(choices))
    return "; ".join(told) or "any"


def default(field: FieldInfo) -> str:
    """Its default as the file would say it; empty where it is worked out or nothing."""
    value = field.default
    if isinstance(value, Path):
        near = os.path.relpath(value, HERE)
        value = near if near.startswith("..") else f"./{near}"
    return "" if value is None else toml(value)


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return _plain(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def rule(name: str, field: FieldInfo) -> str:
    """What the setting may be, as a remedy."""
    return f"{name} is a {kind(field)} ({span(field)}); `carrel settings {name}` tells of it."


def _plain(number: float) -> str:
    return f"{number:g}" if abs(number) < 100_000 else f"{number:.0f}"


def _types(field: FieldInfo) -> set[Any]:
    found = field.annotation
    parts = get_args(found) if get_origin(found) in (Union, types.UnionType) else (found,)
    return set(parts) - {type(None)}


def _choices(field: FieldInfo) -> tuple[str, ...]:
    return next((get_args(t) for t in _types(field) if get_origin(t) is Literal), ())


def _is_of(value: Any, field: FieldInfo) -> bool:
    """Whether TOML's type is the setting's; the range is pydantic's to judge."""
    known = _types(field)
    if bool in known or isinstance(value, bool):
        return bool in known and isinstance(value, bool)
    if int in known:
        return isinstance(value, int)
    if float in known:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, str)
