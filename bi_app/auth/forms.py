"""The sign-in form, sign-out, and the plain pages around them, in our own look."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, Template
from tornado.httputil import url_concat
from tornado.web import HTTPError, RequestHandler

from bi_app import words
from bi_app.auth import origin, second_factor, sessions, tokens
from bi_app.auth.accounts import LONGEST, Account, check_password
from bi_app.auth.sessions import COOKIE, DEVICE_COOKIE, DEVICE_DAYS, FORM_COOKIE, SECOND_COOKIE
from bi_app.auth.tokens import Bearer
from bi_app.auth.watch import close_pages
from bi_app.words import N_, _, ngettext
from warehouse import audit
from warehouse.settings import settings

ASSETS = Path(__file__).parent.parent / "assets"
HOME = "/"
WRONG = N_("E-mail or password is not right.")
DONE = {
    "password": N_("Your password is set. Please sign in with it."),  # pragma: allowlist secret
    "address": N_("Your new address is confirmed. Please sign in with it."),
    "everywhere": N_("You are signed out everywhere."),
}
STALE = N_("This form was open for too long, or cookies are off. Please try again.")
VERIFYING = asyncio.Semaphore(2)  # what is tried at once; a password takes 47 MiB
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # Bokeh compiles functions
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' blob: data:",  # a page's own websocket is 'self'
        "object-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    )
)


@cache
def template(name: str) -> Template:
    """One of our pages, as a template that escapes what it is given."""
    environment = Environment(loader=FileSystemLoader(ASSETS), autoescape=True)
    environment.globals |= {
        "version": asset_version(),
        "_": _,
        "ngettext": ngettext,
        "words": words,
    }
    return environment.get_template(name)


@cache
def asset_version() -> str:
    """Changes when an asset changes, so that browsers may keep them for long."""
    digest = hashlib.sha256()
    for path in sorted(ASSETS.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def message_page(title: str, text: str, *, action: tuple[str, str] | None = None) -> str:
    """A whole page that says one thing and offers one way on."""
    action = action or (HOME, _("Go back"))
    return template("message.html").render(title=title, text=text, action=action)


def speak_as_asked(handler: RequestHandler, own: str = "") -> str:
    """Speak the person's own language from now on, else what the browser prefers; returns it."""
    chosen = words.choose(own, handler.request.headers.get("Accept-Language", ""))
    words.speak(chosen)
    return chosen


def safe_headers(handler: RequestHandler) -> None:
    """Nothing from elsewhere, not in a frame, not in a cache."""
    first_headers(handler)
    handler.set_header("Cache-Control", "no-store")


