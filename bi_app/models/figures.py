"""A summary worked out: the question as SQL, and the answer as groups, others and all.

Names come from the catalogue and are quoted, values are bound. PostgreSQL decides which rows and
columns the viewer sees; a question that takes too long is stopped.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.errors import QueryCanceled

from bi_app.models import filters
from bi_app.models.explore import plain
from bi_app.models.summary import Question, withholds
from bi_app.models.table import Table
from bi_app.queries import rows
from bi_app.words import N_, _
from warehouse.access import Viewer
from warehouse.errors import CarrelError
from warehouse.lattice import MARK

SECONDS = 10
SAVED = 10_000
OTHERS = N_("Others")
OVERLAP = N_(
    "This table counts people: one person may be counted in several of its rows, so that a sum over"
    " periods or dimensions counts that person more than once."
)


@dataclass(frozen=True)
class Answer:
    """A summary: the groups in their order, the others as one (None: there are none), and all.

    `shown` and `others` hold values in the order of the question's columns; `total` those of its
    measures. `withheld` counts the cells that are not told, `missing` the rows without a value, by
    measure; `groups` is how many groups there are and `rows` how many rows fit.
    """

    question: Question
    shown: tuple[tuple[Any, ...], ...]
    others: tuple[Any, ...] | None
    total: tuple[Any, ...]
    groups: int
    rows: int
    withheld: tuple[int, ...]
    missing: tuple[int, ...]

    @property
    def table(self) -> Table:
        """The groups, and the others as a last row."""
        records = [*self.shown, *([self.others] if self.others else [])]
        columns = self.question.columns
        data = {c.key: [r[n] for r in records] for n, c in enumerate(columns)}
        return Table("summary", self.question.title, columns, data, self.notes)

    @property
    def notes(self) -> list[str]:
        """What the figures cover, for a file, a card and the page."""
        question = self.question
        found = [_("{count} rows of {table}", count=self.rows, table=question.entry.table_name)]
        found += filters.said(question.filters)
        left = self.groups - len(self.shown)
        if self.others and left:
            found.append(
                _(
                    "{shown} of {groups} groups; Others: {left} groups",
                    shown=len(self.shown),
                    groups=self.groups,
                    left=left,
                )
            )
        for measure, withheld, missing in zip(
            question.measures, self.withheld, self.missing, strict=True
        ):
            if withheld:
                found.append(
                    _(
                        "{title}: {count} counts of people are withheld",
                        title=measure.title,
                        count=withheld,
                    )
                )
            if missing and measure.column:
                found.append(
                    _("{title}: {count} rows have no value", title=measure.title, count=missing)
                )
        if withholds(question.entry):
            found.append(_(OVERLAP))
        return found


def work(viewer: Viewer, question: Question, top: int | None = None) -> Answer:
    """Work a summary out, as PostgreSQL shows the viewer the rows; at most `top` groups.

    Raises:
        CarrelError: it took longer than 10 seconds.
    """
    parts, values = statement(question)
    try:
        found = rows(
            viewer, "summary", {**values, "top": top or question.top}, seconds=SECONDS, **parts
        )
    except QueryCanceled as slow:
        raise CarrelError(
            _("This took longer than {seconds} seconds and was stopped.", seconds=SECONDS)
        ) from slow
    return _answer(question, found)


def statement(question: Question) -> tuple[dict[str, sql.Composable], dict[str, Any]]:
    """The parts of the query: names from the catalogue, quoted; and the values that are bound."""
    where, values = filters.where(question.filters, question.types, question.entry.identifier)
    keys = [sql.Identifier(f"d{n}") for n in range(len(question.by))]
    figures, kept, others = _figures(question)
    sets = sql.SQL("group by grouping sets (({}), ())").format(sql.SQL(", ").join(keys))
    nothing = sql.SQL("null as d0")  # a column more where there is no dimension
    parts = {
        "keys": sql.SQL(", ").join(keys) if keys else nothing,
        "figures": sql.SQL(", ").join(figures),
        "whole": sql.SQL("grouping(d0) = 1") if keys else sql.SQL("true"),
        "picked": sql.SQL(", ").join(_picked(question)),
        "table": question.entry.identifier,
        "where": where,
        "sets": sets if keys else sql.SQL(""),
        "order": _order(question),
        "kept": sql.SQL(", ").join([*(keys or [sql.Identifier("d0")]), *kept]),
        "others": sql.SQL(", ").join([sql.SQL("null")] * max(len(keys), 1) + others),
    }
    return parts, values


def _picked(question: Question) -> list[sql.Composable]:
    """The columns as the groups need them: days by their grain, moments in local time."""
    found: list[sql.Composable] = []
    for n, one in enumerate(question.by):
        name = filters.local(one.column, question.types[one.column])
        form = "date_trunc({1}, {0}::timestamp)::date as {2}" if one.grain else "{0} as {2}"
        found.append(sql.SQL(form).format(name, sql.Literal(one.grain), sql.Identifier(f"d{n}")))
    for n, measure in enumerate(question.measures):
        kind = question.types.get(measure.column, "")
        name = filters.local(measure.column, kind) if measure.column else sql.SQL("1")
        found.append(sql.SQL("{} as {}").format(name, sql.Identifier(f"v{n}")))
    mark = sql.Identifier(MARK) if withholds(question.entry) else sql.SQL("false")
    return [*found, sql.SQL("{} as hidden").format(mark)]


FIGURES = {
    "count": "count(*)",
    "sum": "sum({v})",
    "mean": "avg({v})",
    "median": "percentile_cont(0.5) within group (order by {v})",
    "min": "min({v})",
    "max": "max({v})",
    "distinct": "count(distinct {v})",
}
TOGETHER = {
    "count": "sum({m})",
    "sum": "sum({m})",
    "mean": "sum({s}) / nullif(sum({c}), 0)",
    "median": "null::double precision",
    "min": "min({m})",
    "max": "max({m})",
    "distinct": "null::bigint",
}


def _figures(question: Question) -> tuple[list[sql.Composable], ...]:
    """Figures of a group, their names, and those of several groups together.

    Of each measure: m its value, c how many values it is of, s their sum (for the mean of several
    groups), w how many are withheld.
    """
    figures: list[sql.Composable] = [sql.SQL("count(*) as n")]
    kept: list[sql.Composable] = [sql.SQL("n")]
    others: list[sql.Composable] = [sql.SQL("sum(n)")]
    for n, measure in enumerate(question.measures):
        names = {k: sql.Identifier(f"{k}{n}") for k in "vmcsw"}
        hidden = sql.SQL("count(*) filter (where hidden and {v} is null)").format(**names)
        value = sql.SQL(FIGURES[measure.kind]).format(**names)
        if withholds(question.entry) and measure.column:
            value = sql.SQL("case when {} = 0 then {} end").format(hidden, value)
        total = sql.SQL("sum({v})" if measure.kind == "mean" else "null::numeric").format(**names)
        figures += [
            sql.SQL("{} as {m}").format(value, **names),
            sql.SQL("count({v}) as {c}").format(**names),
            sql.SQL("{} as {s}").format(total, **names),
            sql.SQL("{} as {w}").format(hidden, **names),
        ]
        kept += [names[k] for k in "mcw"]
        together = sql.SQL(TOGETHER[measure.kind]).format(**names)
        others += [
            sql.SQL("case when sum({w}) = 0 then {} end").format(together, **names),
            sql.SQL("sum({c})").format(**names),
            sql.SQL("sum({w})").format(**names),
        ]
    return figures, kept, others


def _order(question: Question) -> sql.Composable:
    """The order of the groups: as asked; else the newest days, or the greatest of the first."""
    key = question.sort or ("d0" if question.over_time else "m0")
    down = question.down if question.sort else True
    way = sql.SQL(" desc nulls last" if down else " asc nulls last")
    ties = [sql.Identifier(f"d{n}") for n in range(len(question.by)) if f"d{n}" != key]
    return sql.SQL(", ").join([sql.Identifier(key) + way, *ties])


def _answer(question: Question, found: Sequence[Mapping[str, Any]]) -> Answer:
    whole = next(r for r in found if r["whole"])
    groups = [r for r in found if not r["whole"] and r["place"] is not None]
    rest = next((r for r in found if not r["whole"] and r["place"] is None), None)
    if question.over_time and not question.sort:
        groups.reverse()
    keys = [f"d{n}" for n in range(len(question.by))]
    shown = [(*(_named(r[k]) for k in keys), *_values(question, r)) for r in groups]
    if not keys:
        shown = [tuple(_values(question, whole))]
    heads = [OTHERS, *[""] * (len(keys) - 1)]
    spread = range(len(question.measures))
    return Answer(
        question,
        tuple(shown),
        (*heads, *_values(question, rest)) if rest else None,
        tuple(_values(question, whole)),
        int(groups[0]["groups"]) if groups else 0,
        int(whole["n"]),
        tuple(int(whole[f"w{n}"]) for n in spread),
        tuple(int(whole["n"] - whole[f"c{n}"] - whole[f"w{n}"]) for n in spread),
    )


def _named(value: Any) -> Any:
    """The name of a group; that of rows without a value has one too."""
    if value is None or value == "":
        return _("(none)")
    if isinstance(value, str):
        return value[:200]
    return value if isinstance(value, dt.date) else str(plain(value))


def _values(question: Question, row: Mapping[str, Any]) -> list[Any]:
    found = []
    kinds = [question.kind_of(m) for m in question.measures]
    for n, kind in enumerate(kinds):
        value = plain(row[f"m{n}"])
        if isinstance(value, dt.datetime):
            value = value.date()
        if value is not None and kind in ("integer", "ratio"):
            value = int(value) if kind == "integer" else round(float(value), 4)
        found.append(value)
    return found
