"""The page on which everybody looks after the own account: name, password, factor, sessions."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from tornado.web import HTTPError

from bi_app import words
from bi_app.auth import accounts, callers, new_address, second_factor, sessions
from bi_app.auth.accounts import LONGEST, Account
from bi_app.auth.forms import VERIFYING, Form, form_token, span, speak_as_asked, template
from bi_app.auth.passwords import RECOMMENDED, SHORTEST, refuse_weak
from bi_app.auth.roles import ROLE_NAMES
from bi_app.auth.sessions import COOKIE, OwnSession, SignedIn
from bi_app.auth.watch import close_pages
from bi_app.words import N_, _
from warehouse.errors import ConfigurationError
from warehouse.settings import settings

RECENT = dt.timedelta(minutes=10)
WRONG = N_("Your current password is not right.")
WRONG_CODE = N_("This code is not right, or was used already.")
DONE = {
    "name": N_("Your name is changed."),
    "language": N_("Your language is changed; pages that are open keep theirs until you reload."),
    # pragma: allowlist nextline secret
    "password": N_("Your password is changed, and you are signed out everywhere else."),
    "email": N_("A link is on its way to the new address. Nothing changes until it is opened."),
    "email-stopped": N_("Your address stays as it is."),
    "off": N_("Your second factor is off."),
    "ended": N_("That session is ended."),
}
BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"),
            ("Safari", "Safari"))  # fmt: skip
SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Mac", "Linux")


def device_name(client: str | None) -> str:
    """A browser's own words in ours: `Firefox on Windows`."""
    text = client or ""
    browser = next((name for sign, name in BROWSERS if re.search(rf"\b\w*{sign}", text)), "")
    system = next((name for name in SYSTEMS if name in text), "")
    if browser and system:
        return _("{browser} on {system}", browser=browser, system=system)
    return browser or system or _("Another program")


class Refused(Exception):
    """What a form asked for is not done; the text is shown at the form."""


class OwnPage(Form):
    """A page that only a signed-in person sees."""

    who: SignedIn

    async def is_signed_in(self) -> bool:
        """Whether somebody is; strangers are sent to the sign-in form."""
        found = await asyncio.to_thread(sessions.find, self.get_cookie(COOKIE))
        if found is None:
            self.redirect("/sign-in?next=/account", status=303)
            return False
        self.who = found
        speak_as_asked(self, found.account.language)
        return True

    @property
    def account(self) -> Account:
        """Whose page it is."""
        return self.who.account

    async def prove(self, password: str) -> None:
        """Make sure that it is the person who sits there, before anything is changed.

        Raises:
            Refused: the password is wrong, or was too often; or, for those who sign in
                elsewhere, that was too long ago.
        """
        email = self.account.email
        if not await asyncio.to_thread(accounts.has_password, self.account.account_id):
            return await self._prove_recent()
        async with VERIFYING:
            if wait := await self.wait(email):
                raise Refused(_("Too many attempts. Please wait {wait}.", wait=span(wait)))
            found = await asyncio.to_thread(accounts.check_password, email, password)
            if found is None:
                device = await self.device(email)
                await asyncio.to_thread(sessions.note, email, self.address, "refused", device)
                raise Refused(_(WRONG))
        return None

    async def prove_code(self, code: str) -> None:
        """Make sure that who sits there has the second factor, where the account has one.

        Raises:
            Refused: the code is wrong, or was too often.
        """
        if not await asyncio.to_thread(second_factor.is_on, self.account.account_id):
            return
        email = self.account.email
        async with VERIFYING:
            if wait := await self.wait(email):
                raise Refused(_("Too many attempts. Please wait {wait}.", wait=span(wait)))
            if await asyncio.to_thread(second_factor.accept, self.account.account_id, code):
                return
            device = await self.device(email)
            await asyncio.to_thread(sessions.note, email, self.address, "second", device)
        raise Refused(_(WRONG_CODE))

    async def _prove_recent(self) -> None:
        mine = await asyncio.to_thread(sessions.own, self.account.account_id)
        now = dt.datetime.now(dt.UTC)
        if not any(
            s.session_id == self.who.session_id and s.started_at > now - RECENT for s in mine
        ):
            raise Refused(_("Please sign out and in again first: that was a while ago."))

    async def renew(self) -> None:
        """Sign the account out everywhere, and in again here with a new token."""
        ended = await asyncio.to_thread(sessions.end_all_own, self.account.account_id)
        close_pages(self.application, ended | {self.who.session_id})
        await self.open_session(self.account, "password")

    async def show(self, *, error: str = "", at: str = "") -> None:
        """Write the page; an error stands at the form that it belongs to."""
        number = self.account.account_id
        facts = await asyncio.to_thread(_facts, number)
        page = template("account.html").render(
            **facts,
            account=self.account,
            token=form_token(self.who.session_id),
            done=_(DONE.get(self.get_query_argument("done", ""), "")) if not error else "",
            error=error,
            at=at,
            required=second_factor.is_required(self.account.viewer.role),
            sessions=[_shown(one, self.who) for one in facts["own"]],
            provider=settings().oidc_name,
            languages=words.languages(),
            role=ROLE_NAMES[self.account.viewer.role],
            shortest=SHORTEST,
            recommended=RECOMMENDED,
            longest=LONGEST,
        )
        self.finish(page)


