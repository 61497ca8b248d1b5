"""The one error tree, sorted by what the caller should do; exit codes follow from it.

CarrelError                       1
  ConfigurationError              2   fix a setting, a spec or a command
    SpecError                     2   a dataset spec, contract or gold file is wrong
  SourceUnavailable               3   the input is not there or cannot be read
    SourceMalformed               3   it is there, but its shape is not what the spec says
    CircuitBreakerOpen            3   a remote host failed too often and is left alone for a while
  QualityFailed                   4   loaded, but held back from gold
  LoadFailed                      5   the database refused, or the counts do not add up
    Busy                          5   another run of the same dataset is under way

Loaded and published, but with warnings, is no error: the command ends with WITH_WARNINGS.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Literal

WITH_WARNINGS = 6
Category = Literal["source", "schema", "validation", "load", "infrastructure"]
# Classes of PostgreSQL's error codes (its manual, appendix A) that tell of no row: connection,
# resources, an operator's intervention, system and internal errors.
OF_THE_SERVER = {"08", "53", "57", "58", "XX"}
VALUES = "22"  # the class of data errors, whose messages quote values


class CarrelError(Exception):
    """Anything that Carrel reports to a person.

    Every error says what is wrong and, in `remedy`, what to do about it.
    """

    exit_code = 1
    category: Category = "infrastructure"

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}" if self.remedy else self.message


class ConfigurationError(CarrelError):
    """A setting, a spec or a command is wrong; nothing has been written."""

    exit_code = 2


class SpecError(ConfigurationError):
    """A dataset spec, contract or gold file is wrong."""

    category: Category = "schema"

    def __init__(self, path: Path, message: str, *, remedy: str | None = None) -> None:
        super().__init__(f"{path}: {message}", remedy=remedy)
        self.path = path


class SourceUnavailable(CarrelError):
    """The input is not there or cannot be read; nothing has been written."""

    exit_code = 3
    category: Category = "source"


class SourceMalformed(SourceUnavailable):
    """The input's shape is not what the spec says (a missing column, bytes that are no text)."""

    category: Category = "schema"

    def __init__(
        self,
        path: Path | str,
        message: str,
        *,
        line: int | None = None,
        column: str | None = None,
        remedy: str | None = None,
    ) -> None:
        place = f"{path}" + (f", line {line}" if line else "")
        place += f", column {column!r}" if column else ""
        super().__init__(f"{place}: {message}", remedy=remedy)
        self.path, self.line, self.column = path, line, column


class CircuitBreakerOpen(SourceUnavailable):
    """A remote host failed too often; it is asked again after `until`."""

    def __init__(self, host: str, until: dt.datetime, failures: int) -> None:
        super().__init__(
            f"{host} failed {failures} times in a row and is not asked before"
            f" {until:%Y-%m-%d %H:%M:%S %Z}.",
            remedy="See `carrel status` for its last error, and run again after that time.",
        )
        self.host, self.until = host, until


class QualityFailed(CarrelError):
    """The rows are in silver, but the contract holds them back from gold."""

    exit_code = 4
    category: Category = "validation"


class LoadFailed(CarrelError):
    """The database refused the rows, or the counts do not add up; the load was rolled back."""

    exit_code = 5
    category: Category = "load"


class Busy(LoadFailed):
    """Another run of the same dataset is under way."""


def category(error: BaseException) -> Category:
    """What kind of fault an error tells of, for the ledger and for trends."""
    if isinstance(error, CarrelError) and error.category != "load":
        return error.category
    cause = _of_the_driver(error.__cause__ or error)
    if hasattr(cause, "sqlstate"):
        code = cause.sqlstate or "08"  # without a code there was no answer
        return "infrastructure" if code[:2] in OF_THE_SERVER else "load"
    return error.category if isinstance(error, CarrelError) else "infrastructure"


def said(error: BaseException) -> str:
    """An error in words fit for a log: a foreign one's first line, without quoted values."""
    if isinstance(error, CarrelError):
        return f"{type(error).__name__}: {error}"[:2000]
    cause = _of_the_driver(error)
    first = str(cause).partition("\n")[0]
    quotes = (getattr(cause, "sqlstate", None) or "").startswith(VALUES)
    return f"{type(cause).__name__}{'' if quotes else f': {first}'}"[:2000]


def _of_the_driver(error: BaseException) -> BaseException:
    """The database driver's error within SQLAlchemy's; any other as it is."""
    return getattr(error, "orig", None) or error
