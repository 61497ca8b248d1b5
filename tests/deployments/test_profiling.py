"""`carrel profile` and `carrel anomalies` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from deployments.cli import app
from quality.profile import profile
from tests.warehouse.fix_shop import shop
from warehouse.spec import dataset

__all__ = ["shop"]


def carrel(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.output


def test_profile_prints_a_table(shop: Path) -> None:
    code, output = carrel("profile", "shop_loans")
    assert code == 0
    assert "shop_loans: 100 rows" in output
    assert "personal: counts only" in output
    assert "NORTH 50%" in output


def test_profile_as_json_and_the_last_one(shop: Path) -> None:
    code, output = carrel("profile", "shop_loans", "--last")
    assert code == 1
    assert "no profile yet" in output
    profile(dataset("shop_loans"))
    code, output = carrel("profile", "shop_loans", "--last", "--json")
    assert code == 0
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["column"] for line in lines] == ["loan_id", "branch_code", "member_key", "lent_at"]


def test_anomalies(shop: Path) -> None:
    code, output = carrel("anomalies", "shop_loans")
    assert (code, output.strip()) == (0, "Nothing unusual.")
    code, output = carrel("anomalies", "--day", "soon")
    assert code == 2
    assert "'soon' is no day" in output
    assert carrel("profile", "nothing")[0] == 2
