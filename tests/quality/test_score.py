"""The health score is its formula, is kept with what made it, and follows the settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quality.contract import PARTS
from quality.score import Member, Weights, dataset_score, group_score, standing_scores, weights
from quality.soda import Check
from quality.verdict import judge
from warehouse.database import connect
from warehouse.errors import ConfigurationError
from warehouse.spec import dataset

PLAIN = Weights(dict.fromkeys(PARTS, 1.0), {"critical": 3.0, "warning": 1.0, "info": 0.0}, {})
HEAD = """
dataset: carrel/carrel/silver/shop_loans
columns:
  - {name: loan_id, data_type: bigint, checks: [{missing: }, {duplicate: }]}
  - {name: branch_code, checks: [{missing: {attributes: {severity: warning},
      threshold: {must_be_greater_than: 0}}}]}
"""


def check(name: str, part: str, outcome: str = "passed", severity: str = "critical") -> Check:
    return Check(name, "metric", None, 1.0, "", outcome, severity, part)


def test_the_documented_example() -> None:
    """The example of docs/quality.md, worked out there by hand."""
    checks = [
        check("a", "completeness"),
        check("b", "completeness", "failed", "warning"),
        check("c", "validity"),
        check("d", "validity", "warned"),
        check("e", "volume", "failed"),
        check("f", "rules", "failed", "info"),
    ]
    score = dataset_score("shop_loans", checks, PLAIN)
    assert score is not None
    assert [(p.part, p.score, p.held, p.checks) for p in score.parts] == [  # type: ignore[union-attr]
        ("completeness", 75.0, 1, 2),
        ("validity", 75.0, 1, 2),
        ("volume", 0.0, 0, 1),
    ]
    assert score.score == 50.0
    assert "critical 3, warning 1, info 0" in score.formula


def test_all_held_is_100_and_unmeasured_is_not_held() -> None:
    held = [check("a", "validity"), check("b", "rules", severity="warning")]
    assert dataset_score("x", held, PLAIN).score == 100  # type: ignore[union-attr]
    unknown = [check("a", "validity", "not evaluated")]
    assert dataset_score("x", unknown, PLAIN).score == 0  # type: ignore[union-attr]
    assert dataset_score("x", [check("f", "rules", "failed", "info")], PLAIN) is None


def test_a_group_is_the_mean_by_weight() -> None:
    members = [Member("a", 1, 100), Member("b", 3, 60), Member("c", 0, 0)]
    score = group_score("pipeline", "shop", members)
    assert score is not None
    assert score.score == 70
    assert [m.dataset for m in score.parts] == ["a", "b"]  # type: ignore[union-attr]
    assert group_score("whole", "all", []) is None


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("score_parts", "validty=2", "CARREL_SCORE_PARTS: 'validty'"),
        ("score_severities", "fatal=2", "CARREL_SCORE_SEVERITIES: 'fatal'"),
        ("score_parts", "validity", "no `name=weight`"),
        ("score_datasets", "a=-1", "CARREL_SCORE_DATASETS"),
    ],
)
def test_a_wrong_weight_is_named(
    setting: Callable[..., None], name: str, value: str, named: str
) -> None:
    setting(**{name: value})
    with pytest.raises(ConfigurationError, match=named):
        weights()


def kept() -> dict[tuple[str, str], dict[str, Any]]:
    with connect() as connection:
        rows = connection.execute(
            "select level, subject, score, weight, formula, parts, verdict_id, run_id"
            " from quality.scores order by score_id"
        ).fetchall()
    return {(r[0], r[1]): {"score": float(r[2]), "parts": r[5], "row": r} for r in rows}


def test_scores_are_kept_with_each_run(shop: Path, setting: Callable[..., None]) -> None:
    path = shop / "contracts" / "shop" / "loans.yml"
    path.parent.mkdir(parents=True)
    path.write_text(HEAD)
    setting(project=shop, score_parts="uniqueness=2", score_datasets="shop_loans=0.5")
    verdict = judge(dataset("shop_loans"), run_id="r1")
    assert verdict.standing == "warnings"
    found = kept()
    assert set(found) == {("dataset", "shop_loans"), ("pipeline", "shop"), ("whole", "all")}
    own = found["dataset", "shop_loans"]
    assert own["score"] == round((75 + 2 * 100) / 3, 2)
    assert own["parts"][0]["lost"] == ["branch_code: missing"]
    assert own["row"][3] == 0.5
    assert own["row"][6] == verdict.verdict_id
    assert all(row["row"][4] for row in found.values()), "no score without its formula"
    judge(dataset("shop_loans"), run_id="r1")
    judge(dataset("shop_loans"), run_id="r2")
    with connect() as connection:
        counted = connection.execute(
            "select run_id, count(*) from quality.scores group by 1 order by 1"
        ).fetchall()
    assert counted == [("r1", 3), ("r2", 3)], "one a subject and run"
    newest = standing_scores()
    assert [s.level for s in newest] == ["whole", "pipeline", "dataset"]
    assert newest[2].outcome == "warnings"
    assert json.dumps(newest[0].parts)


def test_a_wrong_weight_stops_before_the_verdict(shop: Path, setting: Callable[..., None]) -> None:
    path = shop / "contracts" / "shop" / "loans.yml"
    path.parent.mkdir(parents=True)
    path.write_text(HEAD)
    setting(project=shop, score_parts="nonsense=1")
    with pytest.raises(ConfigurationError):
        judge(dataset("shop_loans"))
    setting(project=shop, score_parts="")
    assert kept() == {}
