"""Filters on a table's columns, as people state them: `column:operator:value`.

    branch_code:eq:CEN      equals; stated again with another value: one of these
    day:ge:2026-01-01       from a day or number on
    day:le:2026-03-31       up to it, the whole day included
    day:last:90             the newest 90 days that are not in the future
    author:null:true        has no value; false: has one

Columns are looked up among those that may be asked for, values are checked by the column's type
and bound: neither becomes SQL.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from psycopg import sql

from bi_app.words import N_, _
from warehouse.audit import EMAIL
from warehouse.errors import ConfigurationError
from warehouse.settings import settings

Types = Mapping[str, str]
MOST, LONGEST, MOST_DAYS = 20, 200, 36_525
WHOLE = {"smallint": 15, "integer": 31, "bigint": 63}
NUMBERS = ("numeric", "double precision")
DAYS = ("date", "timestamp without time zone", "timestamp with time zone")
ORDERED = ("eq", "ge", "le")
ASKED = (*ORDERED, "last", "null")
FLAGS = {"true": True, "false": False}
FILTER = re.compile(r"([^:]{1,63}):(eq|ge|le|last|null):(.*)", re.DOTALL)


@dataclass(frozen=True)
class Filter:
    """A condition on one column; `text` is how it was stated."""

    column: str
    operator: str
    value: Any
    text: str


def operators(kind: str) -> tuple[str, ...]:
    """What a column of a PostgreSQL type may be asked by."""
    if kind in DAYS:
        return ASKED
    if kind in WHOLE or kind in NUMBERS:
        return (*ORDERED, "null")
    return ("eq", "null") if kind in ("text", "boolean") else ("null",)


def read(text: str, types: Types) -> Filter:
    """A filter from an untrusted text; `types` are the columns that may be asked for.

    Raises:
        ConfigurationError: it is none, its column or operator is not there, or the value is not of
            the column's type or is an e-mail address, which no address of a page may hold.
    """
    found = FILTER.fullmatch(text)
    if found is None:
        raise ConfigurationError(
            _("{shown} is no filter.", shown=shown(text)), remedy="column:operator:value"
        )
    column, operator, value = found.groups()
    if column not in types:
        raise ConfigurationError(_("There is no column {shown} to filter by.", shown=shown(column)))
    if operator not in operators(types[column]):
        known = ", ".join(operators(types[column]))
        raise ConfigurationError(
            _("{column} cannot be asked by {operator}.", column=column, operator=operator),
            remedy=_("One of {known}", known=known),
        )
    if EMAIL.search(value):
        raise ConfigurationError(
            _("The filter on {column} holds an e-mail address.", column=column)
        )
    try:
        return Filter(column, operator, _value(operator, types[column], value), text)
    except (ValueError, InvalidOperation) as error:
        raise ConfigurationError(
            _("{shown} is no value for {column}.", shown=shown(value), column=column)
        ) from error


def shown(text: str) -> str:
    """An untrusted text in a message: short, in quotes."""
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


def _value(operator: str, kind: str, value: str) -> Any:
    if operator == "null" or kind == "boolean":
        if value not in FLAGS:
            raise ValueError(value)
        return FLAGS[value]
    if operator == "last":
        return _within(int(value), 1, MOST_DAYS)
    if kind in WHOLE:
        return _within(int(value), -(2 ** WHOLE[kind]), 2 ** WHOLE[kind] - 1)
    if kind in NUMBERS:
        return _finite(value)
    if kind in DAYS:
        return _within(dt.date.fromisoformat(value), dt.date(1, 1, 2), dt.date(9999, 12, 30))
    if not value or len(value) > LONGEST or "\0" in value:
        raise ValueError(value)
    value.encode()  # a lone surrogate, as JSON can hold it, is no text: UnicodeEncodeError
    return value


def _within(value: Any, low: Any, high: Any) -> Any:
    if not low <= value <= high:
        raise ValueError(value)
    return value


def _finite(value: str) -> Decimal:
    number = Decimal(value)
    if not number.is_finite() or abs(math.log10(abs(number) or 1)) > 100:
        raise ValueError(value)
    return number


def where(
    filters: Sequence[Filter], types: Types, table: sql.Composable
) -> tuple[sql.Composable, dict[str, Any]]:
    """The condition that all hold, with its bound values; of `eq` on one column, one of them."""
    conditions: list[sql.Composable] = []
    values: dict[str, Any] = {}
    alike: dict[str, list[sql.Composable]] = {}
    for place, one in enumerate(filters):
        mark = sql.Placeholder(f"f{place}")
        values[f"f{place}"] = one.value
        made = _condition(one, types[one.column], mark, table)
        if one.operator == "eq":
            alike.setdefault(one.column, []).append(made)
        else:
            conditions.append(made)
    conditions += [sql.SQL("({})").format(sql.SQL(" or ").join(any_)) for any_ in alike.values()]
    return (sql.SQL(" and ").join(conditions) if conditions else sql.SQL("true")), values


def local(column: str, kind: str) -> sql.Composable:
    """A column; a moment as the library's own time."""
    name = sql.Identifier(column)
    if kind != "timestamp with time zone":
        return name
    return sql.SQL("({} at time zone {})").format(name, sql.Literal(settings().timezone))


def _condition(
    one: Filter, kind: str, mark: sql.Placeholder, table: sql.Composable
) -> sql.Composable:
    name = local(one.column, kind)
    if one.operator == "null":
        return sql.SQL("({} is null) = {}").format(name, mark)
    if kind not in DAYS:
        signs = {"eq": sql.SQL("="), "ge": sql.SQL(">="), "le": sql.SQL("<=")}
        cast = sql.SQL("double precision" if kind == "double precision" else kind)
        return sql.SQL("{} {} {}::{}").format(name, signs[one.operator], mark, cast)
    if one.operator == "last":
        newest = sql.SQL("(select least(max({0})::date, current_date) from {1})")
        return sql.SQL("({0} > {1} - {2}::integer and {0} < {1} + 1)").format(
            name, newest.format(name, table), mark
        )
    forms = {
        "ge": sql.SQL("{0} >= {1}::date"),
        "le": sql.SQL("{0} < {1}::date + 1"),
        "eq": sql.SQL("({0} >= {1}::date and {0} < {1}::date + 1)"),
    }
    return forms[one.operator].format(name, mark)


def said(filters: Sequence[Filter]) -> list[str]:
    """The filters in words, one a column and operator."""
    ways = {"ge": N_("{column} from {value} on"), "le": N_("{column} up to {value}"),
            "last": N_("{column}: the newest {value} days")}  # fmt: skip
    found = [
        _(ways[f.operator], column=f.column, value=str(f.value))
        for f in filters
        if f.operator in ways
    ]
    for f in filters:
        if f.operator == "null":
            text = N_("{column} has no value") if f.value else N_("{column} has a value")
            found.append(_(text, column=f.column))
    for column in dict.fromkeys(f.column for f in filters if f.operator == "eq"):
        values = [str(f.value) for f in filters if (f.column, f.operator) == (column, "eq")]
        either = f" {_('or')} ".join(values)
        found.append(f"{column}: {either}")
    return found
