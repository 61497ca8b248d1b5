"""Ready questions of `carrel query`: SQL files, each a header of `-- key: value` and a select.

    -- title: Circulation by branch
    -- description: Checkouts of each branch, on so many days up to the newest
    -- parameter days: integer = 30: Days, the newest one included
    select … where day > … - %(days)s::integer

They stand in `questions/<group>/<name>.sql` here and in the project folder, whose own come first
where two have one name. A parameter is an integer, a number, a text or a date, and is bound.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import psycopg

from tasks.asking import asking, checked
from warehouse.access import Viewer
from warehouse.errors import ConfigurationError, SpecError
from warehouse.settings import settings

HERE = Path(__file__).parent / "questions"
LINE = re.compile(r"--\s*(title|description|parameter\s+(\w+))\s*:\s*(.*)")
PARAMETER = re.compile(r"(integer|number|text|date)\s*=\s*([^:]*?)\s*:\s*(.+)")


def _number(text: str) -> Decimal:
    found = Decimal(text)
    if not found.is_finite():
        raise ValueError(text)
    return found


WAYS: Mapping[str, Callable[[str], Any]] = {
    "integer": int,
    "number": _number,
    "text": str,
    "date": dt.date.fromisoformat,
}


@dataclass(frozen=True)
class Parameter:
    """A value that a question asks for: name, kind, default and meaning."""

    name: str
    kind: str
    default: str
    meaning: str

    def value(self, text: str | None) -> Any:
        """What was typed, or else the default, as a value to bind.

        Raises:
            ConfigurationError: it is not of the parameter's kind.
        """
        typed = self.default if text is None else text.strip()
        try:
            return WAYS[self.kind](typed)
        except (ValueError, InvalidOperation):
            raise ConfigurationError(
                f"{self.name}: {typed!r} is no {self.kind}.",
                remedy=f"{self.meaning}, as {self.name}={self.default or '…'}.",
            ) from None


@dataclass(frozen=True)
class Question:
    """A question that is ready to be asked."""

    name: str
    group: str
    title: str
    description: str
    parameters: tuple[Parameter, ...]
    sql: str

    def values(self, typed: Mapping[str, str]) -> dict[str, Any]:
        """The values of all parameters.

        Raises:
            ConfigurationError: there is no such parameter, or a value is wrong.
        """
        known = {p.name: p for p in self.parameters}
        if unknown := [name for name in typed if name not in known]:
            takes = ", ".join(f"{p.name}={p.default}" for p in self.parameters) or "nothing"
            raise ConfigurationError(
                f"{self.name} has no parameter {unknown[0]!r}.", remedy=f"It takes {takes}."
            )
        return {name: p.value(typed.get(name)) for name, p in known.items()}


def questions() -> dict[str, Question]:
    """Every question that there is, by name: those of the library, the shop, the house.

    Raises:
        SpecError: a file has no title, or a parameter is not said as it should be.
    """
    found: dict[str, Question] = {}
    for folder in (HERE, settings().project / "questions"):
        for path in sorted(folder.glob("*/*.sql")):
            found[path.stem] = parsed(path)
    return found


def parsed(path: Path) -> Question:
    """The question of a file.

    Raises:
        SpecError: it has no title, or its header or select is wrong.
    """
    text = path.read_text("utf-8")
    told: dict[str, str] = {}
    parameters = []
    for line in text.splitlines():
        if not (match := LINE.fullmatch(line.strip())):
            break
        if not match[2]:
            told[match[1]] = match[3]
            continue
        if not (said := PARAMETER.fullmatch(match[3])):
            raise SpecError(
                path, f"parameter {match[2]}: {match[3]!r} is not understood",
                remedy="Write `integer = 30: what it means`; or number, text, date.",
            )  # fmt: skip
        parameters.append(Parameter(match[2], *said.groups()))
    if not told.get("title"):
        raise SpecError(path, "has no title", remedy="Begin it with `-- title: …`.")
    try:
        statement = checked(text)
    except ConfigurationError as error:
        raise SpecError(path, error.message, remedy=error.remedy) from None
    return Question(
        path.stem, path.parent.name, told["title"], told.get("description", ""),
        tuple(parameters), statement,
    )  # fmt: skip


def offered(viewer: Viewer) -> dict[str, Question]:
    """The questions that the viewer may ask: those that PostgreSQL would answer, by its plan."""
    found = {}
    with asking(viewer) as connection:
        for name, one in questions().items():
            try:
                with connection.transaction():
                    connection.execute(f"explain {one.sql}".encode(), one.values({}))
            except psycopg.OperationalError:
                raise
            except psycopg.Error:  # a table that is not there, or not for this viewer
                continue
            found[name] = one
    return found
