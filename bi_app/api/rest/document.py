"""The API's own document (OpenAPI), and a page made of it that needs nothing from elsewhere."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from jinja2 import Environment, FileSystemLoader

from bi_app.api.rest import problems, shapes
from bi_app.api.rest.who import reader

HERE = Path(__file__).parent
PREFIX = "/api/v1"
ABOUT = """The figures of the pages for programs. Answers hold what PostgreSQL shows the caller.

Sign in with `POST /api/v1/token`; send the token, or an API key, as `Authorization: Bearer …`.
Errors are `application/problem+json` (RFC 9457). Lists give a `next` link while there is more.
"""
REFUSALS = {
    400: "The body cannot be read",
    401: "No good token or key was sent",
    403: "Not yours: the database refused it, or the key lacks the scope",
    404: "There is no such thing, or none that you see",
    409: "It goes against what stands, or is under way",
    413: "The body is too large",
    422: "A part of the request is not as this document says",
    429: "Too many requests; Retry-After says for how long",
    500: "A fault of ours",
    503: "The database does not answer, or it took too long",
}
router = APIRouter(include_in_schema=False, dependencies=[Depends(reader)])


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """The document."""
    return Response(_written(request.app), media_type="application/json")


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The document as a page."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    headers = {"Content-Security-Policy": policy}
    return Response(_page(request.app), 200, headers, "text/html; charset=utf-8")


@cache
def _written(app: FastAPI) -> bytes:
    return json.dumps(app.openapi(), separators=(",", ":")).encode()


@cache
def _page(app: FastAPI) -> str:
    templates = Environment(loader=FileSystemLoader(HERE), autoescape=True)
    return templates.get_template("docs.html").render(document=app.openapi())


def describe(app: FastAPI) -> dict[str, Any]:
    """The document: FastAPI's, with problems as they are answered."""
    if app.openapi_schema:
        return app.openapi_schema
    made = get_openapi(title=app.title, version=app.version, description=ABOUT, routes=app.routes)
    parts = made["components"]["schemas"]
    parts["Problem"] = shapes.Problem.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        parts.pop(unused, None)
    for path in made["paths"].values():
        for operation in path.values():
            _describe(operation)
    app.openapi_schema = made
    return made


def _describe(operation: dict[str, Any]) -> None:
    """Give an operation the refusals that it can have."""
    problem = {problems.MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answers = operation["responses"]
    closed = "security" in operation or operation["operationId"] == "renew_post"
    for status, meaning in REFUSALS.items():
        if str(status) in answers and status != 422:
            continue
        if closed or status == 400 or "sign_in" in operation["operationId"] or status >= 413:
            answers[str(status)] = {"description": meaning, "content": problem}
    if "204" in answers:
        answers["204"].pop("content", None)
    etag = {"ETag": {"schema": {"type": "string"}, "description": "Send as If-None-Match"}}
    if operation["operationId"] == "measure_get":
        answers["200"]["headers"] = etag
        answers["304"] = {"description": "As it was"}
