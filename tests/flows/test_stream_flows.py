"""What is done to streams by the calendar, as flows: how each ends, what it shows, its alerts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.stream import (
    analyse_streams,
    rebuild_streams,
    restate_streams,
    retain_streams,
    review_checkpoints,
)
from quality.alerts import PASSES
from tasks.stream.consume import consume
from tests.fix_stream import ask, message, send
from warehouse import alerts
from warehouse.database import connect
from warehouse.streams import Stream

pytestmark = pytest.mark.usefixtures("prefect_server")


def artifact(key: str) -> list[dict[str, Any]]:
    """The newest table of a key."""
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
    with get_client(sync_client=True) as client:
        found = max(client.read_artifacts(artifact_filter=wanted), key=lambda a: a.created or 0)
    data = found.data
    return list(json.loads(data) if isinstance(data, str) else data)  # type: ignore[arg-type]


def test_the_weekly_rebuild_says_what_differed_and_right_ones_close_the_alert(
    sales: Stream,
) -> None:
    send(sales, message(1), message(2))
    consume(sales, once=True)
    with connect() as connection:
        connection.execute("update silver.retail_sales_by set net = 0 where dimension = 'total'")
    state = rebuild_streams(return_state=True)
    assert (state.type, state.name) == ("COMPLETED", "Completed, with differences")
    assert artifact("stream-rebuild") == [{"stream": "retail_sales", "events": 2, "differing": 1}]
    (alert,) = alerts.inbox("the tests")
    assert alert.title == "retail_sales: verify failed (validation)"
    assert ask("select net from silver.retail_sales_by where dimension = 'total'") == [(6,)]
    for _ in range(PASSES):
        assert rebuild_streams(return_state=True).name == "Completed"
    assert alerts.inbox("the tests") == []
    assert ask("select events, differing from ops.stream_rebuilds order by 1, 2") == [
        *[(2, 0)] * PASSES,
        (2, 1),
    ]


def test_sales_are_analysed_where_some_have_come(sales: Stream) -> None:
    assert analyse_streams() == []
    send(sales, message(1), message(2, invoice="C1", quantity=-2))
    consume(sales, once=True)
    (done,) = analyse_streams()
    assert (done["stream"], done["lines"]) == ("retail_sales", 2)
    assert artifact("stream-analysis") == [done]
    assert ask("select outcome, lines from gold.retail_cancellations") == [("no customer", 1)]
    assert analyse_streams() == [], "nothing has come since"


def test_late_events_are_folded_in_when_a_person_runs_the_flow(sales: Stream) -> None:
    send(sales, message(1, 30), message(2))
    consume(sales, once=True)
    assert restate_streams() == 1
    assert artifact("stream-restatement") == [{"stream": "retail_sales", "late events": 1}]
    assert ask("select lines, restated_at is not null from silver.retail_sales_by"
               " where dimension = 'total'") == [(2, True)]  # fmt: skip
    assert restate_streams() == 0


def test_retention_tells_what_went(sales: Stream) -> None:
    send(sales, b"{")
    consume(sales, once=True)
    with connect() as connection:
        connection.execute(
            "update quarantine.retail_sales set quarantined_at = now() - interval '31 days'"
        )
    assert retain_streams() == 1
    (row,) = artifact("stream-retention")
    assert (row["what"], row["rows"]) == ("quarantine", 1)
    assert ask("select what, rows, run_id is not null from ops.removals") == [
        ("quarantine", 1, True)
    ]
    assert retain_streams() == 0


def test_the_review_ends_with_faults_where_a_person_must_look(sales: Stream) -> None:
    send(sales, message(1))
    consume(sales, once=True)
    assert review_checkpoints(return_state=True).name == "Completed"
    with connect() as connection:
        connection.execute("update ops.stream_partitions set next_offset = 99 where partition = 0")
    state = review_checkpoints(return_state=True)
    assert state.name == "Completed, with faults"
    assert [a.title for a in alerts.inbox("the tests")] == [
        "retail_sales: review failed (validation)"
    ]
    assert "the log ends at 1" in artifact("stream-checkpoints")[0]["found"]
