"""The copy of all that is held about a person, as one file."""

from __future__ import annotations

import asyncio
import datetime as dt

from tornado.web import RequestHandler

from bi_app.auth import origin
from bi_app.auth.forms import message_page, safe_headers, speak_as_asked
from bi_app.auth.gate import signed_in_of
from bi_app.models import my_data
from bi_app.words import _
from warehouse import audit

MAKING = asyncio.Semaphore(2)  # what is made at once: a file may hold many records


class Everything(RequestHandler):
    """`/download/my_data/everything.zip`: for the person alone, on record before it is sent."""

    async def get(self) -> None:
        """Make the file in a thread."""
        safe_headers(self)
        signed_in = await signed_in_of(self)
        if signed_in is None:
            return self.redirect("/sign-in")
        viewer, now = signed_in.account.viewer, dt.datetime.now(dt.UTC)
        by = audit.viewer(viewer, "export", origin.address_of(self.request))

        def make() -> bytes:
            body, counts = my_data.everything(viewer, now)
            rows = sum(counts.values())
            audit.note(by, "export", "/my_data", table="everything", kind="zip", rows=rows)
            return body

        async with MAKING:
            body = await asyncio.to_thread(make)
        self.set_header("Content-Type", "application/zip")
        name = f"carrel-my-data-{now:%Y-%m-%d}.zip"
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        self.finish(body)
        return None

    def write_error(self, status_code: int, **kwargs: object) -> None:
        """Say it in words."""
        speak_as_asked(self)
        self.finish(message_page(_("No download"), _("Something went wrong on our side.")))
