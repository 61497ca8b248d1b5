"""A project folder with four datasets, each after others (a diamond), contracts and gold.

desk_titles -> desk_loans   -> desk_totals
            -> desk_copies  ->
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fix_warehouse import READY
from warehouse import ddl
from warehouse.database import connect
from warehouse.migrate import migrate, migration_path
from warehouse.spec import datasets

SPEC = """
title: {title}
grain: one row a {name}
group: {group}
source: {{kind: csv, path: "desk/{name}*.csv"}}
key: [{key}]
access: {{public: true}}
after: [{after}]
{event}
columns:
{columns}
"""
COLUMNS = {
    "titles": [("title_code", "text"), ("title", "text")],
    "loans": [("loan_id", "bigint"), ("title_code", "text"), ("lent_at", "timestamp")],
    "copies": [("copy_id", "bigint"), ("title_code", "text")],
    "totals": [("total_id", "bigint"), ("amount", "numeric")],
}
AFTER = {"loans": "desk_titles", "copies": "desk_titles", "totals": "desk_loans, desk_copies"}
CONTRACT = """
dataset: carrel/carrel/silver/desk_{name}
columns:
{columns}
  - {{name: _load_id, data_type: bigint}}
  - {{name: _hash, data_type: bigint}}
checks:
  - schema:
  - row_count: {{name: not too many rows, threshold: {{must_be_less_than: {most}}}}}
"""
GOLD = {
    "daily": """
-- title: Loans by day
-- grain: one row a day
-- key: day
-- access: public
-- refresh: day
select lent_at::date as day, count(*) as loans
from silver.desk_loans where {{days(lent_at)}} group by 1
""",
    "popular": """
-- title: Loans by title
-- grain: one row a title
-- key: title_code
-- access: public
select t.title_code, t.title, count(l.loan_id) as loans
from silver.desk_titles t left join silver.desk_loans l using (title_code) group by 1, 2
""",
}


@dataclass
class Desk:
    """The project: write files and contracts, ask what stands in the database."""

    folder: Path
    landing: Path

    def contract(self, name: str, *, most: int = 1_000_000_000, more: str = "") -> None:
        columns = "\n".join(f"  - {{name: {c}, data_type: {t}}}" for c, t in COLUMNS[name])
        text = CONTRACT.format(name=name, columns=columns, most=most) + more
        _write(self.folder / "contracts" / "desk" / f"{name}.yml", text)

    def file(self, name: str, *rows: str, part: str = "") -> Path:
        heads = ",".join(c for c, _ in COLUMNS[name])
        return _write(self.landing / "desk" / f"{name}{part}.csv", "\n".join([heads, *rows]) + "\n")

    def files(self) -> None:
        """A small file for each dataset."""
        self.file("titles", "a,Emma", "b,Ulysses")
        self.file("loans", "1,a,2024-03-01 10:00:00", "2,b,2024-03-02 11:00:00")
        self.file("copies", "1,a", "2,b")
        self.file("totals", "1,2.50")

    def many_loans(self, rows: int, *, seed: int, dirty: float = 0.02) -> Path:
        """A generated loans file; the same bytes for the same seed."""
        pick = random.Random(seed)
        lines = []
        for i in range(1, rows + 1):
            day, hour = pick.randint(1, 28), pick.randint(9, 19)
            at = f"2024-{pick.randint(1, 12):02}-{day:02} {hour:02}:00:00"
            lines.append(f"{i},{pick.choice('ab')},{'never' if pick.random() < dirty else at}")
        return self.file("loans", *lines)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with connect() as connection:
            return connection.execute(query.encode()).fetchall()


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _spec(name: str) -> str:
    columns = "\n".join(
        f"  - {{name: {c}, type: {t}, meaning: A {c}, required: true"
        + ("}" if t != "timestamp" else ', formats: ["%Y-%m-%d %H:%M:%S"]}')
        for c, t in COLUMNS[name]
    )
    return SPEC.format(
        title=name.title(),
        name=name,
        group="desk",
        key=COLUMNS[name][0][0],
        after=AFTER.get(name, ""),
        event="event: lent_at" if name == "loans" else "",
        columns=columns,
    ).lstrip()


def make_desk(folder: Path) -> Desk:
    """Write the project, and migrate the database that is set."""
    desk = write_desk(folder)
    migrate()
    return desk


READY["desk"] = make_desk


def write_desk(folder: Path) -> Desk:
    """Write specs, contracts, gold and migrations."""
    desk = Desk(folder, folder / "landing")
    for name in COLUMNS:
        _write(folder / "datasets" / "desk" / f"{name}.yml", _spec(name))
        desk.contract(name)
    for name, text in GOLD.items():
        _write(folder / "gold" / "desk" / f"{name}.sql", text.lstrip())
    for dataset in datasets().values():
        if dataset.domain == "desk":
            _write(migration_path(dataset), ddl.migration(dataset))
    return desk


@pytest.fixture
def desk(tmp_path: Path, database: str, setting: Callable[..., None]) -> Desk:
    """The project folder, migrated, with no file yet."""
    setting(project=tmp_path, landing=tmp_path / "landing")
    return write_desk(tmp_path)
