"""Whether the API is there, and whether it can answer: for everyone, and nothing more than that."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from bi_app.api.rest import answers, shapes
from bi_app.auth.sql import run

log = logging.getLogger(__name__)
router = APIRouter(tags=["health"])
AGAIN = {"Retry-After": "5"}


@router.get("/live", response_model=shapes.State)
async def live() -> Response:
    """The process answers; asks nobody."""
    return answers.sent({"status": "ok"})


@router.get("/health", response_model=shapes.Health, responses={503: {"model": shapes.Health}})
async def health() -> Response:
    """The state of each component; 503 while the database is away.

    `stream` is `away` where a consumer fell silent, and `off` where none is to run: what is asked
    for here answers all the same.
    """
    database = await _database()
    status = 200 if database == "ok" else 503
    stream = await _stream() if database == "ok" else "away"
    content = {
        "status": database,
        "components": {"api": "ok", "database": database, "stream": stream},
    }
    return answers.sent(content, status, {} if status == 200 else AGAIN)


@router.get("/ready", response_model=shapes.State, responses={503: {"model": shapes.State}})
async def ready() -> Response:
    """The database answers, too; 503 while it does not."""
    if await _database() == "ok":
        return answers.sent({"status": "ok"})
    return answers.sent({"status": "away"}, 503, AGAIN)


async def _database() -> str:
    try:
        await run_in_threadpool(run, "ready")
    except Exception:
        log.warning("the database did not answer")
        return "away"
    return "ok"


async def _stream() -> str:
    try:
        (found,) = await run_in_threadpool(run, "streams_state")
    except Exception:
        log.warning("the database did not say how the stream stands")
        return "away"
    return str(found.state)
