"""The shapes of requests and answers, as the API's document describes them."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from bi_app.auth.accounts import LONGEST

Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=200)]
Words = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=2000)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f|,]{1,60}$")]
Email = Annotated[
    str,
    StringConstraints(
        pattern=r"^[^@\s\x00-\x1f\x7f|,;:<>()\[\]\"\\]+@[^@\s\x00-\x1f\x7f|,;:<>()\[\]\"\\]+$",
        max_length=200,
    ),
]


def _iso(value: object) -> object:
    """Only what is written as ISO 8601: pydantic takes a bare number for seconds since 1970."""
    if isinstance(value, str) and not re.match(r"\d{4}-\d{2}-\d{2}", value):
        raise ValueError("is written as 2026-01-31, a time as 2026-01-31T12:00:00Z")
    if not isinstance(value, str | dt.date):
        raise ValueError("is a text")
    return value


Day = Annotated[dt.date, BeforeValidator(_iso)]
Moment = Annotated[AwareDatetime, BeforeValidator(_iso)]
RoleName = Literal["admin", "librarian", "member"]
Scope = Literal["read", "export", "act", "admin"]
Number = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Asked(BaseModel):
    """A request's body: nothing is in it that is not named."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """RFC 9457: what is wrong."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str


class SignIn(Asked):
    """An e-mail and its password, and a code where the account has a second factor."""

    email: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    password: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)]
    code: Annotated[str, StringConstraints(max_length=40)] | None = None


class Refresh(Asked):
    """A refresh token."""

    refresh_token: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Tokens(BaseModel):
    """A short token, and what it is renewed with: once."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="Seconds that the short token is good for")


class Me(BaseModel):
    """Who calls."""

    account_id: int
    email: str
    name: str
    role: RoleName
    branches: list[str]
    scopes: list[Scope]


class Session(BaseModel):
    """A live session of a page or of the API."""

    session_id: UUID
    started_at: dt.datetime
    seen_at: dt.datetime
    expires_at: dt.datetime
    address: str | None
    client: str | None
    method: str = Field(description="How it was opened: `api`, or a way of signing in on a page")


class Sessions(BaseModel):
    """Live sessions, newest first."""

    items: list[Session]


class KeyAsked(Asked):
    """A new key of a program."""

    name: Annotated[Line, StringConstraints(min_length=1, max_length=100)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)] = ["read"]
    days: Annotated[int, Field(ge=1, le=366)] = 90


class KeyKept(BaseModel):
    """What is kept of a key: never the key."""

    key_id: int
    name: str
    prefix: str
    scopes: list[Scope]
    created_at: dt.datetime
    expires_at: dt.datetime
    last_used_at: dt.datetime | None


class KeyMade(KeyKept):
    """A new key, shown this once."""

    key: str | None = Field(None, description="Shown once")


class Keys(BaseModel):
    """The own keys that have not been ended."""

    items: list[KeyKept]


class User(BaseModel):
    """An account."""

    account_id: int
    email: str
    name: str
    role: RoleName
    branches: list[str]
    linked: bool = Field(description="Whether a library card is linked")
    state: Literal["waiting", "invited", "active", "disabled"]
    second_factor: bool
    sessions: int = Field(description="Live ones")
    created_at: dt.datetime
    last_seen_at: dt.datetime | None


class Users(BaseModel):
    """A page of accounts."""

    items: list[User]
    next: str | None


class UserAsked(Asked):
    """A person to invite."""

    email: Email
    name: Line
    role: RoleName
    branches: Annotated[list[Code], Field(max_length=200)] = []


class UserMade(User):
    """An invited account."""

    link: str | None = Field(
        None, description="Where the person chooses a password, shown once; null: sent by mail"
    )


class UserChange(Asked):
    """What to change of an account; a change of rights ends its sessions."""

    role: RoleName | None = None
    branches: Annotated[list[Code], Field(max_length=200)] | None = None
    disabled: bool | None = None


class Ended(BaseModel):
    """How many were ended."""

    ended: int


class ColumnOut(BaseModel):
    """A column of a table."""

    key: str
    title: str
    kind: str


class FreshnessOut(BaseModel):
    """How fresh and sound the figures are: all changes before `complete_to` are in."""

    complete_to: dt.datetime | None
    quality: int | None = Field(description="Health score, 0 to 100")
    stale: bool
    held_back: list[str] = Field(description="Datasets whose newest load is held back")
    statement: str


class MeasureEntry(BaseModel):
    """A measure of the pages."""

    name: str
    title: str
    definition: str
    page: str
    parameters: list[str]
    choices: dict[str, list[str]] = Field(description="The page's own: send as choose=key:value")
    columns: list[ColumnOut]


class Measures(BaseModel):
    """All measures."""

    items: list[MeasureEntry]


class Chosen(BaseModel):
    """The period and branches that a measure was taken over; no branch means all."""

    start: dt.date
    end: dt.date
    branches: list[str]
    measure: str
    more: dict[str, str] = Field(description="The page's own choices")


class MeasureOut(BaseModel):
    """A measure: a table of the page's figures."""

    name: str
    title: str
    notes: list[str] = Field(description="Definition, period and branches in words")
    chosen: Chosen | None
    freshness: FreshnessOut | None
    columns: list[ColumnOut]
    rows: list[dict[str, Any]]


