"""Profiles on PostgreSQL: figures that can be counted by hand, and nobody in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quality import sample as sampling
from quality.profile import last_profile, profile
from tests.tasks.conftest import Make, make
from warehouse.database import connect
from warehouse.pseudonyms import NOBODY
from warehouse.spec import Dataset

__all__ = ["make"]
COLUMNS: dict[str, Any] = {
    "loan": "bigint",
    "member": {"type": "text", "privacy": "pseudonym"},
    "note": {"type": "text", "privacy": "personal"},
    "branch": "text",
    "days": "integer",
    "fine": "numeric",
    "lent": "timestamp",
}


def fill(dataset: Dataset, select: str, rows: int = 1000) -> None:
    names = ", ".join(f'"{c.name}"' for c in dataset.stored)
    with connect() as connection:
        connection.execute(
            f'insert into silver."{dataset.table}" ({names}, _load_id)'
            f" select {select}, 1 from generate_series(1, {rows}) i".encode()
        )


def people(make: Make, select: str, rows: int = 1000) -> Dataset:
    dataset = make(columns=COLUMNS, key=["loan"], event="lent")
    fill(dataset, select, rows)
    return dataset


PLAIN = (
    "i, 'm' || i % 50, 'secret ' || i, case when i % 4 = 0 then null else 'B-' || i % 4 end,"
    " i % 10, i % 3 * 0.5, timestamp '2024-01-01 10:00' + i % 5 * interval '1 day'"
)


def test_figures_of_a_small_table_are_exact(make: Make) -> None:
    columns = profile(people(make, PLAIN)).columns
    branch, days = columns["branch"], columns["days"]
    assert (branch["rows"], branch["nulls"], branch["distinct"]) == (1000, 250, 3)
    assert branch["distinct_exact"]
    assert {(t["value"], t["rows"]) for t in branch["top"]} == {(f"B-{i}", 250) for i in (1, 2, 3)}
    assert branch["patterns"] == [{"pattern": "A-9", "rows": 750, "share": 1.0}]
    assert (days["min"], days["max"], days["mean"], days["quantiles"]["p50"]) == (0, 9, 4.5, 4)
    assert columns["fine"]["mean"] == pytest.approx(0.5)
    assert columns["lent"]["min"] == "2024-01-01"
    assert columns["loan"]["distinct"] == 1000


def test_personal_columns_are_counts_alone(make: Make) -> None:
    made = profile(people(make, PLAIN))
    for name, distinct in (("member", 50), ("note", 1000)):
        facts = made.columns[name]
        assert facts.keys() == {
            "type", "rows", "nulls", "sample", "distinct", "distinct_exact", "personal"
        }  # fmt: skip
        assert facts["distinct"] == distinct
    told = json.dumps(made.columns)
    assert "secret" not in told
    assert "'m1'" not in told
    assert '"m1"' not in told


def test_no_value_of_fewer_than_five_rows_or_persons(make: Make) -> None:
    # RARE is in four rows, ONE in fifty of one person; days 77 and the last day are one person's.
    select = (
        "i, case when i between 10 and 59 or i = 900 then 'm1' else 'm' || i end, null,"
        " case when i <= 4 then 'RARE' when i between 10 and 59 then 'ONE' else 'MANY' end,"
        " case when i between 10 and 59 then 77 else 1 + i % 3 end, 1,"
        " case when i = 900 then timestamp '2030-01-01' else timestamp '2024-01-01' end"
    )
    made = profile(people(make, select))
    branch = made.columns["branch"]
    assert [t["value"] for t in branch["top"]] == ["MANY"]
    days = made.columns["days"]
    assert 77 not in [t["value"] for t in days["top"]]
    assert (days["min"], days["max"]) == (1, None)
    assert made.columns["lent"]["max"] is None
    told = json.dumps(made.columns)
    assert "RARE" not in told
    assert "ONE" not in told
    assert "2030" not in told


def test_forgotten_persons_hide_nothing(make: Make) -> None:
    select = f"i, '{NOBODY}', null, 'OLD', 3, 1, timestamp '2024-01-01'"
    branch = profile(people(make, select)).columns["branch"]
    assert [t["value"] for t in branch["top"]] == ["OLD"]


def test_a_table_of_no_persons_shows_its_extremes(make: Make) -> None:
    dataset = make(columns={"id": "bigint", "price": "numeric", "what": "text"}, key=["id"])
    fill(dataset, "i, i * 1.5, case when i < 4 then 'rare' else 'usual' end", 100)
    columns = profile(dataset).columns
    assert (columns["price"]["min"], columns["price"]["max"]) == (1.5, 150)
    assert [t["value"] for t in columns["what"]["top"]] == ["usual"]


@pytest.mark.parametrize("rows", [0, 1])
def test_hardly_any_rows(make: Make, rows: int) -> None:
    columns = profile(people(make, PLAIN, rows)).columns
    assert columns["days"]["rows"] == rows
    assert columns["days"]["mean"] is None, "it would be the one person's"
    assert columns["days"]["quantiles"] == {}


def test_odd_values_do_no_harm(make: Make) -> None:
    kinds = {"id": "bigint", "t": "text", "d": "double", "n": "numeric", "day": "date"}
    dataset = make(columns=kinds, key=["id"])
    fill(
        dataset,
        "i, case i % 4 when 0 then '' when 1 then e'a\\nb,\"c\"' when 2 then 'Ä\u00df' end,"
        " case when i % 2 = 0 then 'NaN' else 'infinity' end::float8, 'NaN'::numeric,"
        " case when i % 2 = 0 then 'infinity'::date else '2024-02-29' end",
        80,
    )
    columns = profile(dataset).columns
    values = {t["value"] for t in columns["t"]["top"]}
    assert values == {"", 'a\nb,"c"', "Ä\u00df"}
    assert columns["t"]["nulls"] == 20
    assert columns["d"]["max"] is None
    assert columns["day"]["max"] is None
    assert columns["day"]["min"] == "2024-02-29"
    json.dumps(columns, allow_nan=False)


def test_a_large_table_is_sampled_within_the_stated_error(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "ENOUGH", 5000)
    select = (
        "i, 'm' || i % 800, null, case when i % 5 = 0 then 'FIVE' else 'REST' end,"
        " (i * 7919) % 1000, 1, timestamp '2024-01-01'"
    )
    columns = profile(people(make, select, 60_000)).columns
    assert 4000 < columns["days"]["sample"] < 6000
    assert columns["days"]["quantiles"]["p50"] == pytest.approx(500, abs=40)
    assert columns["days"]["distinct"] == pytest.approx(1000, rel=0.1)
    assert columns["member"]["distinct"] == pytest.approx(800, rel=0.1)
    assert columns["loan"]["distinct"] == 60_000
    shares = {t["value"]: t["share"] for t in columns["branch"]["top"]}
    assert shares["FIVE"] == pytest.approx(0.2, abs=0.025)
    assert not columns["days"]["distinct_exact"]


def test_the_last_profile_is_compared_and_kept(make: Make) -> None:
    dataset = people(make, PLAIN)
    first = profile(dataset, run_id="one")
    assert first.drifted == []
    assert "drift" not in first.columns["branch"]
    again = profile(dataset, run_id="two")
    assert again.drifted == []
    assert again.columns["days"]["drift"]["psi"] == 0
    with connect() as connection:
        connection.execute(
            f"update silver.\"{dataset.table}\" set branch = 'LOST', days = days + 40".encode()
        )
    moved = profile(dataset, run_id="three")
    told = " ".join(moved.drifted)
    assert "branch: The distribution moved" in told
    assert "branch: Nulls went from 25.0% to 0.0%." in told
    assert "branch: New value 'LOST': 100.0% of the rows." in told
    assert "days: The distribution moved" in told
    assert last_profile(dataset)["branch"] == moved.columns["branch"]
    assert profile(dataset, keep=False).at > moved.at
    with connect() as connection:
        kept = connection.execute("select count(distinct run_id) from quality.profiles").fetchone()
    assert kept == (3,)
