"""The API as an ASGI app."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import event
from starlette.types import ASGIApp

from bi_app.api.rest import (
    alerts,
    datasets,
    document,
    health,
    measures,
    problems,
    quality,
    runs,
    signing_in,
    users,
)
from bi_app.api.rest.guard import Guard
from warehouse.access import ROLES
from warehouse.database import engine

log = logging.getLogger(__name__)
VERSION = "1.0"  # of the document: what /api/v1 promises
THREADS = 12  # fewer than a pool has connections
QUERY_SECONDS = 10


def make() -> ASGIApp:
    """The app with everything around it."""
    app = FastAPI(
        title="Carrel",
        version=VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        generate_unique_id_function=_operation,
        redirect_slashes=False,
    )
    problems.register(app)
    api = APIRouter(prefix=document.PREFIX)
    for part in (signing_in, users, datasets, measures, runs, quality, alerts, document):
        api.include_router(part.router)
    app.include_router(api)
    app.include_router(health.router)
    app.openapi = lambda: document.describe(app)  # type: ignore[method-assign]
    return Guard(app)


def _operation(route: APIRoute) -> str:
    """The name that generated clients give a call."""
    method = sorted(route.methods or ())[0].lower()
    return f"{route.name}_{method}"


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    for login in ("app", *ROLES):
        event.listen(engine(login), "connect", _bound)
    app.openapi()
    log.info("the API is up")
    yield


def _bound(connection: Any, record: Any) -> None:
    """No question of the API takes longer than this."""
    with connection.cursor() as cursor:
        cursor.execute(f"set statement_timeout = '{QUERY_SECONDS}s'")
    connection.commit()
