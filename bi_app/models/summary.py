"""A table summarised: measures of its columns, by up to three others, of the rows that fit.

The question is made of words (`sum:checkouts`, `day:month`, `branch_code:eq:CEN`), which stand in
the page's address, in saved views and in the API. Columns are looked up among those of the
catalogue that the viewer may read, values are bound; nothing of a question becomes SQL.

People: a column that tells who somebody is cannot be asked for by anybody, and a table whose rows
are people is not summarised, because its counts would be counts of people outside the lattice
(docs/suppression.md). A measure over cells that the lattice withholds is withheld itself, and says
how many they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bi_app.models import filters
from bi_app.models.explore import Entry, worth_counting
from bi_app.models.filters import DAYS, NUMBERS, WHOLE, Filter
from bi_app.models.table import Column, Kind
from bi_app.words import N_, _
from warehouse.access import Viewer
from warehouse.errors import ConfigurationError
from warehouse.lattice import MARK, MEANING

MOST_MEASURES, MOST_DIMENSIONS = 4, 3
TOPS = (10, 20, 50, 100, 500)
TOP, TOP_PERIODS = 20, 500
GROUPED = frozenset({"text", "boolean", *WHOLE, *DAYS})
GRAINS = (N_("day"), N_("week"), N_("month"), N_("quarter"), N_("year"))
ABOUT_PEOPLE = N_(
    "A row of this table is a person. Counts of people are published in"
    " gold.library_member_months and gold.library_member_groups, where small ones are withheld."
)
MEASURES = {
    "count": N_("Rows"),
    "sum": N_("Sum of {}"),
    "mean": N_("Mean of {}"),
    "median": N_("Median of {}"),
    "min": N_("Least {}"),
    "max": N_("Greatest {}"),
    "distinct": N_("Different {}"),
}
DEFINITION = N_(
    "Worked out from the rows that you may see and that fit the filters. Sum, mean, median, least"
    " and greatest leave out rows without a value; a measure over counts that are withheld is"
    " withheld itself. Others: the groups beyond those shown, together."
)


@dataclass(frozen=True)
class Measure:
    """What is worked out: a `kind` of MEASURES and its column, none for a count of rows."""

    kind: str
    column: str = ""

    @property
    def text(self) -> str:
        """As addresses have it."""
        return f"{self.kind}:{self.column}" if self.column else self.kind

    @property
    def title(self) -> str:
        """In words."""
        return _(MEASURES[self.kind]).format(self.column)


@dataclass(frozen=True)
class Dimension:
    """What it is worked out by: a column; a day or moment by a grain."""

    column: str
    grain: str = ""

    @property
    def text(self) -> str:
        """As addresses have it."""
        return f"{self.column}:{self.grain}" if self.grain else self.column

    @property
    def title(self) -> str:
        """In words."""
        if self.column in (self.grain, "day"):
            return _(self.grain)
        if self.grain:
            return _("{grain} of {column}", grain=_(self.grain), column=self.column)
        return self.column


def open_types(entry: Entry) -> dict[str, str]:
    """The columns that may be asked for, with their types: none that tells who somebody is."""
    return {
        c["name"]: c["type"]
        for c in entry.columns
        if not c.get("privacy") and c["name"] != entry.member
    }


def about_people(entry: Entry) -> bool:
    """Whether a row is a person: the key has a part that is nobody's to ask for."""
    return not set(entry.key_columns) <= open_types(entry).keys()


def withholds(entry: Entry) -> bool:
    """Whether it is a lattice: its counts of people are withheld where they are small."""
    return any(c["name"] == MARK and c["meaning"] == MEANING for c in entry.columns)


def measures_of(kind: str) -> list[str]:
    """The measures of a column of a PostgreSQL type; `count` needs none."""
    number, day = kind in WHOLE or kind in NUMBERS, kind in DAYS
    found = ["sum", "mean", "median"] if number else []
    found += ["min", "max"] if number or day else []
    return found + (["distinct"] if number or kind in GROUPED else [])


def dimensions(entry: Entry) -> list[str]:
    """The columns that groups can be made by."""
    return [n for n, t in open_types(entry).items() if t in GROUPED]


@dataclass(frozen=True)
class Question:
    """A summary that is asked for, checked against the catalogue.

    `left_out` says what of it made no sense and was left out.
    """

    entry: Entry
    measures: tuple[Measure, ...] = (Measure("count"),)
    by: tuple[Dimension, ...] = ()
    filters: tuple[Filter, ...] = ()
    sort: str = ""
    down: bool = True
    top: int = TOP
    left_out: tuple[str, ...] = ()

    @cached_property
    def types(self) -> dict[str, str]:
        """The columns that may be asked for."""
        return open_types(self.entry)

    @property
    def over_time(self) -> bool:
        """Whether it goes by a day first: it is drawn as a line, in the order of time."""
        return bool(self.by) and bool(self.by[0].grain)

    @property
    def title(self) -> str:
        """In words: Sum of checkouts by branch_code."""
        what = ", ".join(m.title for m in self.measures)
        by = f" {_('and')} ".join(d.title for d in self.by)
        return _("{what} by {by}", what=what, by=by) if by else what

    @property
    def columns(self) -> list[Column]:
        """The columns of its table."""
        heads = [
            Column(f"d{n}", d.title, "date" if d.grain else "text") for n, d in enumerate(self.by)
        ]
        return heads + [
            Column(f"m{n}", m.title, self.kind_of(m)) for n, m in enumerate(self.measures)
        ]

    def kind_of(self, measure: Measure) -> Kind:
        """How the values of a measure are written."""
        if measure.kind in ("count", "distinct"):
            return "integer"
        kind = self.types[measure.column]
        if measure.kind in ("min", "max") and kind in DAYS:
            return "date"
        whole = kind in WHOLE and measure.kind not in ("mean", "median")
        return "integer" if whole else "ratio"

    def as_dict(self) -> dict[str, Any]:
        """The question as plain values, for addresses and the browser."""
        return {
            "table": self.entry.table_name,
            "measure": [m.text for m in self.measures],
            "by": [d.text for d in self.by],
            "filter": [f.text for f in self.filters],
            "sort": self.sort,
            "down": self.down,
            "top": self.top,
        }


