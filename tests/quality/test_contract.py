"""A wrong contract is refused, and the message names the file and the key."""

from pathlib import Path

import pytest

from quality.contract import SHIPPED, contract, read_contract
from warehouse.database import connect
from warehouse.errors import SpecError
from warehouse.spec import Dataset, datasets

GOOD = """
dataset: carrel/carrel/silver/shop_loans
columns:
  - name: loan_id
    data_type: bigint
    checks: [{missing: }, {invalid: {valid_min: 1}}]
checks:
  - row_count: {threshold: {must_be_greater_than: 0}}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "loans.yml"
    path.write_text(text)
    return path


def test_a_good_contract_is_read(tmp_path: Path) -> None:
    read = read_contract(written(tmp_path, GOOD), "shop_loans")
    assert read.content["columns"][0]["name"] == "loan_id"


@pytest.mark.parametrize(
    ("was", "becomes", "named"),
    [
        ("must_be_greater_than", "must_be_more_than", "must_be_more_than"),
        ("threshold:", "treshold:", "treshold"),
        ("row_count:", "rowcount:", "rowcount"),
        ("{missing: }", "{mising: }", "mising"),
        ("valid_min:", "valid_minimum:", "valid_minimum"),
        ("    checks:", "    cheks:", "cheks"),
        ("data_type:", "datatype:", "datatype"),
        ("\nchecks:", "\ncheks:", "cheks"),
        ("{missing: }", "{}", "columns[0].checks[0]"),
        ("valid_min: 1", "valid_min: 1, valid_min: 2", "valid_min"),
        ("valid_min: 1", "valid_values: one", "valid_values"),
        ("silver/shop_loans", "silver/shop_lines", "shop_loans"),
        ("silver/shop_loans", "bronze/shop_loans", "shop_loans"),
        ("must_be_greater_than: 0", 'must_be_greater_than: "${env.HOME}"', "variable"),
        ("valid_min: 1", 'valid_values: ["${var.x}"]', "variable"),
        ("{missing: }", "{missing: }, {missing: }", "columns.loan_id.checks.missing"),
        ("columns:", "columns: [", "YAML"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, was: str, becomes: str, named: str) -> None:
    assert was in GOOD
    path = written(tmp_path, GOOD.replace(was, becomes, 1))
    with pytest.raises(SpecError) as error:
        read_contract(path, "shop_loans")
    assert str(path) in str(error.value)
    assert named in str(error.value)


def test_a_contract_without_checks_is_refused(tmp_path: Path) -> None:
    text = "dataset: carrel/carrel/silver/shop_loans\ncolumns: [{name: loan_id}]\n"
    with pytest.raises(SpecError, match="no check"):
        read_contract(written(tmp_path, text), "shop_loans")


def test_two_checks_of_one_name_are_refused(tmp_path: Path) -> None:
    text = GOOD.replace("{missing: }", "{missing: {name: a}}").replace(
        "row_count: {", "row_count: {name: a, "
    )
    with pytest.raises(SpecError, match="two checks are called a"):
        read_contract(written(tmp_path, text), "shop_loans")


@pytest.mark.parametrize("dataset", datasets().values(), ids=lambda d: d.table)
def test_every_dataset_has_a_valid_contract(dataset: Dataset) -> None:
    assert contract(dataset).path.stem == dataset.name


def test_every_shipped_contract_is_of_a_dataset() -> None:
    shipped = {f"{p.parent.name}_{p.stem}" for p in SHIPPED.glob("*/*.yml")}
    assert shipped <= set(datasets())


def held_back(contract_of: Dataset) -> float:
    """What the contract's check of held-back records measures now, in percent."""
    check = "few records of the last run in quarantine"
    ((query,),) = [
        (c["metric"]["query"],)
        for c in contract(contract_of).content["checks"]
        if c.get("metric", {}).get("name") == check
    ]
    with connect() as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row
    return float(row[0])


def test_a_bad_file_among_good_ones_is_seen(database: str) -> None:
    branches = datasets()["library_branches"]
    assert held_back(branches) == 0
    loads = [("one", 100, 90), ("two", 100, 40), ("two", 0, 0), ("two", 100, 1)]
    with connect() as connection:
        for run, rows, bad in loads:
            connection.execute(
                "insert into ops.loads (dataset, state, run_id, rows_in, rows_inserted,"
                " rows_updated, rows_unchanged, rows_quarantined, rows_ignored)"
                " values ('library_branches', 'done', %s, %s, %s, 0, 0, %s, 0)",
                [run, rows, rows - bad, bad],
            )
    assert held_back(branches) == 40
