"""Whether the API is there, and whether it can answer: for everyone, and nothing more than that."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from bi_app.api.rest import answers, shapes
from bi_app.auth.sql import run

log = logging.getLogger(__name__)
router = APIRouter(tags=["health"])


@router.get("/health", response_model=shapes.State)
async def health() -> Response:
    """The process answers."""
    return answers.sent({"status": "ok"})


@router.get("/ready", response_model=shapes.State, responses={503: {"model": shapes.State}})
async def ready() -> Response:
    """The database answers, too; 503 while it does not."""
    try:
        await run_in_threadpool(run, "ready")
    except Exception:
        log.warning("the database did not answer")
        return answers.sent({"status": "away"}, 503, {"Retry-After": "5"})
    return answers.sent({"status": "ok"})
