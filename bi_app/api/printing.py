"""A page's report as a file: `/download/<page>.pdf`, `/download/<page>/<table>.pdf`.

The same figures as the page for the same choice, through the same door as CSV and Excel, with the
viewer's rights and on the same record. A PDF takes a second of CPU, so few are made at a time.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tornado.web import HTTPError, RequestHandler

from bi_app import words
from bi_app.auth import origin
from bi_app.auth.forms import message_page, safe_headers, speak_as_asked
from bi_app.auth.gate import signed_in_of
from bi_app.auth.roles import may_open
from bi_app.models.export import WRITERS
from bi_app.models.paper.content import paper
from bi_app.models.paper.pages import PAGES
from bi_app.words import N_, _
from warehouse import audit
from warehouse.access import Viewer

MEDIA = {"pdf": "application/pdf", "xlsx": WRITERS["xlsx"][0]}
MAKING = asyncio.Semaphore(2)
WORDS = {403: N_("This file is not yours to open."), 404: N_("There is no such file.")}


class Print(RequestHandler):
    """A page, or one table of it, as PDF; or all its tables as one workbook."""

    async def get(self, page: str, name: str | None, kind: str) -> None:
        """Make the file in a thread."""
        safe_headers(self)
        speak_as_asked(self)
        signed_in = await signed_in_of(self)
        if signed_in is None:
            return self.redirect("/sign-in")
        viewer = signed_in.account.viewer
        speak_as_asked(self, signed_in.account.language)
        by = audit.viewer(viewer, "export", origin.address_of(self.request))
        if not may_open(f"/{page}", viewer.role) or page not in PAGES:
            audit.note_late(by, "refusal", self.request.path, "refused")
            raise HTTPError(403)
        try:
            async with MAKING:
                file, body = await asyncio.to_thread(
                    make, viewer, by, page, name or "", kind, self.request.arguments
                )
        except KeyError as missing:
            raise HTTPError(404) from missing
        self.set_header("Content-Type", MEDIA[kind])
        self.set_header("Content-Disposition", f'attachment; filename="{file}"')
        self.finish(body)
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say it in words."""
        said = WORDS.get(status_code, N_("Something went wrong on our side."))
        self.finish(message_page(_("No download"), _(said)))


def make(  # noqa: PLR0913, PLR0917 - what a request says
    viewer: Viewer, by: audit.By, page: str, name: str, kind: str, arguments: Any
) -> tuple[str, bytes]:
    """The file's name and body, on record: a PDF in the language of the request, Excel in English.

    Raises:
        KeyError: there is no such table, or nothing to print.
    """
    with words.speaking(words.language() if kind == "pdf" else words.SOURCE):
        found = paper(viewer, page, arguments, only=name, whole=kind == "xlsx")
        body = found.pdf() if kind == "pdf" else found.xlsx()
    audit.note(by, "export", f"/{page}", table=name or "all", kind=kind, rows=found.rows)
    return f"{found.files_name}.{kind}", body
