"""The routes beside the pages."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from pathlib import Path
from typing import Any

from sqlalchemy import text
from tornado.web import HTTPError, RequestHandler, StaticFileHandler

from bi_app.api.everything import Everything
from bi_app.api.leaving import leaving
from bi_app.api.mailing import ROUTES as MAILING
from bi_app.api.printing import Print
from bi_app.api.tables import TABLES
from bi_app.auth import origin
from bi_app.auth.address_door import Address
from bi_app.auth.forms import message_page, safe_headers, speak_as_asked
from bi_app.auth.gate import signed_in_of
from bi_app.auth.joining import ChoosePassword, Forgot, Register
from bi_app.auth.links import Link
from bi_app.auth.my_account import Change, Factor, MyAccount
from bi_app.auth.provider_door import Leave, Return
from bi_app.auth.roles import may_open, menu
from bi_app.auth.second_step import SecondStep, SetUp
from bi_app.models.export import WRITERS, file_name
from bi_app.words import _
from warehouse import audit
from warehouse.database import engine

log = logging.getLogger(__name__)
ASSETS = Path(__file__).parent.parent / "assets"
STARTED = time.time()


class Home(RequestHandler):
    """`/` leads to the first page of the role, or to the sign-in form."""

    async def get(self) -> None:
        """Redirect."""
        safe_headers(self)
        signed_in = await signed_in_of(self)
        self.redirect(menu(signed_in.account.viewer.role)[0].path if signed_in else "/sign-in")


class Live(RequestHandler):
    """Whether the process answers: who restarts what hangs asks this, not `/health`."""

    def get(self) -> None:
        """Ask nobody."""
        self.set_header("Cache-Control", "no-store")
        self.finish({"app": "ok", "up_seconds": int(time.time() - STARTED)})


class Health(RequestHandler):
    """State of the app and its database: 200, or 503 when the database is away or the app ends."""

    async def get(self) -> None:
        """Ask the database one thing."""
        self.set_header("Cache-Control", "no-store")
        database = await asyncio.to_thread(_database)
        app = "ending" if leaving.is_set() else "ok"
        self.set_status(200 if (app, database) == ("ok", "ok") else 503)
        self.finish({"app": app, "database": database, "up_seconds": int(time.time() - STARTED)})


def _database() -> str:
    try:
        with engine("app").connect() as connection:
            connection.execute(text("select 1"))
    except Exception:
        log.warning("health: the database did not answer")
        return "away"
    return "ok"


class Download(RequestHandler):
    """`/download/<page>/<table>.<csv|xlsx>`: what that page shows for this choice, as a file."""

    async def get(self, page: str, name: str, kind: str) -> None:
        """Make the file in a thread."""
        safe_headers(self)
        signed_in = await signed_in_of(self)
        if signed_in is None:
            return self.redirect("/sign-in")
        by = audit.viewer(signed_in.account.viewer, "export", origin.address_of(self.request))
        if not may_open(f"/{page}", signed_in.account.viewer.role) or page not in TABLES:
            audit.note_late(by, "refusal", self.request.path, "refused")
            raise HTTPError(403)
        media, write = WRITERS[kind]
        arguments = self.request.arguments

        def make() -> tuple[bytes, str]:
            table = TABLES[page](signed_in.account.viewer, name, arguments)
            body = write(table)
            audit.note(by, "export", f"/{page}", table=name, kind=kind, rows=len(table))
            return body, file_name(table, kind, today=dt.date.today())

        try:
            body, file = await asyncio.to_thread(make)
        except KeyError as missing:
            raise HTTPError(404) from missing
        self.set_header("Content-Type", media)
        self.set_header("Content-Disposition", f'attachment; filename="{file}"')
        self.finish(body)
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say it in words."""
        speak_as_asked(self)
        words = {403: _("This file is not yours to open."), 404: _("There is no such file.")}
        said = words.get(status_code, _("Something went wrong on our side."))
        self.finish(message_page(_("No download"), said))


class Missing(RequestHandler):
    """An address of one part that no page has: 404, in our own look."""

    def get(self) -> None:
        """Say it in words."""
        safe_headers(self)
        speak_as_asked(self)
        self.set_status(404)
        self.finish(message_page(_("There is no such page"), _("The address may be mistyped.")))


class Asset(StaticFileHandler):
    """Our style sheet, script and icon: no data in them, so no sign-in; kept for a year."""

    def set_extra_headers(self, path: str) -> None:
        """No guessing of types."""
        self.set_header("X-Content-Type-Options", "nosniff")

    @classmethod
    def get_version(cls, settings: Any, path: str) -> str:
        """The pages put their own version into the address."""
        return ""


ROUTES = [
    (r"/", Home),
    (r"/(?:health|ready)", Health),
    (r"/live", Live),
    (r"/sign-in/second", SecondStep),
    (r"/sign-in/set-up", SetUp),
    (r"/sign-in/provider", Leave),
    (r"/sign-in/provider/return", Return),
    (r"/forgot", Forgot),
    (r"/register", Register),
    (r"/link/([^/]{1,200})", Link, {"purpose": "link", "page": "/choose-password"}),
    (r"/choose-password", ChoosePassword),
    (r"/address/([^/]{1,200})", Link, {"purpose": "address", "page": "/address"}),
    (r"/address", Address),
    (r"/account", MyAccount),
    (r"/account/second-factor", Factor),
    *MAILING,
    (r"/account/([a-z-]+)", Change),
    (r"/download/my_data/everything\.zip", Everything),
    (r"/download/(\w+)/(\w+)\.(csv|xlsx)", Download),
    (r"/download/(\w+)(?:/(\w+))?\.(pdf)", Print),
    (r"/download/(\w+)()\.(xlsx)", Print),
    (r"/assets/(\w+\.(?:css|js)|icon\.svg)", Asset, {"path": str(ASSETS)}),
    # Pages come before these routes, the sign-in and static files after them.
    (r"/(?!sign-in|sign-out|static)[\w-]+/?", Missing),
]
