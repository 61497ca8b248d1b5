"""Sign in, renew, sign out; who am I; the own sessions and keys."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from bi_app.api.rest import answers, problems, shapes
from bi_app.api.rest.once import Key, once
from bi_app.api.rest.problems import Problem
from bi_app.api.rest.who import CHALLENGE, Person, Reads
from bi_app.auth import callers, sessions, short_tokens
from bi_app.auth.accounts import Account
from bi_app.auth.callers import Caller, Pair
from warehouse import audit

router = APIRouter()
WRONG = "E-mail, password or code is not right."
VERIFYING = asyncio.Semaphore(2)  # what is tried at once; a password takes 47 MiB


@router.post("/token", response_model=shapes.Tokens, tags=["sign in"])
async def sign_in(request: Request, asked: shapes.SignIn) -> Response:
    """Sign in with e-mail and password (and a code, where the account has a second factor)."""
    address = problems.address(request)
    async with VERIFYING:
        found = await run_in_threadpool(_verified, asked, address)
    client = request.headers.get("user-agent", "")

    def start() -> Pair:
        sessions.note(found.email, address, "ok")
        by = audit.viewer(found.viewer, "api", address)
        audit.note(by, "sign_in", f"account {found.account_id}")
        return callers.start(found, address=address, client=client)

    return _given(await run_in_threadpool(start))


def _verified(asked: shapes.SignIn, address: str) -> Account:
    """The account that is signed in to; a failure counts before the next attempt is looked at.

    Raises:
        Problem: 401 where something is wrong, 429 after too many failures.
    """
    if wait := sessions.wait(asked.email, address):
        _refused(asked.email, address, "locked")
        raise Problem(429, f"Too many attempts; wait {wait} s.", headers={"Retry-After": str(wait)})
    found, outcome = callers.verified(asked.email, asked.password, asked.code)
    if found is None:
        _refused(asked.email, address, outcome)
        raise Problem(401, WRONG, headers=CHALLENGE)
    return found


def _refused(email: str, address: str, why: str) -> None:
    sessions.note(email, address, why)
    by = audit.By(email, "api", address=address, claimed=True)
    audit.note_late(by, "sign_in_refused", "account", "refused", why=why)


@router.post("/token/refresh", response_model=shapes.Tokens, tags=["sign in"])
async def renew(request: Request, asked: shapes.Refresh) -> Response:
    """Take a new pair for a refresh token, once; the same again ends the session."""
    address = problems.address(request)
    pair = await run_in_threadpool(lambda: callers.renew(asked.refresh_token, address=address))
    if pair is None:
        raise Problem(401, "This refresh token is not good; sign in.", headers=CHALLENGE)
    return _given(pair)


def _given(pair: Pair) -> Response:
    return answers.sent(
        {
            "access_token": pair.access, "refresh_token": pair.refresh,
            "token_type": "Bearer", "expires_in": short_tokens.SECONDS,
        }
    )  # fmt: skip


@router.get("/me", response_model=shapes.Me, tags=["sign in"])
async def me(caller: Reads) -> Response:
    """Who calls, and what for."""
    viewer = caller.viewer
    return answers.sent(
        {
            "account_id": caller.account.account_id, "email": caller.account.email,
            "name": caller.account.name, "role": viewer.role, "branches": viewer.branches,
            "scopes": [s for s in callers.SCOPES if s in caller.scopes],
        }
    )  # fmt: skip


@router.get("/sessions", response_model=shapes.Sessions, tags=["sign in"])
async def own_sessions(caller: Person) -> Response:
    """The own live sessions: of pages and of the API."""
    found = await run_in_threadpool(sessions.own, caller.account.account_id)
    return answers.sent({"items": [asdict(one) for one in found]})


@router.delete("/sessions/current", status_code=204, tags=["sign in"])
async def sign_out(request: Request, caller: Person) -> Response:
    """Sign out: token and refresh token are worth nothing from now on."""
    by = audit.viewer(caller.viewer, "api", problems.address(request))
    audit.note_late(by, "sign_out", f"account {caller.account.account_id}")
    await run_in_threadpool(callers.end_session, caller, str(caller.session_id))
    return Response(status_code=204)


@router.delete("/sessions/{session_id}", status_code=204, tags=["sign in"])
async def end_session(caller: Person, session_id: UUID) -> Response:
    """End one of the own sessions."""
    if not await run_in_threadpool(callers.end_session, caller, str(session_id)):
        raise Problem(404, "You have no such session.")
    await run_in_threadpool(_record, caller, "sign_out", "one session")
    return Response(status_code=204)


@router.get("/api-keys", response_model=shapes.Keys, tags=["keys"])
async def own_keys(caller: Person) -> Response:
    """The own keys: what is kept of them."""
    return answers.sent(
        {"items": await run_in_threadpool(callers.keys_of, caller.account.account_id)}
    )


@router.post("/api-keys", status_code=201, response_model=shapes.KeyMade, tags=["keys"])
async def make_key(
    request: Request, caller: Person, asked: shapes.KeyAsked, key: Key = None
) -> Response:
    """Make a key for a program; it is shown this once, and not again by an Idempotency-Key."""

    def make() -> tuple[int, dict[str, Any]]:
        _record(caller, "account", "API key", scopes=asked.scopes, days=asked.days)
        made, kept = callers.make_key(
            caller.account.account_id, asked.name, asked.scopes, asked.days
        )
        return 201, {**kept, "key": made}

    return await once(request, caller, key, make)


@router.delete("/api-keys/{key_id}", status_code=204, tags=["keys"])
async def end_key(caller: Person, key_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    """End one of the own keys."""
    if not await run_in_threadpool(callers.end_key, caller.account.account_id, key_id):
        raise Problem(404, "You have no such key.")
    await run_in_threadpool(_record, caller, "account", "API key ended")
    return Response(status_code=204)


def _record(caller: Caller, act: str, what: str, **details: Any) -> None:
    """Put on record what a person did to the own account."""
    subject = f"account {caller.account.account_id}"
    audit.note(audit.viewer(caller.viewer), act, subject, what=what, **details)