def first_headers(handler: RequestHandler) -> None:
    """Nothing from elsewhere, not in a frame: what every answer begins with, refusals too."""
    handler.set_header("Content-Security-Policy", POLICY)
    handler.set_header("X-Content-Type-Options", "nosniff")
    handler.set_header("X-Frame-Options", "DENY")
    handler.set_header("Referrer-Policy", "same-origin")
    handler.set_header("Cross-Origin-Opener-Policy", "same-origin")
    handler.set_header("Cross-Origin-Resource-Policy", "same-origin")
    handler.set_header("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
    handler.set_header("Server", "Carrel")
    if origin.is_https(handler.request):
        handler.set_header("Strict-Transport-Security", "max-age=63072000")  # two years


def set_sealed_cookie(
    handler: RequestHandler, name: str, value: str, *, days: int | None = None
) -> None:
    """A cookie that scripts cannot read and other sites cannot send; gone with the browser,
    unless it is to be kept for some days.
    """
    secure = origin.is_https(handler.request)
    handler.set_cookie(
        name, value, expires_days=days, httponly=True, samesite="Lax", secure=secure, path="/"
    )


def form_token(session_id: str) -> str:
    """What a form of a signed-in person must carry."""
    return sessions.signature("form", session_id)


class Form(RequestHandler):
    """A page of ours with a form: safe headers, and a token that other sites do not know."""

    def prepare(self) -> None:
        """Set the headers before anything is written, and speak the browser's language."""
        safe_headers(self)
        speak_as_asked(self)

    @property
    def address(self) -> str:
        """Where the request comes from."""
        return origin.address_of(self.request)

    def check_token(self, expected: str) -> None:
        """Refuse a form that was not ours.

        Raises:
            HTTPError: 403.
        """
        given = self.get_body_argument("token", "")
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise HTTPError(403, reason="Form token does not match")

    def visitor_token(self) -> str:
        """What a form of somebody who is not signed in must carry; it goes with a cookie."""
        seed = sessions.opened("seed", self.get_cookie(FORM_COOKIE)) or secrets.token_urlsafe(24)
        set_sealed_cookie(self, FORM_COOKIE, sessions.sealed("seed", seed))
        return sessions.signature("form", seed)

    def is_ours(self) -> bool:
        """Whether the cookie of `visitor_token` came back; its token is checked, too.

        Raises:
            HTTPError: 403, when there is a cookie and the token is another.
        """
        seed = sessions.opened("seed", self.get_cookie(FORM_COOKIE))
        if seed is not None:
            self.check_token(sessions.signature("form", seed))
        return seed is not None

    async def device(self, email: str) -> str | None:
        """The number of this device, if the account of this e-mail knows it."""
        cookie = self.get_cookie(DEVICE_COOKIE)
        return await asyncio.to_thread(sessions.device_of, cookie, email)

    async def wait(self, email: str) -> int:
        """Seconds until this account may be tried again from here.

        Asked under `VERIFYING`, as the failure is written down: else many that come at once
        would all be tried before the first of them counts.
        """
        device = await self.device(email)
        return await asyncio.to_thread(sessions.wait, email, self.address, device)

    async def record(self, account: Account, act: str, **details: Any) -> None:
        """Put on record what a person did to the own account, before it is given away."""
        by = audit.viewer(account.viewer, "page", self.address)
        subject = f"account {account.account_id}"
        await asyncio.to_thread(lambda: audit.note(by, act, subject, **details))

    async def open_session(self, account: Account, method: str) -> None:
        """End the session there was, start a new one, and let the account know this device."""
        device = await self.device(account.email)
        await asyncio.to_thread(sessions.note, account.email, self.address, "ok", device)
        await self.record(account, "sign_in", method=method)
        before = await asyncio.to_thread(sessions.find, self.get_cookie(COOKIE))
        if before:
            await asyncio.to_thread(sessions.end, before.session_id)
        client = self.request.headers.get("User-Agent", "")
        cookie = await asyncio.to_thread(
            lambda: sessions.start(account, address=self.address, client=client, method=method)
        )
        set_sealed_cookie(self, COOKIE, cookie)
        if device is None:
            known = await asyncio.to_thread(sessions.remember_device, account.account_id)
            set_sealed_cookie(self, DEVICE_COOKIE, known, days=DEVICE_DAYS)
        self.clear_cookie(FORM_COOKIE)
        self.clear_cookie(SECOND_COOKIE)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say it in words, without details."""
        title = _("That did not work")
        text = _(STALE) if status_code == 403 else _("Something went wrong on our side.")
        self.finish(message_page(title, text, action=("/sign-in", _("To the sign-in form"))))


def inside(asked: str) -> str:
    """A path of this site, as it is; home in place of anything else."""
    local = asked.startswith("/") and not asked.startswith(("//", "/\\"))
    return asked if local and asked.isprintable() else HOME  # browsers skip tabs: /<tab>/evil


class SignIn(Form):
    """Ask for e-mail and password; start a session, or ask for the second factor."""

    async def get(self) -> None:
        """Show the form, unless the person is signed in."""
        if await asyncio.to_thread(sessions.find, self.get_cookie(COOKIE)):
            self.redirect(self.next_page)
        else:
            self.show()

    def show(self, *, email: str = "", error: str = "") -> None:
        """Write the form, with a token that matches a cookie."""
        wanted = settings()
        page = template("sign_in.html").render(
            email=email,
            error=error,
            done="" if error else _(DONE.get(self.get_argument("done", ""), "")),
            next=self.next_page,
            token=self.visitor_token(),
            registration=wanted.registration != "off",
            provider=wanted.oidc_name if wanted.oidc_issuer else "",
        )
        self.finish(page)

    @property
    def next_page(self) -> str:
        """Where to go afterwards: a path of this site only."""
        return inside(self.get_argument("next", HOME))

    async def post(self) -> None:
        """Take the form."""
        if not self.is_ours():
            self.set_status(403)
            return self.show(error=_(STALE))
        email = self.get_body_argument("email", "").strip()[:200]
        async with VERIFYING:
            account = await self.verified(email)
        if account:
            await self.go_on(account)
        return None

    async def verified(self, email: str) -> Account | None:
        """The account when the password is right; else the person has been told."""
        if wait := await self.wait(email):
            await self.refuse(
                email, "locked", _("Too many attempts. Please wait {wait}.", wait=span(wait))
            )
            return None
        password = self.get_body_argument("password", "", strip=False)[: LONGEST + 1]
        account = await asyncio.to_thread(check_password, email, password)
        if account is None:
            await self.refuse(email, "refused", _(WRONG))
        return account

    async def refuse(self, email: str, outcome: str, error: str) -> None:
        """Say no without saying why, and write it down."""
        device = await self.device(email)
        await asyncio.to_thread(sessions.note, email, self.address, outcome, device)
        by = audit.By(email, "page", address=self.address, claimed=True)
        audit.note_late(by, "sign_in_refused", "account", "refused", why=outcome)
        self.set_status(429 if outcome == "locked" else 401)
        self.show(email=email, error=error)

    async def go_on(self, account: Account) -> None:
        """Ask for the second factor where there is one or must be one; else start the session."""
        on = await asyncio.to_thread(second_factor.is_on, account.account_id)
        if not on and not second_factor.is_required(account.viewer.role):
            await self.open_session(account, "password")
            return self.redirect(self.next_page, status=303)
        bearer = Bearer("second", account.account_id, account.email, account.name)
        token = await asyncio.to_thread(tokens.make, bearer)
        set_sealed_cookie(self, SECOND_COOKIE, sessions.sealed("second", token))
        step = "/sign-in/second" if on else "/sign-in/set-up"
        return self.redirect(url_concat(step, {"next": self.next_page}), status=303)


class SignOut(Form):
    """End the session, close its open pages, forget the cookie."""

    async def get(self) -> None:
        """A link must not end a session."""
        self.redirect(HOME)

    async def post(self) -> None:
        """Take the form."""
        signed_in = await asyncio.to_thread(sessions.find, self.get_cookie(COOKIE))
        if signed_in:
            self.check_token(form_token(signed_in.session_id))
            await asyncio.to_thread(sessions.end, signed_in.session_id)
            close_pages(self.application, {signed_in.session_id})
            by = audit.viewer(signed_in.account.viewer, "page", self.address)
            audit.note_late(by, "sign_out", f"account {signed_in.account.account_id}")
        self.clear_cookie(COOKIE)
        self.set_header("Clear-Site-Data", '"cache", "storage"')
        self.redirect("/sign-in", status=303)


def span(seconds: int) -> str:
    """Seconds in words."""
    if seconds < 90:
        return ngettext("{count} second", "{count} seconds", seconds)
    return ngettext("{count} minute", "{count} minutes", round(seconds / 60))
