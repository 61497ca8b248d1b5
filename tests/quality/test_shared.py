"""Checks written once: what each finds in real rows, and what is said of a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quality.contract import read_contract
from quality.shared import SHIPPED, read_shared, shared_checks
from quality.verdict import judge
from warehouse.database import connect
from warehouse.errors import SpecError
from warehouse.spec import dataset

CONTRACT = """
dataset: carrel/carrel/silver/shop_loans
columns:
  - name: member_key
    checks: [{column_check}]
{checks}
"""


def contract_text(column_check: str = "{missing: }", checks: str = "") -> str:
    return CONTRACT.replace("{column_check}", column_check).replace("{checks}", checks)


def written(folder: Path, text: str) -> Path:
    path = folder / "contracts" / "shop" / "loans.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def measured(shop: Path, text: str) -> dict[str, tuple[str, float | None]]:
    written(shop, text)
    verdict = judge(dataset("shop_loans"))
    assert not verdict.message or "not held" in verdict.message, verdict
    return {c.name: (c.outcome, c.measured) for c in verdict.checks}


VALUES = {
    "email": (
        ["ada@example.org", "a.b+c@mail.example.co.uk", "x_y@a-b.museum"],
        ["ada", "ada@example", "a b@example.org", "@example.org", "a@-x.org", "a@b@c.org"],
    ),
    "phone": (
        ["+44 115 496 0000", "0115-496-0000", "(0115) 4960000", "030/1234567"],
        ["12345", "0115 496 OOOO", "1" * 16, "++44 115 496 0000", "call me"],
    ),
    "date_text": (
        ["2024-02-29", "1999-12-31", "2000-02-29"],
        ["2023-02-29", "2024-13-01", "2024-04-31", "24-01-01", "yesterday", "1900-02-29"],
    ),
    "isbn": (
        ["9780306406157", "0306406152", "080442957X", "9791234567896"],
        ["9780306406158", "0306406153", "978-0306406157", "080442957x", "97803064061", ""],
    ),
    "postcode": (
        ["NG1 1AA", "SW1A 1AA", "M1 1AE", "EC1A1BB", "GIR 0AA"],
        ["NG1", "12345", "NG1 1A", "Q1 1AA", "ng1 1aa"],
    ),
}


@pytest.mark.parametrize("check", VALUES)
def test_a_shared_check_finds_what_is_wrong(shop: Path, check: str) -> None:
    good, bad = VALUES[check]
    with connect() as connection:
        connection.execute("truncate silver.shop_loans")
        for i, value in enumerate([*good, *bad, None]):
            connection.execute(
                "insert into silver.shop_loans (loan_id, member_key, _load_id) values (%s, %s, 1)",
                [i, value],
            )
    (found,) = measured(shop, contract_text(f"{{use: {{check: {check}}}}}")).values()
    outcome, wrong = found
    rows = len(good) + len(bad) + 1
    wanted = 100 * len(bad) / rows if check == "isbn" else len(bad)
    assert (outcome, wrong) == ("failed", pytest.approx(wanted))
    with connect() as connection:
        connection.execute("delete from silver.shop_loans where loan_id >= %s", [len(good)])
    assert [
        o for o, _ in measured(shop, contract_text(f"{{use: {{check: {check}}}}}")).values()
    ] == ["passed"]


def test_a_postcode_of_another_country(shop: Path) -> None:
    with connect() as connection:
        connection.execute("update silver.shop_loans set member_key = '10115'")
    use = "{use: {check: postcode, with: {country: DE}}}"
    assert measured(shop, contract_text(use))["member_key is a postcode"] == ("passed", 0.0)


def test_rows_that_lead_nowhere_are_counted(shop: Path) -> None:
    """`known` between two columns of the table itself: 100 rows, of which half have a NORTH."""
    with connect() as connection:
        connection.execute(
            "update silver.shop_loans set member_key ="
            " case when loan_id <= 10 then null when loan_id <= 40 then 'EAST' else 'NORTH' end"
        )
    use = "checks:\n  - use: {check: known, with: {columns: member_key, to: shop_loans,"
    use += " key: branch_code%s}}\n"
    name = "member_key known in shop_loans"
    assert measured(shop, contract_text(checks=use % ""))[name] == (
        "failed",
        pytest.approx(100 * 30 / 90),
    )
    counting = measured(shop, contract_text(checks=use % ", empty: counts, most: 40"))
    assert counting[name] == ("passed", pytest.approx(40))


def test_volume_and_freshness(shop: Path) -> None:
    uses = "checks:\n  - use: {check: volume}\n  - use: {check: fresh, with: {newest: lent_at}}\n"
    found = measured(shop, contract_text(checks=uses))
    assert found["the last run read about as much as usual"] == ("passed", 100.0)
    assert found["lent_at is of the last days"][0] == "failed"
    with connect() as connection:
        for rows in (100, 110, 90, 100, 20):
            connection.execute(
                "insert into ops.loads (dataset, state, run_id, rows_in, rows_inserted,"
                " rows_updated, rows_unchanged, rows_quarantined, rows_ignored)"
                " values ('shop_loans', 'done', gen_random_uuid(), %s, %s, 0, 0, 0, 0)",
                [rows, rows],
            )
        connection.execute("update silver.shop_loans set lent_at = localtimestamp")
    found = measured(shop, contract_text(checks=uses))
    assert found["the last run read about as much as usual"] == ("failed", 20.0)
    assert found["lent_at is of the last days"][0] == "passed"


def load(rows: int, held: int, origin: int | None = None) -> int:
    """A load of a run of its own; returns its number."""
    with connect() as connection:
        found = connection.execute(
            "insert into ops.loads (dataset, state, run_id, origin, rows_in, rows_inserted,"
            " rows_updated, rows_unchanged, rows_quarantined, rows_ignored)"
            " values ('shop_loans', 'done', gen_random_uuid(), %s, %s, %s, 0, 0, %s, 0)"
            " returning load_id",
            [origin, rows, rows - held, held],
        ).fetchone()
    assert found
    return int(found[0])


def send_again(file: int, origin: int, lines: range, held: int) -> int:
    """A replay of lines that a load held back."""
    again = load(len(lines), held, origin)
    with connect() as connection:
        connection.execute(
            "insert into ops.replays select %s, n, %s, n, %s, n, true, false"
            " from generate_series(%s::bigint, %s) n",
            [again, file, origin, lines[0], lines[-1]],
        )
    return again


def test_records_sent_again_are_judged_in_their_file(shop: Path) -> None:
    """One record mended makes no file good, and one that is still bad none worse; both are real."""
    uses = contract_text(checks="checks:\n  - use: {check: quarantine}\n  - use: {check: volume}\n")
    few, usual = (
        "few records of the last run in quarantine",
        "the last run read about as much as usual",
    )
    for _ in range(4):
        load(1000, 0)
    file = load(1000, 150)
    assert measured(shop, uses)[few] == ("failed", 15.0)
    send_again(file, file, range(1, 2), held=0)
    assert measured(shop, uses)[few] == ("failed", pytest.approx(14.9))
    part = send_again(file, file, range(2, 102), held=1)
    found = measured(shop, uses)
    assert found[few] == ("passed", pytest.approx(5.0))
    assert found[usual] == ("passed", 100.0)
    send_again(part, file, range(101, 102), held=1)
    assert measured(shop, uses)[few] == ("passed", pytest.approx(5.0))


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yml")), ids=lambda p: p.stem)
def test_shipped_ones_are_valid_and_explained(path: Path) -> None:
    shared = read_shared(path)
    assert shared.meaning
    assert all(p.meaning for p in shared.parameters.values())


@pytest.mark.parametrize(
    ("use", "named"),
    [
        ("{check: emial}", "emial"),
        ("{chek: email}", "check: NAME"),
        ("{check: isbn, with: {mots: 3}}", "mots"),
        ("{check: isbn, with: {most: few}}", "number"),
        ("{check: isbn, with: [3]}", "mapping"),
        ("{check: isbn, treshold: 3}", "treshold"),
        ("{check: isbn, attributes: {severty: info}}", "severty"),
        ("{check: isbn, attributes: {severity: fatal}}", "fatal"),
        ("{check: postcode, with: {country: XX}}", "GB"),
        ("{check: known}", "to is missing"),
        ("{check: known, with: {to: 'a; drop table b'}}", "name"),
        ("{check: known, with: {to: a, columns: ['b, c']}}", "name or list of names"),
    ],
)
def test_a_wrong_use_is_named(tmp_path: Path, use: str, named: str) -> None:
    path = written(tmp_path, contract_text(f"{{use: {use}}}"))
    with pytest.raises(SpecError, match=named):
        read_contract(path, "shop_loans")


OWN = """
meaning: Rows of one branch alone.
parameters:
  branch: {is: one_of, meaning: Which, values: {north: NORTH, south: SOUTH}}
