"""Flows as Prefect runs them: states, task runs, artifacts."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from flows.ingest import ingest, ingest_group
from flows.report import escaped
from tests.flows.fix_desk import Desk
from warehouse.errors import ConfigurationError, SourceMalformed

pytestmark = pytest.mark.usefixtures("prefect_server")


def asked(question: Any) -> Any:
    """What Prefect's API answers to `question(client)`."""
    from prefect import get_client

    async def ask() -> Any:
        async with get_client() as client:
            return await question(client)

    return asyncio.run(ask())


def artifacts(run_id: str) -> dict[str, Any]:
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(run_id)]))
    return {a.key: a for a in asked(lambda c: c.read_artifacts(artifact_filter=wanted))}


def test_a_run_reports_itself(desk: Desk) -> None:
    import json

    desk.files()
    result = ingest("desk_titles")
    flow_run = asked(lambda c: c.read_flow_run(UUID(result.run_id)))
    assert (flow_run.name, flow_run.state.name) == ("ingest desk_titles", "Completed")
    found = artifacts(result.run_id)
    table = json.loads(found["checks-desk-titles"].data)
    assert {
        "check": "not too many rows",
        "column": "",
        "severity": "critical",
        "measured": 2.0,
        "threshold": "must be less than: 1000000000",
        "outcome": "passed",
    } in table
    assert [r["check"] for r in table] == ["schema", "not too many rows"]
    said = found["ingest-desk-titles"].data
    assert "desk\\_titles: trusted" in said
    assert "| rows in | 2 |" in said
    assert "| desk\\_popular | held | " in said
    assert "Emma" not in said + str(table), "no row's values"


def test_a_failed_contract_ends_completed_quality_failed(desk: Desk) -> None:
    desk.files()
    desk.contract("titles", most=1)
    result = ingest("desk_titles")
    assert not result.verdict.publishes
    state = asked(lambda c: c.read_flow_run(UUID(result.run_id))).state
    assert (state.type.value, state.name) == ("COMPLETED", "Completed, quality failed")
    assert "desk_titles" in state.message


def test_warnings_end_completed_with_warnings(desk: Desk) -> None:
    desk.files()
    warn = "  - row_count: {qualifier: w, name: few, threshold: {must_be_less_than: 1},"
    desk.contract("titles", more=f"{warn} attributes: {{severity: warning}}}}\n")
    result = ingest("desk_titles")
    state = asked(lambda c: c.read_flow_run(UUID(result.run_id))).state
    assert (state.type.value, state.name) == ("COMPLETED", "Completed, with warnings")
    assert "desk_titles" in state.message


def test_a_run_leaves_a_scorecard(desk: Desk) -> None:
    import json

    desk.files()
    desk.contract("titles", most=1)
    result = ingest("desk_titles")
    card = json.loads(artifacts(result.run_id)["scorecard"].data)
    whole, *_ = [row for row in card if row["level"] == "whole"]
    assert whole["score"] == 50.0
    assert "dataset weight" in whole["formula"]
    (own,) = [row for row in card if row["level"] == "dataset" and not row["part"]]
    assert (own["subject"], own["outcome"]) == ("desk\\_titles", "held back")
    assert [row["lost"] for row in card if row["part"] == "volume"] == ["not too many rows"]
    assert "Emma" not in str(card)


def test_a_group_reports_each_dataset(desk: Desk) -> None:
    desk.files()
    result = ingest_group("desk")
    assert set(artifacts(result.run_id)) == {
        "datasets",
        "scorecard",
        *(f"{kind}-desk-{n}" for kind in ("checks", "ingest")
          for n in ("titles", "loans", "copies", "totals")),
    }  # fmt: skip


def test_a_failed_group_fails_after_the_others(desk: Desk) -> None:
    desk.files()
    path = desk.landing / "desk" / "loans.csv"
    path.write_text(path.read_text().replace("lent_at", "left_at"))
    with pytest.raises(SourceMalformed):
        ingest_group("desk")
    ((run_id,),) = desk.rows("select distinct run_id from ops.steps")
    state = asked(lambda c: c.read_flow_run(UUID(run_id))).state
    assert state.type.value == "FAILED"
    assert "left\\_at" in artifacts(run_id)["datasets"].data


def test_a_wrong_name_is_refused(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="'desk_nothing' is no dataset"):
        ingest("desk_nothing")
    assert desk.rows("select count(*) from ops.steps") == [(0,)]


def test_cells_are_shown_as_they_are() -> None:
    assert escaped("a|b\n<script>*x*") == "a\\|b \\<script\\>\\*x\\*"
