"""Reports by mail: asking for one on its page, the list, and the link that ends one."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from tornado.web import HTTPError

from bi_app import words
from bi_app.auth import unsubscribing
from bi_app.auth.forms import Form, form_token, message_page, template
from bi_app.auth.my_account import OwnPage
from bi_app.auth.roles import PAGES as RULES
from bi_app.models import subscriptions
from bi_app.models.subscriptions import DAYS, FILES, Subscription, zone
from bi_app.words import N_, _
from warehouse import audit
from warehouse.errors import ConfigurationError
from warehouse.settings import settings

DONE = {
    "changed": N_("The times are changed."),
    "ended": N_("That report is mailed no more."),
    "again": N_("That mail is sent again, within ten minutes."),
}
ENDED = N_("This report is mailed no more.")
UNKNOWN = N_("This link is not one of ours, or was cut short on its way.")


class Mails(OwnPage):
    """`/account/mails`: the reports that are mailed; an admin sees those of all."""

    async def get(self) -> None:
        """Show the page."""
        if await self.is_signed_in():
            await self.list()

    async def list(self, error: str = "", at: int | None = None) -> None:
        """Write the page; an error stands at the report that it belongs to."""
        found = await asyncio.to_thread(subscriptions.listed, self.account.viewer)
        page = template("mails.html").render(
            account=self.account,
            token=form_token(self.who.session_id),
            done="" if error else _(DONE.get(self.get_query_argument("done", ""), "")),
            error=error,
            at=at,
            own=[s for s in found if s.own],
            others=[s for s in found if not s.own],
            shown=shown,
            moment=moment,
            days=DAYS,
            kinds=FILES,
            mails=settings().mails,
        )
        self.finish(page)


class ChangeMail(Mails):
    """`/account/mails/<act>`: one of that page's forms."""

    async def get(self, act: str = "") -> None:
        """A link changes nothing."""
        self.redirect("/account/mails")

    async def post(self, act: str) -> None:
        """Take a form."""
        if not await self.is_signed_in():
            return
        self.check_token(form_token(self.who.session_id))
        given = self.get_body_argument("number", "")
        if not re.fullmatch(r"[0-9]{1,18}", given):
            raise HTTPError(400)
        number, viewer, address = int(given), self.account.viewer, self.address
        try:
            if act == "change":
                when, kinds = asked(self)
                await asyncio.to_thread(subscriptions.change, viewer, number, when, kinds, address)
                done = "changed"
            elif act == "end":
                await asyncio.to_thread(subscriptions.end, viewer, number, address)
                done = "ended"
            else:
                await asyncio.to_thread(subscriptions.send_again, viewer, number, address)
                done = "again"
        except ConfigurationError as error:
            self.set_status(400)
            return await self.list(str(error), number)
        return self.redirect(f"/account/mails?done={done}", status=303)


class Subscribe(OwnPage):
    """`/subscribe/<page>`: have a page mailed with the filters that it shows; answers in JSON."""

    async def get(self, page: str) -> None:
        """A link begins nothing."""
        self.redirect("/account/mails")

    async def post(self, page: str) -> None:
        """Take the dialog's form."""
        if not await self.is_signed_in():
            return
        self.check_token(form_token(self.who.session_id))
        query = self.get_body_argument("query", "")
        viewer, address = self.account.viewer, self.address
        try:
            when, kinds = asked(self)
            due = await asyncio.to_thread(
                subscriptions.subscribe, viewer, page, query, when, kinds, address
            )
        except ConfigurationError as error:
            self.set_status(400)
            self.finish({"error": str(error)})
            return
        times = when.words[:1].upper() + when.words[1:]
        told = _("{times}, first on {moment}.", times=times, moment=moment(due))
        self.finish({"done": told})


class Unsubscribe(Form):
    """`/unsubscribe/<token>`: end a report by mail without signing in (RFC 8058).

    Opening the link ends nothing, as some mail programs open links; the button does, and so does
    the mail program's own, which sends a form without any cookie.
    """

    async def get(self, token: str) -> None:
        """Ask for the press of a button."""
        self.set_header("Referrer-Policy", "no-referrer")
        number = unsubscribing.read(token)
        if number is None:
            return self.over(_(UNKNOWN), 404)
        page = await asyncio.to_thread(unsubscribing.page_of, number)
        if page is None:
            return self.over(_(ENDED), 200)
        rule = RULES.get(f"/{page}")
        self.finish(template("unsubscribe.html").render(title=_(rule.title) if rule else page))
        return None

    async def post(self, token: str) -> None:
        """End it; the token itself is the right to."""
        self.set_header("Referrer-Policy", "no-referrer")
        number = unsubscribing.read(token)
        if number is None:
            return self.over(_(UNKNOWN), 404)
        whose = await asyncio.to_thread(unsubscribing.end, number)
        if whose is not None:
            by = audit.By(whose, "mail", address=self.address)
            audit.note_late(by, "subscription", f"subscription {number}", what="ended by link")
        return self.over(_(ENDED), 200)

    def over(self, text: str, status: int) -> None:
        """Say how it is."""
        self.set_status(status)
        self.finish(message_page(_("Report by mail"), text, action=("/", _("To Carrel"))))


def asked(form: Form) -> tuple[subscriptions.Times, list[str]]:
    """When and as what, out of a form.

    Raises:
        ConfigurationError: naming what makes no sense.
    """
    names = ("every", "weekday", "day", "hour")
    when = subscriptions.times({name: form.get_body_argument(name, "") for name in names})
    return when, subscriptions.files(form.get_body_arguments("file"))


def moment(when: Any) -> str:
    """A time where the library is: Mon 30 Nov 2026, 07:00."""
    there = when.astimezone(zone())
    return f"{words.weekday_day(there)}, {there:%H:%M}"


def shown(one: Subscription) -> dict[str, Any]:
    """What the list shows of a subscription."""
    from bi_app.models.paper.content import address

    return {
        "kinds": f" {_('and')} ".join(FILES[k] for k in one.files),
        "link": address(one.page, one.choice).removeprefix(settings().app_address),
        "filtered": bool(one.choice),
        "repeatable": one.state in ("uncertain", "not sent"),
    }


ROUTES = [
    (r"/account/mails", Mails),
    (r"/account/mails/(change|end|again)", ChangeMail),
    (r"/subscribe/(\w{1,40})", Subscribe),
    (r"/unsubscribe/([\w.]{1,120})", Unsubscribe),
]
