"""The pages behind the links of a change of address: the new one confirms, the old one objects."""

from __future__ import annotations

import asyncio

from bi_app.auth import accounts, new_address, sessions
from bi_app.auth.forms import message_page, template
from bi_app.auth.links import Linked
from bi_app.auth.new_address import OBJECT_DAYS, Change
from bi_app.auth.sessions import LINK_COOKIE
from bi_app.words import N_, _
from warehouse import audit

OVER = N_("This link was used already, is too old, or was not copied whole. Nothing was changed.")
SIGN_IN = ("/sign-in", N_("To the sign-in form"))
FORGOT = ("/forgot", N_("Choose a new password"))
ASKS = {
    "confirm": {
        "title": N_("Confirm your new address"),
        "text": N_(
            "From then on you sign in to Carrel with {new}, and get your mails there. You are"
            " signed out everywhere."
        ),
        "button": N_("Use this address"),
        "otherwise": N_("If you did not ask for this, close this page: nothing happens."),
    },
    "object": {
        "title": N_("Was it not you?"),
        "text": N_(
            "Somebody who knows your password asked for another e-mail address for your account. If"
            " it was not you, stop it: the address stays, or becomes again, {old}; everybody is"
            " signed out; the password and the keys of programs are good no more. You then choose a"
            " new password, and no address can be asked for in {days} days."
        ),
        "button": N_("It was not me: stop it"),
        "otherwise": N_("If it was you, close this page."),
    },
}


def _way(way: tuple[str, str]) -> tuple[str, str]:
    return way[0], _(way[1])


class Address(Linked):
    """`/address`: ask whether it is meant."""

    purpose = "address"

    async def found(self) -> tuple[str, Change] | None:
        """What the link is for; None after telling that it is for nothing."""
        self.set_header("Referrer-Policy", "no-referrer")
        found = await asyncio.to_thread(new_address.look, self.link) if self.link else None
        if found is None:
            self.over()
        return found

    def over(self) -> None:
        """Say that the link is good no more."""
        self.end(_(OVER), _way(SIGN_IN))

    async def get(self) -> None:
        """Show the question."""
        found = await self.found()
        if found is None:
            return
        what, change = found
        asked = {key: _(text) for key, text in ASKS[what].items() if key != "text"}
        given = {"new": change.new_email, "old": change.old_email, "days": OBJECT_DAYS}
        text = _(ASKS[what]["text"], **given)
        token = sessions.signature("form", self.link)
        page = template("address.html")
        told = {**asked, "text": text, "token": token, "danger": what == "object"}
        self.finish(page.render(**told))

    async def post(self) -> None:
        """Do it; the link is used up."""
        found = await self.found()
        if found is None:
            return None
        self.check_token(sessions.signature("form", self.link))
        what, change = found
        done = await asyncio.to_thread(_carry_out, what, change, self.link, self.address)
        if not done:
            return self.over()
        self.clear_cookie(LINK_COOKIE)
        if what == "confirm":
            return self.redirect("/sign-in?done=address", status=303)
        said = _("Nothing came of it. Choose a new password for {email}.", email=change.old_email)
        self.finish(message_page(_("It is stopped"), said, action=_way(FORGOT)))
        return None


def _carry_out(what: str, change: Change, link: str, address: str) -> bool:
    """Confirm or object, on record before it is done; False when somebody else was first."""
    now = change.new_email if change.done else change.old_email
    by = audit.By(now, "page", address=address)
    words = {"confirm": "e-mail confirmed", "object": "e-mail objected to"}[what]
    audit.note(by, "account", f"account {change.account_id}", what=words)
    done = (new_address.confirm if what == "confirm" else new_address.refuse)(link)
    if done and what == "object":
        accounts.tell_change(change.old_email, change.name, "address stopped")
    return done is not None
