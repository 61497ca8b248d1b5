"""Who asks with `carrel query`, how answers are written, and the record of each question."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from psycopg import sql

from deployments.ready import Question, offered
from deployments.showing import Form, show
from tasks.asking import MOST, SECONDS, Answer, ask, asking
from tasks.daily import Figure, daily
from tasks.writers import Field
from warehouse import audit
from warehouse.access import Viewer
from warehouse.errors import ConfigurationError

TABLES = Path(__file__).with_name("query_tables.sql")
FIRST_ROWS = 5
REVIEW = (
    Field("part"), Field("figure"), Field("now", "numeric"), Field("before", "numeric"),
    Field("look", "boolean"), Field("note"),
)  # fmt: skip
SHOWN = (
    Field("figure"), Field("now", "numeric"), Field("before", "numeric"),
    Field("change", "numeric"), Field("note"),
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """A table that the asker may read, with its columns as (name, type, meaning)."""

    name: str
    meaning: str
    grain: str
    columns: tuple[tuple[str, str, str], ...]


@dataclass
class Asker:
    """Asks as a viewer and writes the answers; every question goes into the audit log."""

    viewer: Viewer
    form: Form = Form.table
    most: int = MOST
    seconds: int = SECONDS

    @cached_property
    def questions(self) -> dict[str, Question]:
        """The ready questions that the viewer may ask, by name."""
        return offered(self.viewer)

    @cached_property
    def tables(self) -> dict[str, Known]:
        """The tables that the viewer may read, by name."""
        with asking(self.viewer, self.seconds) as connection:
            rows = connection.execute(TABLES.read_bytes()).fetchall()
        return {
            name: Known(name, meaning, grain, tuple(map(tuple, columns)))
            for name, meaning, grain, columns in rows
        }

    def statement(self, text: str) -> None:
        """Answer a select of the asker's own; the log does not say which."""
        self._answer("a query", lambda: self._ask(text))

    def question(self, name: str, typed: Mapping[str, str]) -> None:
        """Answer a ready question.

        Raises:
            ConfigurationError: there is none of that name for this viewer, or a value is wrong.
        """
        one = self.questions.get(name)
        if one is None:
            raise ConfigurationError(
                f"{name!r} is no ready question.", remedy="`carrel query --list` shows them."
            )
        values = one.values(typed)
        self._answer(f"question {name}", lambda: self._ask(one.sql, values))

    def list_questions(self) -> None:
        """Write the ready questions: number, name, title, what each tells, its parameters."""
        found = self.questions.values()
        rows = [
            (str(number), q.group, q.name, f"{q.title}: {q.description}",
             " ".join(f"{p.name}={p.default}" for p in q.parameters))
            for number, q in enumerate(found, start=1)
        ]  # fmt: skip
        self._list("number group name question parameters", rows)

    def list_tables(self, part: str = "") -> None:
        """Write the tables whose name holds a part: name, meaning, number of columns."""
        found = [t for name, t in self.tables.items() if part in name]
        self._list(
            "table meaning columns", [(t.name, t.meaning, str(len(t.columns))) for t in found]
        )

    def table(self, name: str, rows: int = FIRST_ROWS) -> None:
        """Write a table's columns with their meaning, and its first rows.

        Raises:
            ConfigurationError: there is none of that name for this viewer.
        """
        known = self.tables
        ends = [n for n in known if n == name or n.rpartition(".")[2] == name]
        if len(ends) != 1:
            known_as = ", ".join(ends) or "`tables` lists those that you may read"
            raise ConfigurationError(f"{name!r} is no table here.", remedy=f"{known_as}.")
        found = known[ends[0]]
        self._list("column type meaning", found.columns)
        columns = sql.SQL(", ").join(sql.Identifier(c) for c, _, _ in found.columns)
        # The name is PostgreSQL's own, quoted where it must be.
        statement = f"select {columns.as_string(None)} from {found.name} limit {rows}"  # noqa: S608
        self._answer(found.name, lambda: self._ask(statement))

    def review(self) -> list[Figure]:
        """Write the daily review; return its figures."""
        role = self.viewer.role
        with audit.acting(audit.shell(), "query", "daily review", seen_by=role) as facts:
            figures = daily(self.viewer)
            facts["rows"] = len(figures)
        parts: dict[str, list[tuple[str, ...]]] = {}
        for f in figures:
            parts.setdefault(f.part, []).append((f.name, *f.shown, f.change, f.note))
        if self.form is not Form.table:
            show(Answer(REVIEW, [_bare(f) for f in figures], False, 0), self.form)
            return figures
        for part, rows in parts.items():
            sys.stdout.write(f"\n{part}\n")
            show(Answer(SHOWN, [*rows], False, 0), self.form, counted=False)
        return figures

    def _ask(self, statement: str, values: Mapping[str, object] | None = None) -> Answer:
        return ask(self.viewer, statement, values, most=self.most, seconds=self.seconds)

    def _answer(self, subject: str, answered: Callable[[], Answer]) -> None:
        role = self.viewer.role
        with audit.acting(audit.shell(), "query", subject, seen_by=role) as facts:
            answer = answered()
            facts["rows"] = len(answer.rows)
        show(answer, self.form)

    def _list(self, names: str, rows: Iterable[tuple[str, ...]]) -> None:
        """Write a list of our own."""
        fields = tuple(Field(n) for n in names.split())
        show(Answer(fields, [*rows], False, 0), self.form, counted=False)


def _bare(figure: Figure) -> tuple[str | None, ...]:
    """A figure for programs."""
    now, before = (None if v is None else str(v) for v in (figure.value, figure.earlier))
    look = "true" if figure.look else "false"
    return figure.part, figure.name, now, before, look, figure.note
