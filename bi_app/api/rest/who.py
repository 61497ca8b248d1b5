"""Who calls, as a dependency of every route that is not public; and what a key may be used for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Annotated

from fastapi import Depends, Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from bi_app.api.rest.limits import Buckets
from bi_app.api.rest.problems import Problem, address
from bi_app.auth import callers, sessions
from bi_app.auth.callers import Caller
from warehouse import audit
from warehouse.settings import settings

BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="bearer",
    description="A token of `POST /token`, or an API key (`crl_…`).",
)
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="carrel"'}
VIEWS = Buckets(1, 1)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]


@cache
def account_rates() -> Buckets:
    """A bucket an account."""
    return Buckets(settings().api_rate)


@cache
def export_rates() -> Buckets:
    """A bucket an account, for what makes files (ASVS 2.4.1)."""
    return Buckets(settings().api_export_rate, settings().api_export_rate)


async def caller(request: Request, given: Credentials) -> Caller:
    """Who calls.

    Raises:
        Problem: 401 without a good token or key, 422 for a parameter that the route does not
            have, 429 when the account asks too often.
    """
    found = await _looked_up(given.credentials) if given else None
    if found is None:
        raise Problem(401, "Sign in: no good token or key was sent.", headers=CHALLENGE)
    request.scope["caller"] = found
    _check_rate(account_rates(), found)
    _check_names(request)
    _note_view(request, found)
    return found


def _note_view(request: Request, found: Caller) -> None:
    """One line a minute in the audit log for who reads what: the first time in it."""
    if request.method == "GET":
        seen = (found.account.account_id, request.url.path)
        if not VIEWS.take(seen):
            by = audit.viewer(found.viewer, "api", address(request))
            audit.note_late(by, "view", request.url.path, key=found.key_id)


async def _looked_up(credential: str) -> Caller | None:
    return callers.known(credential) or await run_in_threadpool(callers.find, credential)


def _check_rate(rates: Buckets, found: Caller) -> None:
    if wait := rates.take(found.account.account_id):
        raise Problem(429, f"Too many requests; wait {wait} s.", headers={"Retry-After": str(wait)})


def _check_names(request: Request) -> None:
    """Refuse a parameter that is not there: a filter that is misspelt would not filter."""
    if request.url.query:
        route = request.scope["route"]
        names = _names_of(route.endpoint, route)
        if lost := [n for n in request.query_params if n not in names]:
            faults = [{"where": f"query.{n[:60]}", "what": "There is no such one."} for n in lost]
            raise Problem(422, "There is no such parameter.", errors=faults[:20])


_names: dict[Callable[..., object], frozenset[str]] = {}


def _names_of(endpoint: Callable[..., object], route: APIRoute) -> frozenset[str]:
    """The parameters of an address, as the document names them."""
    if endpoint not in _names:
        found = get_flat_params(route.dependant)
        _names[endpoint] = frozenset(p.alias for p in found if isinstance(p.field_info, Query))
    return _names[endpoint]


def allowed(scope: str) -> Callable[[Caller], Awaitable[Caller]]:
    """A dependency: the caller, whose session or key has a scope."""

    async def check(found: Annotated[Caller, Depends(caller)]) -> Caller:
        if scope not in found.scopes:
            raise Problem(403, f"This key lacks the scope {scope!r}.")
        if scope == "export":
            _check_rate(export_rates(), found)
        return found

    return check


async def in_person(found: Annotated[Caller, Depends(caller)]) -> Caller:
    """The caller, who signed in: keys neither make keys nor end sessions.

    Raises:
        Problem: 403 for a key.
    """
    if found.session_id is None:
        raise Problem(403, "This needs a sign-in, not a key.")
    return found


async def reader(request: Request, given: Credentials) -> None:
    """Anyone signed in, on a page of the app too: enough to read the API's own document.

    Raises:
        Problem: 401.
    """
    if given and await _looked_up(given.credentials):
        return
    cookie = request.cookies.get(sessions.COOKIE)
    if not cookie or await run_in_threadpool(sessions.find, cookie) is None:
        raise Problem(401, "Sign in first.", headers=CHALLENGE)


Reads = Annotated[Caller, Depends(allowed("read"))]
Exports = Annotated[Caller, Depends(allowed("export"))]
Acts = Annotated[Caller, Depends(allowed("act"))]
Administers = Annotated[Caller, Depends(allowed("admin"))]
Person = Annotated[Caller, Depends(in_person)]
