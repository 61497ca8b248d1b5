"""How a stream of sales is analysed: break points, segments and least counts, as its YAML says.

Gold files take a value as `{{given(retail_sales.rfm.window_days)}}`; docs/retail.md says what each
is for.
"""

from __future__ import annotations

import re
from functools import reduce
from typing import Any

from pydantic import Field, field_validator, model_validator

from warehouse.ddl import literal
from warehouse.sources import Name, Strict

SCORES = 5
RULE = re.compile(r"(?:[rfm]\b|[1-5]\b|<=|>=|<>|[<>=()]|\b(?:and|or|not|between|true)\b|\s)+")
Breaks = tuple[float, ...] | None


class Segment(Strict):
    """A named group of customers: those of whom the rule is the first that holds."""

    name: Name
    title: str
    rule: str = Field(description="Over the scores r, f and m, each 1 to 5: r >= 4 and f >= 4")

    @field_validator("rule")
    @classmethod
    def _plain(cls, rule: str) -> str:
        if not RULE.fullmatch(rule):
            raise ValueError("a rule compares r, f and m with 1 to 5, and joins with and, or, not")
        return rule


class Rfm(Strict):
    """Recency, frequency and monetary value. Breaks: four rising numbers; none: quintiles."""

    window_days: int = Field(365, ge=1, le=3660)
    recency: Breaks = Field(None, description="Days since the last order; fewer is better")
    frequency: Breaks = Field(None, description="Orders")
    monetary: Breaks = Field(None, description="Net spend")
    lapsed_after_days: int = Field(90, ge=1)
    segments: tuple[Segment, ...]

    @field_validator("recency", "frequency", "monetary")
    @classmethod
    def _rising(cls, breaks: Breaks) -> Breaks:
        if breaks is not None and (
            len(breaks) != SCORES - 1 or list(breaks) != sorted(set(breaks))
        ):
            raise ValueError("four rising break points make five scores; none: quintiles")
        return breaks

    @model_validator(mode="after")
    def _complete(self) -> Rfm:
        names = [s.name for s in self.segments]
        if len(names) != len(set(names)):
            raise ValueError("two segments of one name")
        if not self.segments or self.segments[-1].rule != "true":
            raise ValueError("the last segment takes the rest: its rule is true")
        return self

    @property
    def named(self) -> Sql:
        """The segment's name as an SQL expression over r, f and m."""
        cases = (f"when {s.rule} then {literal(s.name)}" for s in self.segments)
        return Sql(f"(case {' '.join(cases)} end)")

    @property
    def names(self) -> Sql:
        """Rows of the segments' names, for `from`."""
        rows = ", ".join(f"({literal(s.name)})" for s in self.segments)
        return Sql(f"(values {rows})")


class Baskets(Strict):
    """Which rules of products bought together are told."""

    window_days: int = Field(365, ge=1, le=3660)
    most_products: int = Field(100, ge=2, le=1000, description="In one basket; more: left out")
    least_baskets: int = Field(20, ge=2, description="In which both products are")
    least_confidence: float = Field(0.1, ge=0, le=1)
    least_lift: float = Field(1.0, ge=0)
    most_rules: int = Field(1000, ge=1, le=20_000)


class Analysis(Strict):
    """The analyses of gold. `days`: how far back orders and cancellations are looked at."""

    currency: str = Field("", pattern=r"^([A-Z]{3})?$")
    every_s: int = Field(900, ge=10)
    days: int = Field(1100, ge=1)
    cohorts: int = Field(24, ge=1, le=120, description="Months of which cohorts are told")
    rfm: Rfm
    baskets: Baskets


class Sql(str):
    """An SQL expression that our own code made, not a value."""

    __slots__ = ()


def given(analysis: Analysis, name: str) -> str:
    """A value by its dotted name, as SQL.

    Raises:
        AttributeError: there is no such value.
    """
    return _sql(reduce(getattr, name.split("."), analysis))


def _sql(value: Any) -> str:
    if isinstance(value, Sql):
        return value
    if value is None:
        return "null::numeric[]"
    if isinstance(value, tuple):
        return f"array[{', '.join(map(str, value))}]::numeric[]"
    return literal(value) if isinstance(value, str) else str(value)