def _facts(number: int) -> dict[str, Any]:
    return {
        "factor": second_factor.is_on(number),
        "left": second_factor.recovery_left(number),
        "own": sessions.own(number),
        "has_password": accounts.has_password(number),
        "keys": len(callers.keys_of(number)),
        "new_address": new_address.pending(number),
        "no_new_address": new_address.why_not(number),
    }


def _shown(one: OwnSession, who: SignedIn) -> dict[str, Any]:
    return {
        "id": one.session_id,
        "device": device_name(one.client),
        "address": one.address or "",
        "started": words.short_moment(one.started_at),
        "seen": words.moment(one.seen_at),
        "seen_at": one.seen_at.isoformat(),
        "method": _(one.method),
        "here": one.session_id == who.session_id,
    }


class MyAccount(OwnPage):
    """`/account`."""

    async def get(self) -> None:
        """Show the page."""
        if await self.is_signed_in():
            await self.show()


class Change(OwnPage):
    """`/account/<act>`: one of the page's forms."""

    async def get(self, act: str) -> None:
        """A link changes nothing."""
        self.redirect("/account")

    async def post(self, act: str) -> None:
        """Take a form."""
        if not await self.is_signed_in():
            return
        self.check_token(form_token(self.who.session_id))
        acts: dict[str, Callable[[], Awaitable[None]]] = {
            "name": self.name,
            "language": self.language,
            "password": self.password,
            "email": self.email,
            "email-stop": self.email_stop,
            "end-session": self.end_session,
            "sign-out-everywhere": self.everywhere,
            "factor-off": self.factor_off,
            "new-codes": self.new_codes,
        }
        if act not in acts:
            raise HTTPError(404)
        try:
            await acts[act]()
        except (Refused, ConfigurationError) as error:
            self.set_status(400)
            await self.show(error=str(error), at=act)

    def text(self, name: str) -> str:
        """A field as it was typed."""
        return self.get_body_argument(name, "", strip=False)

    async def name(self) -> None:
        """Change the name."""
        await asyncio.to_thread(accounts.rename, self._number, self.text("name")[:200])
        await self.record(self.account, "account", what="name")
        self.redirect("/account?done=name", status=303)

    async def language(self) -> None:
        """Change the language of pages and mails."""
        wanted = self.text("language")
        await asyncio.to_thread(accounts.choose_language, self._number, wanted)
        await self.record(self.account, "account", what="language")
        self.redirect("/account?done=language", status=303)

    async def password(self) -> None:
        """Change the password; every other session ends, and this one gets a new token."""
        if not await asyncio.to_thread(accounts.has_password, self.account.account_id):
            raise Refused(_("You sign in through {oidc_name}.", oidc_name=settings().oidc_name))
        await self.prove(self.text("current"))
        new = self.text("password")
        if new != self.text("again"):
            raise Refused(_("The two passwords are not the same."))
        about = (self.account.email, self.account.name)
        refuse_weak(new, about)
        await self.record(self.account, "account", what="password")
        ended = {s.session_id for s in await asyncio.to_thread(sessions.own, self._number)}
        async with VERIFYING:
            chosen = partial(accounts.choose_password, self._number, new, about)
            await asyncio.to_thread(chosen, end_keys=bool(self.text("end_keys")))
        close_pages(self.application, ended)
        await self.open_session(self.account, "password")
        await self.tell("password")
        self.redirect("/account?done=password", status=303)

    async def email(self) -> None:
        """Ask for another address; it takes effect when that address confirms.

        The answer, and the work behind it, are the same when it has an account.
        """
        if why := await asyncio.to_thread(new_address.why_not, self._number):
            raise Refused(why)
        await self.prove(self.text("current"))
        await self.prove_code(self.text("code")[:60])
        await self.record(self.account, "account", what="e-mail asked")
        ask = partial(new_address.ask, self._number, self.account.email)
        if not await asyncio.to_thread(ask, self.text("email").strip()[:201]):
            raise Refused(_("You have asked several times. Please try again in an hour."))
        self.redirect("/account?done=email", status=303)

    async def email_stop(self) -> None:
        """Give up the change of address that waits."""
        if await asyncio.to_thread(new_address.give_up, self._number):
            await self.record(self.account, "account", what="e-mail given up")
        self.redirect("/account?done=email-stopped", status=303)

    @property
    def _number(self) -> int:
        return self.account.account_id

    async def tell(self, what: str) -> None:
        """Have the person told by mail."""
        who = self.account
        await asyncio.to_thread(accounts.tell_change, who.email, who.name, what)

    async def end_session(self) -> None:
        """End one session of the own account."""
        session = self.text("session")
        if not re.fullmatch(r"[0-9a-f-]{36}", session):
            raise HTTPError(400)
        ended = await asyncio.to_thread(sessions.end_own, self._number, session)
        if ended:
            await self.record(self.account, "sign_out", what="one session")
        close_pages(self.application, ended)
        here = session == self.who.session_id
        self.redirect("/sign-in" if here else "/account?done=ended", status=303)

    async def everywhere(self) -> None:
        """End every session, this one too."""
        ended = await asyncio.to_thread(sessions.end_all_own, self._number)
        await self.record(self.account, "sign_out", what="everywhere")
        close_pages(self.application, ended)
        self.clear_cookie(COOKIE)
        self.redirect("/sign-in?done=everywhere", status=303)

    async def factor_off(self) -> None:
        """Switch the second factor off, where the role may."""
        if second_factor.is_required(self.account.viewer.role):
            raise Refused(_("Your role must have a second factor."))
        await self.prove(self.text("current"))
        await self.record(self.account, "account", what="second factor off")
        await asyncio.to_thread(second_factor.remove, self._number)
        await self.renew()
        await self.tell("second factor off")
        self.redirect("/account?done=off", status=303)

    async def new_codes(self) -> None:
        """Make new recovery codes and show them, once."""
        await self.prove(self.text("current"))
        await self.record(self.account, "account", what="recovery codes")
        codes = await asyncio.to_thread(second_factor.renew_recovery, self._number)
        self.finish(template("recovery.html").render(codes=codes, next="/account"))


