"""Accounts, for admins. Who asks without being one is refused by PostgreSQL, not here."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from bi_app.api.rest import answers, shapes
from bi_app.api.rest.once import Key, once
from bi_app.api.rest.paging import After, Limit, opened, page
from bi_app.api.rest.problems import Problem
from bi_app.api.rest.who import Administers
from bi_app.auth import callers
from bi_app.auth.accounts import hash_password
from bi_app.queries import rows, write
from warehouse.access import Viewer

router = APIRouter(tags=["users"])
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/users", response_model=shapes.Users)
async def users(
    request: Request, caller: Administers, limit: Limit = 100, after: After = None
) -> Response:
    """All accounts, oldest first."""
    start = opened(after, (int,)) or [0]
    asked = {"after": start[0], "most": limit + 1, "wanted": None}
    found = await run_in_threadpool(rows, caller.viewer, "users", asked)
    return answers.sent(page(request, found, limit, lambda u: [u["account_id"]]))


@router.get("/users/{account_id}", response_model=shapes.User)
async def user(caller: Administers, account_id: Id) -> Response:
    """One account."""
    return answers.sent(await run_in_threadpool(_user, caller.viewer, account_id))


def _user(viewer: Viewer, account_id: int) -> Mapping[str, Any]:
    found = rows(viewer, "users", {"after": 0, "most": 1, "wanted": account_id})
    if not found:
        raise Problem(404, "There is no such account.")
    return found[0]


@router.post("/users", status_code=201, response_model=shapes.UserMade)
async def add_user(
    request: Request, caller: Administers, asked: shapes.UserAsked, key: Key = None
) -> Response:
    """Make an account."""

    def make() -> tuple[int, dict[str, Any]]:
        password = asked.password or secrets.token_urlsafe(12)
        values = asked.model_dump(exclude={"password"})
        values["password_hash"] = hash_password(password)
        made = write(caller.viewer, "add_user", values)[0]["account_id"]
        if made is None:
            raise Problem(409, "This e-mail has an account already.")
        shown = None if asked.password else password
        return 201, {**_user(caller.viewer, made), "password": shown}

    return await once(request, caller, key, make)


@router.patch("/users/{account_id}", response_model=shapes.User)
async def change_user(caller: Administers, account_id: Id, asked: shapes.UserChange) -> Response:
    """Change an account; when that changes its rights, its sessions end at once."""

    def change() -> Mapping[str, Any]:
        write(caller.viewer, "change_user", {"which": account_id, **asked.model_dump()})
        callers.forget()
        return _user(caller.viewer, account_id)

    return answers.sent(await run_in_threadpool(change))


@router.get("/users/{account_id}/sessions", response_model=shapes.Sessions)
async def sessions(caller: Administers, account_id: Id) -> Response:
    """An account's live sessions."""
    asked = {"which": account_id}
    found = await run_in_threadpool(rows, caller.viewer, "user_sessions", asked)
    return answers.sent({"items": found})


@router.delete("/users/{account_id}/sessions", response_model=shapes.Ended)
async def end_sessions(caller: Administers, account_id: Id) -> Response:
    """End all of an account's sessions."""
    found = await run_in_threadpool(
        write, caller.viewer, "end_user_sessions", {"which": account_id}
    )
    callers.forget()
    return answers.sent({"ended": found[0]["ended"]})
