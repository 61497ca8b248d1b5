"""Runs with their steps, and runs that are asked for."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from bi_app.api.rest import answers, shapes
from bi_app.api.rest.once import Key, once
from bi_app.api.rest.paging import After, Limit, opened, page
from bi_app.api.rest.problems import Problem, address
from bi_app.api.rest.who import Acts, Reads
from bi_app.models.dataset import names
from bi_app.queries import Noted, rows, write

router = APIRouter(tags=["runs"])
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
OfDataset = Annotated[shapes.Name | None, Query(description="Of this dataset alone")]


@router.get("/runs", response_model=shapes.Runs)
async def runs(
    request: Request,
    caller: Reads,
    dataset: OfDataset = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Runs, newest first."""
    before = opened(after, (int,)) or [None]
    asked = {"dataset": dataset, "before": before[0], "limit": limit + 1}
    found = await run_in_threadpool(rows, caller.viewer, "runs", asked)
    made = page(request, found, limit, lambda r: [r["first_step"]])
    made["items"] = [{k: v for k, v in r.items() if k != "first_step"} for r in made["items"]]
    return answers.sent(made)


@router.get("/runs/{run_id}", response_model=shapes.RunSteps)
async def run_steps(
    caller: Reads, run_id: Annotated[str, Path(pattern=r"^[^\x00-\x1f/]{1,200}$")]
) -> Response:
    """The steps of a run, in order."""
    found = await run_in_threadpool(rows, caller.viewer, "run_steps", {"run_id": run_id})
    if not found:
        raise Problem(404, "There is no such run.")
    return answers.sent({"run_id": run_id, "steps": found})


@router.post("/run-requests", status_code=202, response_model=shapes.RunRequest)
async def ask_to_run(
    request: Request, caller: Acts, asked: shapes.RunAsked, key: Key = None
) -> Response:
    """Ask for a run of a dataset now. It starts in a moment; look at the request for its state."""

    def ask() -> tuple[int, Any]:
        if asked.dataset not in names(caller.viewer):
            raise Problem(404, "There is no such dataset.")
        noted = Noted("run", asked.dataset, address(request), door="api")
        made = write(caller.viewer, "ask", {"action": "run", "subject": asked.dataset}, noted)
        return 202, rows(caller.viewer, "request", {"request": made[0]["request_id"]})[0]

    return await once(request, caller, key, ask)


@router.get("/run-requests", response_model=shapes.RunRequests)
async def run_requests(caller: Reads) -> Response:
    """What was asked for in the last seven days, newest first."""
    return answers.sent({"items": await run_in_threadpool(rows, caller.viewer, "requests")})


@router.get("/run-requests/{request_id}", response_model=shapes.RunRequest)
async def run_request(caller: Reads, request_id: Id) -> Response:
    """What became of a run that was asked for."""
    found = await run_in_threadpool(rows, caller.viewer, "request", {"request": request_id})
    if not found:
        raise Problem(404, "There is no such request.")
    return answers.sent(found[0])
