"""Accounts, for admins. Who asks without being one is refused by PostgreSQL, not here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from bi_app.api.rest import answers, shapes
from bi_app.api.rest.once import Key, once
from bi_app.api.rest.paging import After, Limit, opened, page
from bi_app.api.rest.problems import Problem
from bi_app.api.rest.who import Administers
from bi_app.auth import callers, people
from bi_app.auth.sql import NotAllowed
from warehouse.access import Viewer
from warehouse.errors import ConfigurationError

router = APIRouter(tags=["users"])
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
SHOWN = (
    "account_id", "email", "name", "role", "branches", "state", "second_factor", "sessions",
    "created_at", "last_seen_at",
)  # fmt: skip


@router.get("/users", response_model=shapes.Users)
async def users(
    request: Request, caller: Administers, limit: Limit = 100, after: After = None
) -> Response:
    """All accounts, oldest first."""
    (start,) = opened(after, (int,)) or [0]
    known = await run_in_threadpool(people.list_accounts, caller.viewer)
    ordered = sorted((p for p in known if p.account_id > start), key=lambda p: p.account_id)
    found = [_out(p) for p in ordered[: limit + 1]]
    return answers.sent(page(request, found, limit, lambda u: [u["account_id"]]))


@router.get("/users/{account_id}", response_model=shapes.User)
async def user(caller: Administers, account_id: Id) -> Response:
    """One account."""
    return answers.sent(_out(await run_in_threadpool(_person, caller.viewer, account_id)))


def _person(viewer: Viewer, account_id: int) -> people.Person:
    try:
        return people.person(viewer, account_id)
    except NotAllowed:
        raise
    except ConfigurationError:
        raise Problem(404, people.NOBODY) from None


def _out(one: people.Person) -> dict[str, Any]:
    known = asdict(one)
    return {k: known[k] for k in SHOWN} | {"linked": one.member_key is not None}


@router.post("/users", status_code=201, response_model=shapes.UserMade)
async def invite(
    request: Request, caller: Administers, asked: shapes.UserAsked, key: Key = None
) -> Response:
    """Invite a person: an account whose password its person chooses by a link."""

    def make() -> tuple[int, dict[str, Any]]:
        known = {p.email.lower() for p in people.list_accounts(caller.viewer)}
        if asked.email.lower() in known:
            raise Problem(409, "This e-mail has an account already.")
        made = people.invite(caller.viewer, asked.email, asked.name, asked.role, asked.branches)
        return 201, {**_out(_person(caller.viewer, made.account_id)), "link": made.link}

    return await once(request, caller, key, make)


@router.patch("/users/{account_id}", response_model=shapes.User)
async def change_user(caller: Administers, account_id: Id, asked: shapes.UserChange) -> Response:
    """Change an account, all or nothing; when its rights change, its sessions end at once."""

    def change() -> Mapping[str, Any]:
        viewer = caller.viewer
        _person(viewer, account_id)
        if wanted := asked.model_dump(exclude_none=True):
            people.change(viewer, account_id, **wanted)
        callers.forget()
        return _out(_person(viewer, account_id))

    return answers.sent(await run_in_threadpool(change))


@router.get("/users/{account_id}/sessions", response_model=shapes.Sessions)
async def sessions(caller: Administers, account_id: Id) -> Response:
    """An account's live sessions."""
    found = await run_in_threadpool(people.list_sessions, caller.viewer, account_id)
    hidden = ("account_id", "email")
    items = [{k: v for k, v in asdict(s).items() if k not in hidden} for s in found]
    return answers.sent({"items": items})


@router.delete("/users/{account_id}/sessions", response_model=shapes.Ended)
async def end_sessions(caller: Administers, account_id: Id) -> Response:
    """End all of an account's sessions."""

    def end() -> int:
        ended = people.end_all_sessions(caller.viewer, account_id)
        callers.forget()
        return ended

    return answers.sent({"ended": await run_in_threadpool(end)})
