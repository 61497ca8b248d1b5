"""References that a spec declares: checks of the kind `known`, and the keys that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from warehouse import ddl
from warehouse.database import connect
from warehouse.errors import SpecError
from warehouse.spec import Dataset, Reference, datasets


@dataclass(frozen=True)
class Lost:
    """Rows whose reference leads nowhere, by check; `samples` are empty where keys are private."""

    name: str
    rows: int
    samples: list[str]

    def __str__(self) -> str:
        shown = f": {', '.join(self.samples)}" if self.samples else ""
        return f"{self.name}: {self.rows:,} rows lead nowhere{shown}"


def name_of(reference: Reference) -> str:
    """The name of a reference's check."""
    return f"{', '.join(reference.columns)} known in {reference.to}"


def uses(dataset: Dataset) -> list[dict[str, Any]]:
    """The references of a spec as `use` entries of its contract.

    Raises:
        SpecError: a reference names no dataset, or a key that it does not have.
    """
    if not dataset.references:
        return []
    known = datasets() | {dataset.table: dataset}
    for reference in dataset.references:
        _require_target(dataset, reference, known)
    return [{"use": _use(reference)} for reference in dataset.references]


def _require_target(dataset: Dataset, reference: Reference, known: dict[str, Dataset]) -> None:
    if reference.to not in known:
        raise SpecError(dataset.path, f"references: to: no dataset is called {reference.to!r}.")
    has = {c.name for c in known[reference.to].stored} | set(known[reference.to].key_columns)
    if lost := [c for c in reference.target if c not in has]:
        raise SpecError(
            dataset.path,
            f"references: key: {reference.to} has no column {', '.join(lost)}.",
            remedy="Name its columns in `key`, in the order of `columns`.",
        )


def _use(reference: Reference) -> dict[str, Any]:
    return {
        "check": "known",
        "name": name_of(reference),
        "attributes": {"severity": reference.severity},
        "with": {
            "columns": list(reference.columns),
            "to": reference.to,
            "key": list(reference.target),
            "most": reference.most,
        },
    }


def lost_keys(dataset: Dataset, measured: Mapping[str, float | None]) -> tuple[Lost, ...]:
    """For each reference that measured any row leading nowhere: how many, and some of the keys.

    `measured` is what the contract measured, by name of check.
    """
    asked = [r for r in dataset.references if measured.get(name_of(r))]
    if not asked:
        return ()
    known = datasets() | {dataset.table: dataset}
    with connect() as connection:
        rows = [connection.execute(_question(dataset, r, known)).fetchone() for r in asked]
    return tuple(
        Lost(name_of(r), int(row[0]), list(row[1]))
        for r, row in zip(asked, rows, strict=True)
        if row
    )


QUESTION = sql.SQL("""
with used as (
    select {columns}, count(*) as n from {silver} where ({columns}) is not null group by {columns}
), lost as materialized (
    select n, left(concat_ws(' / ', {columns}), 80) as shown
    from used left join (select distinct {key}, true from {there}) there ({columns}, known)
        using ({columns})
    where known is null
)
select coalesce(sum(n), 0),
    array(select shown from lost order by n desc, shown limit {samples})
from lost
""")


def _question(dataset: Dataset, reference: Reference, known: dict[str, Dataset]) -> sql.Composed:
    private = _is_private(dataset, reference.columns)
    private |= _is_private(known[reference.to], reference.target)
    return QUESTION.format(
        columns=sql.SQL(", ").join(map(sql.Identifier, reference.columns)),
        key=sql.SQL(", ").join(map(sql.Identifier, reference.target)),
        silver=sql.Identifier("silver", dataset.table),
        there=sql.Identifier("silver", reference.to),
        samples=sql.Literal(0 if private else reference.samples),
    )


def _is_private(dataset: Dataset, columns: Iterable[str]) -> bool:
    """Whether one of the columns is a person's; a derived one may be made of such, so it counts."""
    declared = {c.name: c for c in dataset.columns}
    persons = any(ddl.is_private(c) for c in dataset.columns)
    return any(ddl.is_private(declared[c]) if c in declared else persons for c in columns)