class DatasetColumn(BaseModel):
    """A column that the caller's role may read."""

    name: str
    type: str
    meaning: str
    privacy: str | None


class Dataset(BaseModel):
    """A table of the catalogue of which the caller's role may read something."""

    name: str = Field(description="`layer.table`, as addresses have it")
    layer: str
    title: str
    grain: str
    description: str
    licence: str | None
    key: list[str]
    columns: list[DatasetColumn]


class Datasets(BaseModel):
    """A page of the catalogue."""

    items: list[Dataset]
    next: str | None


class Rows(BaseModel):
    """A page of a table's rows: those that PostgreSQL shows the caller."""

    items: list[dict[str, Any]]
    next: str | None


class Summary(BaseModel):
    """Measures of a table's rows by group, in the order asked for; figures by the columns' keys."""

    title: str
    notes: list[str] = Field(description="What the figures cover, in words")
    complete_to: dt.datetime | None = Field(description="All changes before are in")
    columns: list[ColumnOut]
    rows: list[dict[str, Any]]
    others: dict[str, Any] | None = Field(
        description="The groups beyond those of `rows`, as one, by measure; null where there are"
        " none; a measure that several groups do not add up to is null"
    )
    total: dict[str, Any] = Field(description="Over all rows that fit")
    groups: int
    fitting: int = Field(description="Rows that you see and that fit the filters")
    withheld: dict[str, int] = Field(description="Counts of people that are not told, by measure")


class Run(BaseModel):
    """A run: its steps of one dataset or several."""

    run_id: str
    datasets: list[str]
    state: Literal["done", "failed", "held"]
    started_at: dt.datetime
    ended_at: dt.datetime
    seconds: float
    steps: int


class Runs(BaseModel):
    """A page of runs, newest first."""

    items: list[Run]
    next: str | None


class Step(BaseModel):
    """A step of a run."""

    dataset: str | None
    step: str
    state: Literal["done", "failed", "held"]
    started_at: dt.datetime
    ended_at: dt.datetime
    rows: int | None
    message: str | None


class RunSteps(BaseModel):
    """A run's steps in order."""

    run_id: str
    steps: list[Step]


class RunAsked(Asked):
    """A dataset to bring in now."""

    dataset: Name


class RunRequest(BaseModel):
    """A run that was asked for."""

    request_id: int
    dataset: str
    state: Literal["open", "done", "failed"]
    asked_at: dt.datetime
    asked_by: str
    done_at: dt.datetime | None
    message: str | None


class RunRequests(BaseModel):
    """What was asked for in the last seven days, newest first."""

    items: list[RunRequest]


class QualityOf(BaseModel):
    """How a dataset stands."""

    dataset: str
    title: str
    outcome: str
    score: float | None
    formula: str | None
    parts: list[dict[str, Any]]
    checks: int | None
    passed: int | None
    judged_at: dt.datetime | None
    rows_held_back: int | None


class Quality(BaseModel):
    """How all datasets stand, with the score of the whole."""

    score: float | None
    formula: str | None
    items: list[QualityOf]


class Check(BaseModel):
    """A check of the newest verdict."""

    name: str
    column: str | None
    part: str
    severity: str
    outcome: str
    measured: float | None
    threshold: str | None
    failures: int
    times: int


class Checks(BaseModel):
    """Every check of a dataset, failing ones first."""

    dataset: str
    items: list[Check]


class Alert(BaseModel):
    """One alert a cause."""

    alert_id: int
    kind: str
    dataset: str | None
    title: str
    severity: Literal["info", "warning", "critical"]
    state: Literal["open", "acknowledged", "assigned", "resolved"]
    snoozed_until: dt.datetime | None
    times: int
    opened_at: dt.datetime
    last_at: dt.datetime
    acknowledged_by: str | None
    assignee: str | None
    resolved_at: dt.datetime | None
    resolved_by: str | None
    reason: str | None


class Alerts(BaseModel):
    """A page of alerts, the newest first."""

    items: list[Alert]
    next: str | None


class Part(BaseModel):
    """What an alert is made of, or holds back."""

    what: str
    name: str
    severity: str | None
    detail: str | None
    dataset: str | None
    since: dt.datetime
    until: dt.datetime | None


class Event(BaseModel):
    """A change of an alert."""

    at: dt.datetime
    who: str
    action: str
    to_state: str
    note: str | None


class AlertWhole(Alert):
    """An alert with its parts and its record."""

    parts: list[Part]
    events: list[Event]


class Noted(Asked):
    """An act on an alert, and why."""

    note: Words | None = None


class Assign(Noted):
    """Who is to be on it."""

    person: Annotated[Line, Field(description="E-mail of an admin or a librarian")]


class Resolve(Noted):
    """Why it is over."""

    reason: Literal["fixed", "accepted", "false alarm", "duplicate"]


class Snooze(Noted):
    """Until when nobody is told."""

    until: Annotated[Moment, Field(description="A time to come")]


class State(BaseModel):
    """Whether it is well."""

    status: Literal["ok", "away"]


class Health(State):
    """Whether it is well, and each component of it."""

    components: dict[str, Literal["ok", "away", "off"]]
