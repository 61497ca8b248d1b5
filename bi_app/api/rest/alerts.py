"""Alerts: what is wrong, since when, who is on it; and what admins do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from bi_app.api.rest import answers, shapes
from bi_app.api.rest.once import Key, once
from bi_app.api.rest.paging import After, Limit, opened, page
from bi_app.api.rest.problems import Problem, address
from bi_app.api.rest.who import Acts, Reads
from bi_app.auth.callers import Caller
from bi_app.queries import Noted, rows, write
from warehouse.access import Viewer

router = APIRouter(tags=["alerts"])
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
State = Literal["open", "acknowledged", "assigned", "resolved"]
NOT_ASKED = {"state": None, "dataset": None, "before": None, "alert": None}


@router.get("/alerts", response_model=shapes.Alerts)
async def alerts(  # noqa: PLR0913, PLR0917 - as the address has it
    request: Request,
    caller: Reads,
    state: State | None = None,
    dataset: Annotated[shapes.Name | None, Query()] = None,
    limit: Limit = 100,
    after: After = None,
) -> Response:
    """Alerts, the newest first; resolved ones too, unless a state is asked for."""
    before = opened(after, (int,)) or [None]
    asked = {"state": state, "dataset": dataset, "before": before[0], "limit": limit + 1}
    found = await run_in_threadpool(rows, caller.viewer, "alerts_page", NOT_ASKED | asked)
    return answers.sent(page(request, found, limit, lambda a: [a["alert_id"]]))


@router.get("/alerts/{alert_id}", response_model=shapes.AlertWhole)
async def alert(caller: Reads, alert_id: Id) -> Response:
    """One alert, with what it is made of and its record."""
    return answers.sent(await run_in_threadpool(_whole, caller.viewer, alert_id))


def _whole(viewer: Viewer, number: int) -> Mapping[str, Any]:
    found = rows(viewer, "alerts_page", NOT_ASKED | {"alert": number, "limit": 1})
    if not found:
        raise Problem(404, "There is no such alert.")
    asked = {"alert": number}
    parts, events = rows(viewer, "alert_parts", asked), rows(viewer, "alert_events", asked)
    return {
        **found[0],
        "parts": [{k: v for k, v in p.items() if k != "last_at"} for p in parts],
        "events": events,
    }


@router.post("/alerts/{alert_id}/acknowledge", response_model=shapes.AlertWhole)
async def acknowledge(
    request: Request, caller: Acts, alert_id: Id, asked: shapes.Noted, key: Key = None
) -> Response:
    """Say that somebody has seen it."""
    return await _act(request, caller, key, alert_id, "acknowledge", asked)


@router.post("/alerts/{alert_id}/assign", response_model=shapes.AlertWhole)
async def assign(
    request: Request, caller: Acts, alert_id: Id, asked: shapes.Assign, key: Key = None
) -> Response:
    """Say who is on it."""
    return await _act(request, caller, key, alert_id, "assign", asked)


@router.post("/alerts/{alert_id}/resolve", response_model=shapes.AlertWhole)
async def resolve(
    request: Request, caller: Acts, alert_id: Id, asked: shapes.Resolve, key: Key = None
) -> Response:
    """Close it, with the reason; it opens again when it is seen again."""
    return await _act(request, caller, key, alert_id, "resolve", asked)


@router.post("/alerts/{alert_id}/reopen", response_model=shapes.AlertWhole)
async def reopen(
    request: Request, caller: Acts, alert_id: Id, asked: shapes.Noted, key: Key = None
) -> Response:
    """Open a resolved one again."""
    return await _act(request, caller, key, alert_id, "reopen", asked)


@router.post("/alerts/{alert_id}/snooze", response_model=shapes.AlertWhole)
async def snooze(
    request: Request, caller: Acts, alert_id: Id, asked: shapes.Snooze, key: Key = None
) -> Response:
    """Tell nobody of it until a time."""
    return await _act(request, caller, key, alert_id, "snooze", asked)


@router.post("/alerts/{alert_id}/wake", response_model=shapes.AlertWhole)
async def wake(
    request: Request, caller: Acts, alert_id: Id, asked: shapes.Noted, key: Key = None
) -> Response:
    """End its silence."""
    return await _act(request, caller, key, alert_id, "wake", asked)


async def _act(  # noqa: PLR0913, PLR0917
    request: Request,
    caller: Caller,
    key: str | None,
    number: int,
    act: str,
    asked: shapes.Noted,
) -> Response:
    """Do it as the caller; PostgreSQL says whether that is theirs to do, and legal."""

    def do() -> tuple[int, Any]:
        told = asked.model_dump()
        values = {
            "alert": number, "act": act, "because": told.get("note"),
            "person": told.get("person"), "why": told.get("reason"), "until": told.get("until"),
        }  # fmt: skip
        if not rows(caller.viewer, "alerts_page", NOT_ASKED | {"alert": number, "limit": 1}):
            raise Problem(404, "There is no such alert.")
        noted = Noted("alert", f"alert {number}", address(request), {"did": act}, "api")
        write(caller.viewer, "alert_act", values, noted)
        return 200, _whole(caller.viewer, number)

    return await once(request, caller, key, do)