check:
  failed_rows:
    name: only one branch
    expression: branch_code <> '{branch}'
    threshold: {metric: percent, must_be_less_than: 10}
"""


@pytest.mark.parametrize(
    ("was", "becomes", "named"),
    [
        ("meaning: Rows", "meening: Rows", "meening"),
        ("check:", "chek:", "chek"),
        ("is: one_of, ", "", "branch.is"),
        ("is: one_of", "is: on_of", "branch"),
        ("values:", "vals:", "vals"),
        ("  failed_rows", "  failedrows", "failedrows"),
        ("must_be_less_than", "must_be_lesser_than", "must_be_lesser_than"),
        ("expression:", "expresion:", "expresion"),
        ("metric: percent", "metric: percent, metric: count", "metric"),
        ("'{branch}'", "'${env.HOME}'", "variable"),
    ],
)
def test_a_wrong_shared_check_is_named_by_its_own_file(
    shop: Path, was: str, becomes: str, named: str
) -> None:
    assert was in OWN
    (shop / "checks").mkdir()
    own = shop / "checks" / "one_branch.yml"
    own.write_text(OWN.replace(was, becomes, 1))
    use = "checks:\n  - use: {check: one_branch, with: {branch: north}}\n"
    with pytest.raises(SpecError, match=named) as error:
        read_contract(written(shop, contract_text(checks=use)), "shop_loans")
    assert str(own) in str(error.value)


def test_a_project_has_its_own_and_severity_is_the_uses(shop: Path) -> None:
    (shop / "checks").mkdir()
    (shop / "checks" / "one_branch.yml").write_text(OWN)
    use = "checks:\n  - use: {check: one_branch, with: {branch: north}, name: north alone,"
    path = written(shop, contract_text(checks=use + " attributes: {severity: warning}}\n"))
    (made,) = read_contract(path, "shop_loans").content["checks"]
    assert made["failed_rows"]["expression"] == "branch_code <> 'NORTH'"
    verdict = judge(dataset("shop_loans"))
    assert (verdict.outcome, verdict.standing) == ("passed", "warnings")
    assert verdict.message == "warnings: north alone"


def test_a_shipped_name_is_taken(shop: Path, setting: Callable[..., None]) -> None:
    (shop / "checks").mkdir()
    (shop / "checks" / "email.yml").write_text(OWN)
    with pytest.raises(SpecError, match="ships a check"):
        shared_checks()
