"""Pages behind the links of mails: the link's token goes into a cookie, and out of the address."""

from __future__ import annotations

import re

from bi_app.auth import sessions
from bi_app.auth.forms import Form, message_page, set_sealed_cookie
from bi_app.auth.sessions import LINK_COOKIE
from bi_app.words import _


class Link(Form):
    """A link of a mail: take the token out of the address before anything is shown."""

    def initialize(self, purpose: str, page: str) -> None:
        """`purpose` is what the link is for, `page` what it leads to."""
        self.purpose, self.page = purpose, page

    def get(self, token: str) -> None:
        """Put the token into a cookie, and go on to a page without it in its address."""
        self.set_header("Referrer-Policy", "no-referrer")
        if re.fullmatch(r"[A-Za-z0-9_-]{20,100}", token):
            set_sealed_cookie(self, LINK_COOKIE, sessions.sealed(self.purpose, token))
        else:
            self.clear_cookie(LINK_COOKIE)
        self.redirect(self.page, status=303)


class Linked(Form):
    """A page that a link leads to; opening it does nothing, as some mail programs open links."""

    purpose: str

    @property
    def link(self) -> str:
        """The token of the link; empty without one."""
        return sessions.opened(self.purpose, self.get_cookie(LINK_COOKIE)) or ""

    def end(self, text: str, action: tuple[str, str]) -> None:
        """Say that the link is good no more, and why."""
        self.clear_cookie(LINK_COOKIE)
        self.set_status(410)
        self.finish(message_page(_("This link is over"), text, action=action))