def ask(entry: Entry, asked: Mapping[str, Any]) -> Question:
    """A question from untrusted values; what makes no sense is left out, and said.

    Raises:
        ConfigurationError: a row of the table is a person.
    """
    if about_people(entry):
        raise ConfigurationError(_(ABOUT_PEOPLE))
    lost: list[str] = []
    found = Question(
        entry,
        tuple(_each(texts(asked.get("measure")), _measure, entry, lost, MOST_MEASURES)),
        tuple(_each(texts(asked.get("by")), _dimension, entry, lost, MOST_DIMENSIONS)),
        read_filters(entry, asked.get("filter"), lost),
    )
    found = replace(found, measures=found.measures or (usual_measure(entry),))
    keys = {c.key for c in found.columns}
    sort = asked.get("sort")
    sort = sort if isinstance(sort, str) and sort in keys else ""
    down = _flag(asked.get("down")) if sort else True
    top = _top(asked.get("top"), TOP_PERIODS if found.over_time else TOP)
    return replace(found, sort=sort, down=down, top=top, left_out=tuple(lost))


def read_filters(entry: Entry, asked: Any, lost: list[str]) -> tuple[Filter, ...]:
    """Filters from untrusted values; what is wrong with those left out is added to `lost`.

    Rows that are people are not filtered: how many fit would be a count of people.
    """
    types = {} if about_people(entry) else open_types(entry)

    def read(text: str, _entry: Entry) -> Filter:
        return filters.read(text, types)

    return tuple(_each(texts(asked), read, entry, lost, filters.MOST))


def texts(value: Any) -> list[str]:
    """Texts out of an untrusted value: a text, or a list of them; each once."""
    found = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
    return list(dict.fromkeys(v for v in found if isinstance(v, str) and v))[:100]


def _each(
    stated: Sequence[str], read: Callable[[str, Entry], Any], entry: Entry, lost: list[str],
    most: int,
) -> list[Any]:  # fmt: skip
    found = []
    for text in stated:
        try:
            found.append(read(text, entry))
        except ConfigurationError as error:
            lost.append(error.message)
    if len(found) > most:
        lost.append(_("More than {most} at once: the first {most} are taken.", most=most))
    return found[:most]


def _measure(text: str, entry: Entry) -> Measure:
    kind, _colon, column = text.partition(":")
    if kind not in MEASURES:
        raise ConfigurationError(_("There is no measure {shown}.", shown=filters.shown(kind)))
    if kind == "count" and not column:
        return Measure("count")
    if kind not in measures_of(open_types(entry).get(column, "")):
        name = filters.shown(column)
        raise ConfigurationError(
            _("{kind} cannot be taken of a column {name} here.", kind=kind, name=name)
        )
    return Measure(kind, column)


def _dimension(text: str, entry: Entry) -> Dimension:
    column, _colon, grain = text.partition(":")
    if column not in dimensions(entry):
        raise ConfigurationError(
            _("There is no column {shown} to summarise by.", shown=filters.shown(column))
        )
    if open_types(entry)[column] in DAYS:
        if grain and grain not in GRAINS:
            raise ConfigurationError(
                _("{column} goes by {grains}.", column=column, grains=", ".join(GRAINS))
            )
        return Dimension(column, grain or "day")
    if grain:
        raise ConfigurationError(
            _(
                "{column} is no day: it goes by no {shown}.",
                column=column,
                shown=filters.shown(grain),
            )
        )
    return Dimension(column)


def _flag(value: Any) -> bool:
    return value is True or value in ("1", "true")


def _top(value: Any, usual: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return usual
    return number if number in TOPS else usual


def usual_measure(entry: Entry) -> Measure:
    """What is asked of a table first: of figures by day their sum, else the number of rows."""
    types = open_types(entry)
    dated = [k for k in entry.key_columns if types.get(k) in DAYS]
    numbers = [
        n for n, t in types.items() if "sum" in measures_of(t) and n not in entry.key_columns
    ]
    if entry.layer == "gold" and dated and numbers:
        return Measure("max" if withholds(entry) else "sum", numbers[0])
    return Measure("count")


def usual_dimension(viewer: Viewer, entry: Entry) -> Dimension | None:
    """What a table is summarised by first: its day; else its branch, or what has few values."""
    types, allowed = open_types(entry), dimensions(entry)
    for key in entry.key_columns:
        if types.get(key) in DAYS:
            return Dimension(key, "month")
    found = worth_counting(viewer, replace(entry, columns=_of(entry, allowed))) if allowed else ""
    return Dimension(found, "month" if types.get(found) in DAYS else "") if found else None


def _of(entry: Entry, names: Sequence[str]) -> tuple[dict[str, str], ...]:
    return tuple(c for c in entry.columns if c["name"] in names)


def begun(viewer: Viewer, entry: Entry, asked: Mapping[str, Any]) -> Question:
    """A question as `ask` reads it, by what is usual where nothing is asked for.

    Raises:
        ConfigurationError: a row of the table is a person.
    """
    if "by" in asked or about_people(entry):
        return ask(entry, asked)
    usual = usual_dimension(viewer, entry)
    return ask(entry, {**asked, "by": [usual.text] if usual else []})
