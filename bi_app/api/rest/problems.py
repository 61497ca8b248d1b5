"""Every error as `application/problem+json` (RFC 9457): what is wrong, and nothing of ours."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from bi_app.auth.origin import address_in
from bi_app.auth.sql import NotAllowed, NotLegal
from warehouse import audit
from warehouse.errors import CarrelError, ConfigurationError

log = logging.getLogger(__name__)
MEDIA = "application/problem+json"
BAD_VALUE = ("22", "42883")  # data exceptions, and an operator that a type does not have
NOT_LEGAL = ("CA001", "23505", "23514")
SLOW = "57014"


class Problem(Exception):
    """An answer that tells of a problem."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers: Mapping[str, str] = more.pop("headers", {})
        self.more = more


def answer(
    status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """A problem as a response; `more` are further members of its document."""
    document = {
        "type": "about:blank", "title": HTTPStatus(status).phrase, "status": status,
        "detail": detail, **more,
    }  # fmt: skip
    return Response(json.dumps(document), status, dict(headers or {}), MEDIA)


def register(app: FastAPI) -> None:
    """Have every error of the app answered so."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(CarrelError, _ours)
    app.add_exception_handler(psycopg.Error, _database)
    app.add_exception_handler(SQLAlchemyError, _database)
    app.add_exception_handler(Exception, _fault)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return answer(error.status, error.detail, error.headers, **error.more)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "There is nothing at this address.", 405: "This address has no such method."}
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request.app, request.url.path)) or headers["Allow"]
    return answer(error.status_code, words.get(error.status_code, str(error.detail)), headers)


def _methods(app: FastAPI, path: str) -> list[str]:
    """The methods of an address, as the document has them: one route knows only its own."""
    found = set()
    for template, methods in app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            found |= {m.upper() for m in methods}
    return sorted(found)


async def _invalid(request: Request, error: Exception) -> Response:
    """422, naming each part that is wrong; the values are not sent back."""
    assert isinstance(error, RequestValidationError)
    faults = [
        {"where": ".".join(str(p) for p in e["loc"]), "what": e["msg"]} for e in error.errors()
    ]
    return answer(422, "A part of the request is not as the document says.", errors=faults)


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, CarrelError)
    if isinstance(error, NotAllowed):
        return refused(request)
    if isinstance(error, NotLegal):
        return answer(409, str(error))
    if isinstance(error, ConfigurationError):
        return answer(422, str(error))
    return answer(503, str(error), {"Retry-After": "30"})


async def _database(request: Request, error: Exception) -> Response:
    """What the database said, by its code; its words only where they are ours (CA001)."""
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlstate", None) or ""
    if code == "42501":
        return refused(request)
    if code in NOT_LEGAL:
        own = str(cause).partition("\n")[0] if code == "CA001" else "It is against the rules."
        return answer(409, own)
    if code.startswith(BAD_VALUE) or isinstance(cause, psycopg.DataError):
        return answer(422, "A value is not of its column's type.")
    if code == SLOW:
        return answer(503, "This took too long and was stopped.", {"Retry-After": "60"})
    if isinstance(cause, psycopg.ProgrammingError | psycopg.IntegrityError):
        return await _fault(request, error)
    log.warning("the database did not answer: %s", type(cause).__name__)
    return answer(503, "The database does not answer.", {"Retry-After": "5"})


def refused(request: Request) -> Response:
    """403, and a line in the audit log."""
    if (caller := request.scope.get("caller")) is not None:
        by = audit.viewer(caller.viewer, "api", address(request))
        audit.note_late(by, "refusal", request.url.path, "refused", method=request.method)
    return answer(403, "This is not yours to see or to do.")


def address(request: Request) -> str:
    """Where a request comes from, as a declared proxy says if there is one."""
    return address_in(request.scope)


async def _fault(request: Request, error: Exception) -> Response:
    log.error("a fault of ours", exc_info=error)
    return answer(500, "Something went wrong on our side; the log has it under this request's id.")
