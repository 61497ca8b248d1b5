"""Checks written once: `quality/checks/<name>.yml`, used by any number of contracts.

A contract, or the project folder's, names one where a check would stand:

    checks:
      - use: {check: quarantine, with: {most: 25}, attributes: {severity: warning}}

and the file says what it is:

    meaning: At most `most` percent of a file's records of the last run were held back.
    parameters:
      most: {is: number, default: 10, meaning: Percent}
    check:
      metric: {name: …, query: "… '{table}' …", threshold: {must_be_less_than_or_equal: "{most}"}}

`{parameter}` is filled in with what is a number, a name, names, or one of the values listed, never
with free text, so that a contract cannot put SQL into a shared check. `{table}` is the dataset's,
`{column}` the column's in whose checks it stands. What else `use` holds (name, qualifier,
attributes, filter, threshold) replaces what the file says. Soda sees the expanded check only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError, model_validator

from quality import written
from warehouse.errors import SpecError
from warehouse.settings import settings
from warehouse.sources import Name, Strict

SHIPPED = Path(__file__).parent / "checks"
OWN = ("check", "with")  # keys of `use` that are ours; the others are the check's
ALONE = re.compile(r"\{([a-z_]+)\}")
NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class Parameter(Strict):
    """A parameter of a shared check: what may stand for it, and what stands there unless said."""

    meaning: str
    is_: str = Field(alias="is", pattern="^(number|name|names|one_of)$")
    default: float | int | str | tuple[str, ...] | None = None
    values: dict[str, str] | None = Field(None, description="Of one_of: SQL or pattern by word")

    @model_validator(mode="after")
    def _values_where_listed(self) -> Parameter:
        if (self.is_ == "one_of") != (self.values is not None):
            raise ValueError("values belong to `is: one_of`, and only there")
        return self


class Shared(Strict):
    """A check that contracts name."""

    meaning: str
    parameters: dict[Name, Parameter] = Field(default_factory=dict)
    check: dict[str, dict[str, Any]] = Field(min_length=1, max_length=1)


class Place(NamedTuple):
    """Where a check is used: in which contract, for which table and column."""

    contract: Path
    table: str
    column: str | None


def read_shared(path: Path) -> Shared:
    """Read and validate one file of shared checks.

    Raises:
        SpecError: naming the file and every key that is wrong.
    """
    try:
        return Shared.model_validate(written.read(path))
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, e['loc'])) or 'check'}: {e['msg']}" for e in error.errors())
        raise SpecError(path, "; ".join(faults)) from error


def shared_checks() -> dict[str, Path]:
    """Every shared check, by name: those shipped, then the project folder's.

    Raises:
        SpecError: the project folder has one of a shipped one's name.
    """
    shipped = {p.stem: p for p in sorted(SHIPPED.glob("*.yml"))}
    own = {p.stem: p for p in sorted((settings().project / "checks").glob("*.yml"))}
    if both := shipped.keys() & own.keys():
        name = min(both)
        raise SpecError(own[name], f"Carrel ships a check of this name: {shipped[name]}.")
    return shipped | own


def expanded(place: Place, use: Any) -> tuple[dict[str, Any], Path]:
    """The check that `use` stands for, and the file that it is written in.

    Raises:
        SpecError: there is no such check, or what it is used with is wrong.
    """
    if not isinstance(use, dict) or not isinstance(use.get("check"), str):
        raise SpecError(place.contract, "use: must be {check: NAME, with: {…}}")
    known = shared_checks()
    if use["check"] not in known:
        raise SpecError(
            place.contract,
            f"use: no shared check is called {use['check']!r}.",
            remedy=f"Known: {', '.join(known)}.",
        )
    path = known[use["check"]]
    shared = _read(path, path.stat().st_mtime_ns)
    values = _values(place, use["check"], shared, use.get("with") or {})
    ((kind, body),) = shared.check.items()
    more = {key: value for key, value in use.items() if key not in OWN}
    made = _filled(body, values) | more
    if isinstance(more.get("attributes"), dict):
        made["attributes"] = body.get("attributes", {}) | more["attributes"]
    return {kind: made}, path


@cache
def _read(path: Path, _changed_ns: int) -> Shared:
    return read_shared(path)


def _values(place: Place, name: str, shared: Shared, given: Any) -> dict[str, Any]:
    """What stands for each parameter.

    Raises:
        SpecError: one is unknown, missing or not of its kind.
    """

    def refuse(why: str) -> SpecError:
        takes = ", ".join(shared.parameters) or "none"
        return SpecError(place.contract, f"use: {name}: {why}.", remedy=f"Its parameters: {takes}.")

    if not isinstance(given, dict):
        raise refuse("with: must be a mapping")
    if unknown := sorted(map(str, given.keys() - shared.parameters.keys())):
        raise refuse(f"with: it has no parameter {', '.join(unknown)}")
    values: dict[str, Any] = {"table": place.table}
    if place.column:
        values["column"] = place.column
    for key, parameter in shared.parameters.items():
        value = given.get(key, parameter.default)
        if key not in given and isinstance(value, str) and (alone := ALONE.fullmatch(value)):
            value = values.get(alone[1])  # another parameter, checked before
        elif value is not None:
            values[key] = _checked(parameter, value)
        if value is None:
            raise refuse(f"with: {key} is missing")
        if values.setdefault(key, value) is None:
            raise refuse(f"with: {key}: {value!r} is no {_wanted(parameter)}")
    return values


def _checked(parameter: Parameter, value: Any) -> Any:
    """A value fit to stand in SQL, or None where it is not of its kind."""
    if parameter.is_ == "number":
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if parameter.is_ == "one_of":
        return (parameter.values or {}).get(str(value))
    names = [value] if isinstance(value, str) else list(value)
    if not all(isinstance(n, str) and NAME.fullmatch(n) for n in names):
        return None
    return ", ".join(names) if parameter.is_ == "names" or len(names) == 1 else None


def _wanted(parameter: Parameter) -> str:
    return {"one_of": f"one of {', '.join(parameter.values or ())}"}.get(
        parameter.is_, {"names": "name or list of names"}.get(parameter.is_, parameter.is_)
    )


def _filled(part: Any, values: Mapping[str, Any]) -> Any:
    """A check with its parameters filled in; a text that is a number's alone becomes a number."""
    if isinstance(part, dict):
        return {key: _filled(value, values) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, values) for value in part]
    if not isinstance(part, str):
        return part
    text, known = part, re.compile(r"\{(" + "|".join(map(re.escape, values)) + r")\}")
    for _ in range(2):  # a value of one_of may itself name a parameter
        if (alone := known.fullmatch(text)) and not isinstance(values[alone[1]], str):
            return values[alone[1]]
        text = known.sub(lambda found: str(values[found[1]]), text)
    return text
