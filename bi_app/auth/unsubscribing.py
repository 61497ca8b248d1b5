"""The link that ends a report by mail: signed for that alone, good without signing in."""

from __future__ import annotations

from bi_app.auth import sessions
from bi_app.auth.sql import run
from warehouse.settings import settings

PURPOSE = "unsubscribe"


def link(subscription: int) -> str:
    """The address that stands in the mails of a subscription."""
    return f"{settings().app_address}/unsubscribe/{sessions.sealed(PURPOSE, str(subscription))}"


def read(token: str) -> int | None:
    """The subscription that a token of ours names; None for any other text."""
    value = sessions.opened(PURPOSE, token)
    return int(value) if value and value.isascii() and value.isdigit() else None


def page_of(subscription: int) -> str | None:
    """The page that is mailed; None where it was ended."""
    found: str | None = run("subscription_page", number=subscription)[0].page
    return found


def end(subscription: int) -> str | None:
    """End it; returns whose it was, None where it was ended before."""
    whose: str | None = run("unsubscribe", number=subscription)[0].whose
    return whose
