"""Soda judges real rows; the gate opens only when every check was evaluated and held."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quality.verdict import judge, standing
from warehouse.database import connect
from warehouse.errors import SpecError
from warehouse.spec import dataset

HEAD = """
dataset: carrel/carrel/silver/shop_loans
columns:
  - {name: loan_id, data_type: bigint, checks: [{missing: }, {duplicate: }]}
  - {name: branch_code, data_type: text, checks: [{invalid: {valid_values: [NORTH, SOUTH]}}]}
  - {name: member_key, data_type: text}
  - {name: lent_at, data_type: timestamp}
  - {name: _load_id, data_type: bigint}
  - {name: _hash, data_type: bigint}
checks:
  - schema:
"""
Write = Callable[[str], None]


@pytest.fixture
def write(shop: Path) -> Write:
    """Writes the contract of shop_loans: the head and further lines."""

    def write(more: str = "", head: str = HEAD) -> None:
        path = shop / "contracts" / "shop" / "loans.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + more)

    return write


def saved() -> dict[str, tuple[Any, ...]]:
    with connect() as connection:
        rows = connection.execute(
            "select name, check_type, column_name, outcome, measured, threshold"
            " from quality.results"
            " where verdict_id = (select max(verdict_id) from quality.verdicts)"
        ).fetchall()
    return {name: tuple(rest) for name, *rest in rows}


def test_what_holds_passes_and_is_kept(write: Write) -> None:
    write(
        "  - row_count: {name: some loans, threshold: {must_be_between: "
        "{greater_than: 1, less_than: 500}}}\n"
    )
    verdict = judge(dataset("shop_loans"), run_id="r1")
    assert (verdict.outcome, verdict.publishes, verdict.passed) == ("passed", True, 5), verdict
    assert saved()["some loans"] == (
        "row_count",
        None,
        "passed",
        100.0,
        "must be greater than: 1 and must be less than: 500",
    )
    assert saved()["loan_id: duplicate"][2:4] == ("passed", 0.0)
    assert standing(["shop_loans"]) == {"shop_loans": "passed"}


def test_what_does_not_hold_fails(write: Write) -> None:
    write("  - row_count: {name: many loans, threshold: {must_be_greater_than: 100}}\n")
    verdict = judge(dataset("shop_loans"))
    assert (verdict.outcome, verdict.publishes) == ("failed", False)
    assert verdict.message == "not held: many loans"
    assert saved()["many loans"][2:4] == ("failed", 100.0)
    assert saved()["loan_id: missing"][2] == "passed"


def test_a_check_that_cannot_be_evaluated_never_publishes(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    """A cast fails in PostgreSQL, whose message quotes a row's value: it must not get out."""
    with connect() as connection:
        connection.execute("update silver.shop_loans set member_key = 'Ada Lovelace'")
    caplog.set_level(logging.DEBUG)
    write('  - failed_rows: {name: cast, expression: "member_key::integer > 3"}\n')
    verdict = judge(dataset("shop_loans"))
    assert (verdict.outcome, verdict.publishes) == ("error", False)
    assert "invalid input syntax" in str(verdict.message)
    everything = f"{verdict} {saved()} {caplog.text} {json.dumps(str(verdict.checks))}"
    assert "Lovelace" not in everything


def test_a_missing_column_fails(write: Write) -> None:
    write(head=HEAD.replace("member_key", "member_kye"))
    verdict = judge(dataset("shop_loans"))
    assert verdict.outcome == "failed"
    assert saved()["schema"][2] == "failed"


def test_a_column_that_came_later_may_stand_last(write: Write) -> None:
    lines = HEAD.splitlines(keepends=True)
    swapped = "".join([*lines[:3], lines[4], lines[3], *lines[5:]])
    assert swapped != HEAD
    write(head=swapped)
    assert judge(dataset("shop_loans")).publishes
    write(head=swapped.replace("schema:", "schema: {allow_other_column_order: false}"))
    assert not judge(dataset("shop_loans")).publishes


def test_checks_of_a_kind_keep_names_apart(write: Write) -> None:
    write(
        "  - duplicate: {columns: [branch_code, lent_at]}\n"
        "  - duplicate: {columns: [loan_id, lent_at], qualifier: b}\n"
        "  - duplicate: {columns: [loan_id, branch_code], qualifier: c}\n"
    )
    judge(dataset("shop_loans"))
    assert {"duplicate", "duplicate b", "duplicate c"} <= set(saved())


def test_a_contract_cannot_write(write: Write) -> None:
    write(
        "  - metric: {name: sly, threshold: {must_be: 1}, query: "
        '"with gone as (delete from silver.shop_loans returning 1) select count(*) from gone"}\n'
    )
    assert judge(dataset("shop_loans")).outcome == "error"
    with connect() as connection:
        assert connection.execute("select count(*) from silver.shop_loans").fetchone() == (100,)


def test_a_dataset_without_a_contract_is_refused(shop: Path) -> None:
    with pytest.raises(SpecError, match=r"shop.loans\.yml.*no contract"):
        judge(dataset("shop_loans"))


def test_the_password_is_written_nowhere(
    write: Write, caplog: pytest.LogCaptureFixture, setting: Callable[..., None]
) -> None:
    from warehouse.settings import settings

    write()
    caplog.set_level(logging.DEBUG)
    judge(dataset("shop_loans"))
    assert settings().secrets["owner"] not in caplog.text


@pytest.mark.parametrize(
    ("severity", "outcome", "standing_", "message"),
    [
        ("critical", "failed", "held back", "not held: many loans"),
        ("warning", "passed", "warnings", "warnings: many loans"),
        ("info", "passed", "trusted", None),
    ],
)
def test_severity_decides_what_follows(
    write: Write, severity: str, outcome: str, standing_: str, message: str | None
) -> None:
    write(
        "  - row_count: {name: many loans, threshold: {must_be_greater_than: 100},"
        f" attributes: {{severity: {severity}}}}}\n"
        "  - metric: {name: sum, query: select 1, threshold: {must_be: 1},"
        " attributes: {severity: info, part: volume}}\n"
    )
    verdict = judge(dataset("shop_loans"), run_id="r1")
    assert (verdict.outcome, verdict.standing) == (outcome, standing_)
    assert verdict.message == message
    with connect() as connection:
        row = connection.execute(
            "select outcome, measured, severity, part, run_id, day >= current_date - 1"
            " from quality.history where dataset = 'shop_loans' and name = 'many loans'"
        ).fetchone()
        kept = connection.execute("select warnings from quality.verdicts").fetchone()
    assert row == ("failed", 100.0, severity, "volume", "r1", True)
    assert kept == (int(severity == "warning"),)


def test_a_threshold_that_only_warns_is_a_warning(write: Write) -> None:
    write("  - row_count: {name: many, threshold: {level: warn, must_be_greater_than: 100}}\n")
    verdict = judge(dataset("shop_loans"))
    assert (verdict.publishes, verdict.standing) == (True, "warnings")


def test_a_warning_that_cannot_be_evaluated_holds_back_too(write: Write) -> None:
    write(
        '  - failed_rows: {name: cast, expression: "member_key::integer > 3",'
        " attributes: {severity: warning}}\n"
    )
    assert judge(dataset("shop_loans")).standing == "held back"