class Factor(OwnPage):
    """`/account/second-factor`: set it up."""

    async def get(self) -> None:
        """Show the picture and ask for the first code."""
        if await self.is_signed_in():
            await self.picture()

    async def picture(self, error: str = "") -> None:
        """Write the form."""
        try:
            secret = await asyncio.to_thread(second_factor.begin, self.account.account_id)
        except ConfigurationError:
            return self.redirect("/account", status=303)  # it is on already
        asks = await asyncio.to_thread(accounts.has_password, self.account.account_id)
        page = template("set_up.html").render(
            token=form_token(self.who.session_id),
            next="/account",
            error=error,
            secret=secret,
            picture=second_factor.picture(second_factor.address(self.account, secret)),
            action="/account/second-factor",
            asks_password=asks,
            why="",
        )
        self.finish(page)
        return None

    async def post(self) -> None:
        """Take password and first code; show the recovery codes, once."""
        if not await self.is_signed_in():
            return
        self.check_token(form_token(self.who.session_id))
        number = self.account.account_id
        try:
            await self.prove(self.get_body_argument("current", "", strip=False))
            code = self.get_body_argument("code", "")[:60]
            codes = await asyncio.to_thread(second_factor.confirm, number, code)
            if codes is None:
                raise Refused(_(WRONG_CODE))
        except Refused as refused:
            self.set_status(400)
            return await self.picture(str(refused))
        await self.renew()
        who = self.account
        await self.record(who, "account", what="second factor on")
        await asyncio.to_thread(accounts.tell_change, who.email, who.name, "second factor on")
        self.finish(template("recovery.html").render(codes=codes, next="/account"))
