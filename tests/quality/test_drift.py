"""PSI, its chance level, and what is said of a column that moved."""

import math
import random
from typing import Any

import pytest

from quality.drift import by_chance, drift, psi


def measures(**changes: Any) -> dict[str, Any]:
    plain = {"type": "text", "rows": 1000, "nulls": 0, "distinct": 2, "top": [], "bins": None}
    return plain | changes


def test_psi_is_siddiqis_sum() -> None:
    assert psi([500_000, 500_000], [250_000, 750_000]) == pytest.approx(
        -0.25 * math.log(0.5) + 0.25 * math.log(1.5), abs=1e-4
    )
    assert psi([10, 90, 0], [10, 90, 0]) == 0
    assert math.isfinite(psi([100, 0], [0, 100]))


def test_samples_of_one_population_rarely_exceed_the_chance_level() -> None:
    pick = random.Random(1)
    over = 0
    for _ in range(400):
        rows = [[pick.randrange(10) for _ in range(80)] for _ in range(2)]
        counts = [[row.count(i) for i in range(10)] for row in rows]
        over += psi(*counts) > by_chance(10, 80, 80)
    assert over <= 3
    assert by_chance(10, 80, 80) > 0.25, "a bare 0.25 would alarm on such small samples"


def test_a_moved_column_is_told() -> None:
    bins = {"values": ["NORTH", "SOUTH"], "counts": [500, 500, 0]}
    told = drift(measures(bins=bins), measures(), [100, 900, 0])
    assert told["level"] == "large"
    assert told["psi"] > 0.25
    (line,) = told["words"]
    assert "'NORTH' went from 50.0% to 10.0%" in line


def test_few_rows_do_not_drift() -> None:
    bins = {"edges": [1.0, 2.0], "counts": [5, 5, 5]}
    assert drift(measures(bins=bins), measures(), [8, 4, 3])["level"] == "none"


def test_nulls_and_types() -> None:
    told = drift(measures(nulls=10), measures(nulls=300), [])
    assert told["words"] == ["Nulls went from 1.0% to 30.0%."]
    assert drift(measures(nulls=10), measures(nulls=14), [])["words"] == []
    few = drift(measures(rows=10, nulls=0), measures(rows=10, nulls=1), [])
    assert few["words"] == [], "one row of ten is chance"
    assert drift(measures(), measures(type="date"), [])["level"] == "large"


def test_new_values_are_told_where_all_were_known() -> None:
    known = [{"value": "a", "share": 0.5}, {"value": "b", "share": 0.5}]
    now = measures(top=[*known, {"value": "c", "share": 0.2}], distinct=3)
    assert drift(measures(top=known), now, [])["words"] == ["New value 'c': 20.0% of the rows."]
    assert drift(measures(top=known, distinct=50), now, [])["words"] == []
