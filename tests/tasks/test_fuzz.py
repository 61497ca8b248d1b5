"""Damaged files: each is read or refused by name, soon, and nothing of it is lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.contents import content_of
from tasks.draft import Drafted, draft
from tasks.kinds import KINDS, described, tables
from tasks.load import load
from tasks.records import batches
from tests.dirty import in_time
from tests.mutations import CHANGES, ONE_OR_MORE, Change, changed, changed_inside
from tests.tasks.conftest import ask
from warehouse.errors import CarrelError, ConfigurationError
from warehouse.migrate import migrate

pytestmark = pytest.mark.shared
SEEDS = {
    "csv": (
        "dirty/frictionless/structure-errors.csv",
        "dirty/frictionless/table.csv.gz",
        "dirty/frictionless/table.csv.xz",
        "dirty/frictionless/table.csv.bz2",
        "dirty/messytables/complex.csv",
        "dirty/messytables/excel_pasting.csv",
        "dirty/messytables/weird_head_padding.csv",
        "dirty/csv_spectrum/csvs/newlines_crlf.csv",
    ),
    "json": (
        "dirty/frictionless/table.json",
        "dirty/frictionless/table.jsonl",
        "dirty/frictionless/table.keyed.json",
        "systems/folio/users/users-15.4.0/User000.json",
        "marc_oai/pymarc/test/one.json",
    ),
    "parquet": ("dirty/frictionless/table.parquet",),
    "marc": (
        "marc_oai/pymarc/test/marc8.dat",
        "marc_oai/pymarc/test/test.dat",
        "marc_oai/pymarc/test/bad_records.mrc",
        "marc_oai/pymarc/test/bad_tag.xml",
        "marc_oai/pymarc/test/batch.xml",
    ),
    "excel": (
        "dirty/frictionless/table.xlsx",
        "dirty/readxl/extdata/clippy.xlsx",
        "dirty/readxl/sheets/inlineStr.xlsx",
        "dirty/readxl/sheets/nonstandard-xml-ns-prefix.xlsx",
    ),
}
SLOW = (  # formats that are read in a process of their own first
    "dirty/frictionless/table.ods",
    "dirty/frictionless/table.xls",
    "dirty/readxl/sheets/mtcars.xls",
)
WHOLE = {"csv": 2000, "json": 2000, "parquet": 2000, "marc": 2000, "excel": 1500}
FEW = dict.fromkeys(WHOLE, 40)
Damaged = tuple[str, list[Change], int]


def damaged(shared: Path, folder: Path, how: Damaged) -> Path:
    """A file made worse; of a zip as often one of its parts as the archive itself."""
    name, changes, which = how
    content = (shared / name).read_bytes()
    path = folder / f"damaged{Path(name).suffix}"
    within = content.startswith(b"PK") and which % 2
    path.write_bytes(
        changed_inside(content, changes, which) if within else changed(content, changes)
    )
    return path


def is_read_or_refused(path: Path, kind: str) -> None:
    """By the kind's reader, and by what looks at a file that nobody has described."""
    for read in (_described, _as_kind):
        try:
            with in_time(path):
                read(path, kind)
        except CarrelError as error:
            told(path, error)


def told(path: Path, error: CarrelError) -> None:
    assert not isinstance(error, ConfigurationError), error
    assert str(path) in error.message
    assert error.remedy, error


def _described(path: Path, _: str) -> None:
    with described(path) as seen:
        for batch in batches(seen.arrival, seen.source, list(range(len(seen.headers)))):
            assert batch.records == batch.cells.num_rows + len(batch.findings) + batch.blank
            assert batch.cells.num_columns == len(seen.headers)


def _as_kind(path: Path, kind: str) -> None:
    content_of(path)
    if kind != "csv":
        found = [t.column_names for t in tables(KINDS[kind], path)]
        assert all(names == found[0] for names in found)


def fuzz(shared: Path, folder: Path, kind: str, seeds: tuple[str, ...], count: int) -> None:
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.tuples(st.sampled_from(seeds), ONE_OR_MORE, st.integers(0, 40)))
    def check(how: Damaged) -> None:
        is_read_or_refused(damaged(shared, folder, how), kind)

    check()


@pytest.mark.parametrize("kind", SEEDS)
def test_damaged_files_are_read_or_refused(shared: Path, tmp_path: Path, kind: str) -> None:
    fuzz(shared, tmp_path, kind, SEEDS[kind], FEW[kind])


@pytest.mark.full
@pytest.mark.parametrize("kind", SEEDS)
def test_many_damaged_files_are_read_or_refused(shared: Path, tmp_path: Path, kind: str) -> None:
    fuzz(shared, tmp_path, kind, SEEDS[kind], WHOLE[kind])


@pytest.mark.full
def test_damaged_old_workbooks_are_read_or_refused(shared: Path, tmp_path: Path) -> None:
    fuzz(shared, tmp_path, "excel", SLOW, 150)


def all_of_it_arrives(
    shared: Path, folder: Path, setting: Callable[..., None], numbers: range
) -> None:
    """Damaged files of every kind, drafted and loaded: the counts add up."""
    setting(project=folder / "project")
    drafts: list[Drafted] = []
    for number in numbers:
        pick = random.Random(number)
        changes = [
            Change(pick.choice(sorted(CHANGES)), pick.random(), pick.randrange(1 << 16), 9)
            for _ in range(pick.choice((1, 1, 3)))
        ]
        seed = pick.choice([s for seeds in SEEDS.values() for s in seeds])
        (folder / str(number)).mkdir()
        path = damaged(shared, folder / str(number), (seed, changes, 1))
        try:
            drafts.append(draft(path, name=f"f{number}"))
        except CarrelError as error:
            told(path, error)
    migrate()
    for drafted in drafts:
        (loaded,) = load(drafted.dataset)
        assert loaded.rows_in == loaded.inserted + loaded.quarantined + loaded.ignored
        table = drafted.dataset.table
        assert ask(f"select count(*) from silver.{table}") == [(loaded.inserted,)]
        held = f"select count(distinct record_no) from quarantine.{table}"
        assert ask(held) == [(loaded.quarantined,)]
    assert drafts


def test_what_is_left_of_a_damaged_file_arrives(
    shared: Path, database: str, tmp_path: Path, setting: Callable[..., None]
) -> None:
    all_of_it_arrives(shared, tmp_path, setting, range(12))


@pytest.mark.full
def test_what_is_left_of_many_damaged_files_arrives(
    shared: Path, database: str, tmp_path: Path, setting: Callable[..., None]
) -> None:
    all_of_it_arrives(shared, tmp_path, setting, range(100, 350))
