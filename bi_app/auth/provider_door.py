"""Leaving for the provider of OpenID Connect, and coming back from it."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
import time

from tornado.web import HTTPError

from bi_app.auth import oidc, sessions
from bi_app.auth.accounts import Account
from bi_app.auth.forms import HOME, Form, inside, message_page, set_sealed_cookie
from bi_app.auth.oidc import Attempt, NotLetIn
from bi_app.auth.sessions import OIDC_COOKIE
from bi_app.words import N_, _
from warehouse import audit
from warehouse.errors import ConfigurationError
from warehouse.settings import settings

log = logging.getLogger(__name__)
MOST_SECONDS = 600
ODD = N_("The way back from the sign-in service was not the one we sent you. Please try again.")
WRONG_SETTING = N_(
    "Signing in through the service is not set up right. Please tell an administrator."
)


class Door(Form):
    """A page that is there only where a provider is set."""

    def prepare(self) -> None:
        """Without a provider there is no such page."""
        super().prepare()
        self.set_header("Referrer-Policy", "no-referrer")
        if not settings().oidc_issuer:
            raise HTTPError(404)

    def refuse(self, text: str, status: int = 403) -> None:
        """Say why nobody comes in."""
        self.set_status(status)
        self.finish(
            message_page(_("You are not signed in"), text, action=("/sign-in", _("Go back")))
        )


class Leave(Door):
    """`/sign-in/provider`: to the provider's own sign-in form."""

    async def get(self) -> None:
        """Keep state, nonce and verifier in a cookie, and go."""
        attempt = Attempt.new(inside(self.get_argument("next", HOME)))
        try:
            address = await asyncio.to_thread(oidc.address_of, attempt)
        except NotLetIn as error:
            return self.refuse(error.message, 503)
        except ConfigurationError:
            log.exception("the provider's settings are wrong")
            return self.refuse(_(WRONG_SETTING), 503)
        text = base64.urlsafe_b64encode(json.dumps(oidc.as_text(attempt)).encode()).decode()
        set_sealed_cookie(self, OIDC_COOKIE, sessions.sealed("oidc", text))
        return self.redirect(address)


class Return(Door):
    """`/sign-in/provider/return`: back with a code."""

    async def get(self) -> None:
        """Take the code; every attempt counts once."""
        attempt = self.attempt()
        self.clear_cookie(OIDC_COOKIE)
        if attempt is None or not self.is_answer_to(attempt):
            return self.refuse(_(ODD))
        if self.get_query_argument("error", ""):
            return self.refuse(_("The sign-in service did not let you in."))
        code = self.get_query_argument("code", "")
        try:
            account = await asyncio.to_thread(_account, attempt, code)
        except NotLetIn as error:
            by = audit.By("through the provider", "page", address=self.address, claimed=True)
            audit.note_late(by, "sign_in_refused", "account", "refused", why="provider")
            return self.refuse(error.message)
        except ConfigurationError:
            log.exception("the provider's word could not be carried out")
            return self.refuse(_(WRONG_SETTING), 503)
        await self.open_session(account, settings().oidc_name)
        return self.redirect(inside(attempt.next_page), status=303)

    def attempt(self) -> Attempt | None:
        """What was kept when the browser left, at most ten minutes ago."""
        kept = sessions.opened("oidc", self.get_cookie(OIDC_COOKIE))
        if kept is None:
            return None
        found = Attempt(**json.loads(base64.urlsafe_b64decode(kept)))
        return found if time.time() - found.began < MOST_SECONDS else None

    def is_answer_to(self, attempt: Attempt) -> bool:
        """Whether state and issuer (RFC 9207) are those that we left with."""
        state = self.get_query_argument("state", "")
        issuer = self.get_query_argument("iss", settings().oidc_issuer)
        same = hmac.compare_digest(state.encode(), attempt.state.encode())
        return same and issuer == settings().oidc_issuer


def _account(attempt: Attempt, code: str) -> Account:
    return oidc.account_for(oidc.claims_of(attempt, code))
