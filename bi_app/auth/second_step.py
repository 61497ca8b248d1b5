"""The second step of signing in: a code, or setting one up where the role must have one.

Between the steps nobody is signed in: a cookie holds a token that is good for ten minutes and
five attempts, and for nothing else.
"""

from __future__ import annotations

import asyncio

from bi_app.auth import accounts, second_factor, sessions, tokens
from bi_app.auth.accounts import Account
from bi_app.auth.forms import HOME, VERIFYING, Form, inside, span, template
from bi_app.auth.sessions import SECOND_COOKIE
from bi_app.auth.sql import run
from bi_app.auth.tokens import Bearer, digest
from bi_app.words import N_, _
from warehouse import audit

MOST_ATTEMPTS = 5
WRONG = N_("This code is not right, or was used already. A new one comes every 30 seconds.")


class Step(Form):
    """A page that only who gave the right password a moment ago may see."""

    token = ""

    async def bearer(self) -> Bearer | None:
        """Who is half signed in; None after sending everybody else to the sign-in form."""
        self.token = sessions.opened("second", self.get_cookie(SECOND_COOKIE)) or ""
        found = await asyncio.to_thread(tokens.look, self.token, "second") if self.token else None
        if found is None:
            self.clear_cookie(SECOND_COOKIE)
            self.redirect("/sign-in", status=303)
        return found

    @property
    def form_token(self) -> str:
        """What the form must carry."""
        return sessions.signature("form", self.token)

    @property
    def next_page(self) -> str:
        """Where to go afterwards: a path of this site only."""
        return inside(self.get_argument("next", HOME))

    async def finish_sign_in(self, bearer: Bearer, method: str) -> Account | None:
        """Start the session; None when somebody else used the token up, or rights were lost."""
        spent = await asyncio.to_thread(tokens.spend, self.token, "second")
        number = spent.account_id if spent else None
        account = await asyncio.to_thread(accounts.account_of, number) if number else None
        if account is None:
            self.clear_cookie(SECOND_COOKIE)
            self.redirect("/sign-in", status=303)
            return None
        await self.open_session(account, method)
        return account

    async def count_failure(self, bearer: Bearer) -> bool:
        """Write a wrong code down; whether there is another attempt."""
        device = await self.device(bearer.email)
        await asyncio.to_thread(sessions.note, bearer.email, self.address, "second", device)
        by = audit.By(bearer.email, "page", address=self.address)
        subject = f"account {bearer.account_id}"
        audit.note_late(by, "sign_in_refused", subject, "refused", why="second factor")
        rows = await asyncio.to_thread(run, "count_attempt", token_sha256=digest(self.token))
        if rows and rows[0].attempts < MOST_ATTEMPTS:
            return True
        await asyncio.to_thread(tokens.spend, self.token, "second")
        self.clear_cookie(SECOND_COOKIE)
        self.redirect("/sign-in", status=303)
        return False


class SecondStep(Step):
    """Ask for a code of the app, or for a recovery code."""

    async def get(self) -> None:
        """Show the form."""
        if await self.bearer():
            self.show()

    def show(self, error: str = "") -> None:
        """Write the form."""
        page = template("second_step.html")
        self.finish(page.render(token=self.form_token, next=self.next_page, error=error))

    async def post(self) -> None:
        """Take the code."""
        bearer = await self.bearer()
        if bearer is None or bearer.account_id is None:
            return None
        self.check_token(self.form_token)
        async with VERIFYING:
            kind = await self.accepted(bearer, bearer.account_id)
        if kind and await self.finish_sign_in(bearer, f"password and {kind}"):
            if kind == "recovery":
                tell = accounts.tell_change
                await asyncio.to_thread(tell, bearer.email, bearer.name, "recovery")
            self.redirect(self.next_page, status=303)
        return None

    async def accepted(self, bearer: Bearer, number: int) -> second_factor.Kind | None:
        """Which kind of code was given, when it is right; else the person has been told."""
        if wait := await self.wait(bearer.email):
            self.set_status(429)
            self.show(_("Too many attempts. Please wait {wait}.", wait=span(wait)))
            return None
        code = self.get_body_argument("code", "")[:60]
        kind = await asyncio.to_thread(second_factor.accept, number, code)
        if kind is None and await self.count_failure(bearer):
            self.set_status(401)
            self.show(_(WRONG))
        return kind


class SetUp(Step):
    """Set the second factor up on the way in, where the role must have one."""

    async def get(self) -> None:
        """Show the picture and ask for the first code."""
        bearer = await self.bearer()
        if bearer:
            await self.show(bearer)

    async def show(self, bearer: Bearer, error: str = "") -> None:
        """Write the form."""
        account = await asyncio.to_thread(accounts.account_of, bearer.account_id or 0)
        on = await asyncio.to_thread(second_factor.is_on, bearer.account_id or 0)
        if account is None or on:
            return self.redirect("/sign-in", status=303)
        secret = await asyncio.to_thread(second_factor.begin, account.account_id)
        page = template("set_up.html").render(
            token=self.form_token,
            next=self.next_page,
            error=error,
            secret=secret,
            picture=second_factor.picture(second_factor.address(account, secret)),
            action="/sign-in/set-up",
            asks_password=False,
            why=_("Your role needs a second factor to sign in."),
        )
        self.finish(page)
        return None

    async def post(self) -> None:
        """Take the first code; show the recovery codes, once."""
        bearer = await self.bearer()
        if bearer is None or bearer.account_id is None:
            return
        self.check_token(self.form_token)
        code = self.get_body_argument("code", "")[:60]
        codes = await asyncio.to_thread(second_factor.confirm, bearer.account_id, code)
        if codes is None:
            if await self.count_failure(bearer):
                self.set_status(401)
                await self.show(bearer, _(WRONG))
        elif account := await self.finish_sign_in(bearer, "password and code"):
            await self.record(account, "account", what="second factor on")
            tell = accounts.tell_change
            await asyncio.to_thread(tell, bearer.email, bearer.name, "second factor on")
            self.finish(template("recovery.html").render(codes=codes, next=self.next_page))
