"""Coming to an account by a link: registering, forgetting a password, choosing a new one.

The answers are the same, after the same work, whether or not there is such an account: a line is
written that asks for a letter, and another program finds out whom to write to.
"""

from __future__ import annotations

import asyncio

from bi_app import words
from bi_app.auth import accounts, sessions, tokens
from bi_app.auth.accounts import LONGEST, is_address
from bi_app.auth.forms import STALE, VERIFYING, Form, message_page, template
from bi_app.auth.links import Linked
from bi_app.auth.passwords import RECOMMENDED, SHORTEST, hash_password, refuse_weak
from bi_app.auth.sessions import LINK_COOKIE
from bi_app.auth.sql import run
from bi_app.auth.tokens import LINKS, Bearer
from bi_app.words import N_, _
from warehouse import audit
from warehouse.errors import ConfigurationError
from warehouse.pseudonyms import pseudonym
from warehouse.settings import settings

MOST_ASKED, MOST_LETTERS = 10, 3  # within an hour: by one address, about one account
BUSY = N_("Too many requests from here. Please try again in an hour.")
OVER = N_(
    "This link was used already, is too old, or was not copied whole. Please ask for another."
)
AGAIN = N_("The two passwords are not the same.")


class Ask(Form):
    """A form that asks for a letter with a link."""

    page = ""
    kind = ""

    def is_closed(self) -> str:
        """Why nobody may ask for this; empty when everybody may."""
        raise NotImplementedError

    def said(self) -> str:
        """What everybody is told who asked."""
        raise NotImplementedError

    def get(self) -> None:
        """Show the form."""
        self.show()

    def show(self, *, error: str = "", email: str = "", name: str = "") -> None:
        """Write the form, or why there is none."""
        if closed := self.is_closed():
            self.finish(
                message_page(_("Not here"), closed, action=("/sign-in", _("To the sign-in form")))
            )
            return
        page = template(self.page)
        token = self.visitor_token()
        self.finish(page.render(token=token, error=error, email=email, name=name))

    async def post(self) -> None:
        """Take the form."""
        if self.is_closed():
            self.show()
            return None
        if not self.is_ours():
            self.set_status(403)
            return self.show(error=_(STALE))
        email = self.get_body_argument("email", "").strip()[:201]
        name = " ".join(self.get_body_argument("name", "").split())[:100]
        if not is_address(email) or not name.isprintable():
            self.set_status(400)
            return self.show(error=_("This is no e-mail address."), email=email, name=name)
        if not await asyncio.to_thread(self.ask, email, name):
            self.set_status(429)
            return self.show(error=_(BUSY), email=email, name=name)
        action = ("/sign-in", _("To the sign-in form"))
        self.finish(message_page(_("Look into your mail"), self.said(), action=action))
        return None

    def ask(self, email: str, name: str) -> bool:
        """Write down what is asked for; False when too much was asked for from this address."""
        counted = run("asked", email=email, mark=sessions.mark(email), address=self.address)[0]
        if counted.address >= MOST_ASKED:
            return False
        sessions.note(email, self.address, "asked")
        number = self.get_body_argument("number", "").strip()[:60]
        key = pseudonym(number.upper()) if number else None
        if counted.account < MOST_LETTERS:
            letter = {"email": email, "name": name, "stated_key": key, "note": ""}
            run("add_letter", kind=self.kind, language=words.language(), **letter)
        return True


class Forgot(Ask):
    """Ask for a link to a new password."""

    page, kind = "forgot.html", "reset"

    def is_closed(self) -> str:
        """Without mail, an admin helps."""
        without = _(
            "No mail is set up here. An administrator can give you a link to a new password."
        )
        return "" if settings().mails else without

    def said(self) -> str:
        """The same for everybody."""
        return _(
            "If there is an account with this address, a link to a new password is on its "
            "way. It is good for {reset_min} minutes.",
            reset_min=settings().reset_min,
        )


class Register(Ask):
    """Ask for an account as a member."""

    page, kind = "register.html", "join"

    def is_closed(self) -> str:
        """It is off unless a setting says otherwise, and proving an address needs mail."""
        if settings().registration == "off":
            return _("Accounts are made by an administrator. Please ask for an invitation.")
        if settings().registration == "mail" and not settings().mails:
            return _("Registering needs mail, which is not set up here yet.")
        return ""

    def said(self) -> str:
        """The same for everybody."""
        if settings().registration == "approval":
            return _("An administrator looks at it. When you are let in, you get a link by mail.")
        return _("A link to choose your password is on its way to this address.")


class ChoosePassword(Linked):
    """Choose a password, by a link."""

    purpose = "link"

    async def bearer(self) -> Bearer | None:
        """Whom the link is for; None after telling that it is for nobody."""
        self.set_header("Referrer-Policy", "no-referrer")
        found = await asyncio.to_thread(tokens.look, self.link, *LINKS) if self.link else None
        if found is None:
            self.over()
        return found

    def over(self) -> None:
        """Say that the link is good no more."""
        self.end(_(OVER), ("/forgot", _("Ask for another")))

    async def get(self) -> None:
        """Show the form."""
        bearer = await self.bearer()
        if bearer:
            self.show(bearer)

    def show(self, bearer: Bearer, error: str = "") -> None:
        """Write the form."""
        page = template("choose_password.html").render(
            token=sessions.signature("form", self.link),
            error=error,
            email=bearer.email,
            new=bearer.purpose == "join",
            shortest=SHORTEST,
            recommended=RECOMMENDED,
            longest=LONGEST,
        )
        self.finish(page)

    async def post(self) -> None:
        """Take the password; the link is used up by it."""
        bearer = await self.bearer()
        if bearer is None:
            return None
        self.check_token(sessions.signature("form", self.link))
        password = self.get_body_argument("password", "", strip=False)
        if password != self.get_body_argument("again", "", strip=False):
            self.set_status(400)
            return self.show(bearer, _(AGAIN))
        try:
            refuse_weak(password, (bearer.email, bearer.name))
        except ConfigurationError as error:
            self.set_status(400)
            return self.show(bearer, str(error))
        async with VERIFYING:
            kept = await asyncio.to_thread(_keep, self.link, password, self.address)
        if not kept:
            return self.over()
        self.clear_cookie(LINK_COOKIE)
        return self.redirect("/sign-in?done=password", status=303)


def _keep(link: str, password: str, address: str) -> bool:
    """Use the link up and set the password; False when somebody else was first."""
    bearer = tokens.spend(link, *LINKS)
    if bearer is None:
        return False
    about = (bearer.email, bearer.name)
    if bearer.account_id is None:
        rows = run(
            "register",
            email=bearer.email,
            name=bearer.name or bearer.email,
            stated_key=bearer.stated_key,
            password_hash=hash_password(password, about),
        )
        for row in rows:
            _record(bearer, row.account_id, address, "registered")
        return bool(rows)
    _record(bearer, bearer.account_id, address, f"password by a {bearer.purpose} link")
    accounts.choose_password(bearer.account_id, password, about)
    if bearer.purpose == "reset":
        accounts.tell_change(bearer.email, bearer.name, "password")
    return True


def _record(bearer: Bearer, account_id: int, address: str, what: str) -> None:
    by = audit.By(bearer.email, "page", address=address)
    audit.note(by, "account", f"account {account_id}", what=what)
