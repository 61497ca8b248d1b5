"""Saved views: the choices of a page under a name, kept for oneself or shared with one's role.

What is kept is the query of the page's address, so that a view opens like any link: with the
rights of who opens it. PostgreSQL decides who reads and who changes one (row policies of
`app.saved_views`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from psycopg.errors import UniqueViolation

from bi_app.queries import Noted, rows, write
from bi_app.words import N_, _
from warehouse.access import Viewer
from warehouse.audit import EMAIL
from warehouse.errors import ConfigurationError

MOST, MOST_CARDS, LONGEST_NAME, LONGEST = 50, 24, 80, 2_000
KEY = re.compile(r"[a-z_]{1,40}")
NOT_YOURS = N_("There is no such view of yours.")


def listed(viewer: Viewer, page: str) -> list[dict[str, Any]]:
    """The views of a page that are the viewer's own, then those shared with the viewer's role."""
    asked = {"me": viewer.user, "card": False, "page": page}
    return [
        {
            "id": r["view_id"], "name": r["name"], "href": address(r["page"], r["state"]),
            "own": r["own"], "shared": r["shared"], "by": "" if r["own"] else r["owner"],
        }
        for r in rows(viewer, "saved_views", asked)
    ]  # fmt: skip


def cards(viewer: Viewer) -> list[dict[str, Any]]:
    """The viewer's own cards: `view_id`, `name`, `state`, in the order of their names."""
    asked = {"me": viewer.user, "card": True, "page": None}
    return [dict(r) for r in rows(viewer, "saved_views", asked)]


def address(page: str, state: str) -> str:
    """The address of a page with a state."""
    return f"{page}?{state}" if state else page


def checked_state(text: Any) -> str:
    """A page's state from an untrusted text: keys and values as in an address, written anew.

    Raises:
        ConfigurationError: it is too long, no such thing, or holds an e-mail address.
    """
    if not isinstance(text, str) or len(text) > LONGEST:
        raise ConfigurationError(_("These are too many choices for a view."))
    try:
        pairs = parse_qsl(text.removeprefix("?"), True, errors="strict", max_num_fields=100)
    except (ValueError, UnicodeError) as error:
        raise ConfigurationError(_("This is no state of a page.")) from error
    if any(not KEY.fullmatch(k) or EMAIL.search(v) or "\0" in v for k, v in pairs):
        raise ConfigurationError(_("A view holds choices only, and no e-mail address."))
    written = urlencode(pairs, errors="replace")
    if len(written) > LONGEST:
        raise ConfigurationError(_("These are too many choices for a view."))
    return written


def checked_name(text: Any) -> str:
    """A name from an untrusted text.

    Raises:
        ConfigurationError: it is empty, too long, or not printable.
    """
    name = " ".join(text.split()) if isinstance(text, str) else ""
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise ConfigurationError(_("A name has 1 to {count} characters.", count=LONGEST_NAME))
    return name


def save(viewer: Viewer, page: str, name: Any, state: Any, *, card: bool = False) -> int:
    """Keep a state under a name, in place of one that has the name; returns its number.

    Raises:
        ConfigurationError: name or state are not good, or there are too many.
    """
    most = MOST_CARDS if card else MOST
    values = {
        "me": viewer.user, "page": page, "name": checked_name(name),
        "state": checked_state(state), "card": card, "most": most,
    }  # fmt: skip
    noted = Noted("save_view", page, details={"card": card})
    found = write(viewer, "saved_view_add", values, noted)
    if not found:
        full = N_("You have {count} cards already: delete one first.") if card else N_(
            "You have {count} views of this page already: delete one first.")  # fmt: skip
        raise ConfigurationError(_(full, count=most))
    return int(found[0]["view_id"])


def rename(viewer: Viewer, number: int, name: Any) -> None:
    """Give an own view another name.

    Raises:
        ConfigurationError: it is not the viewer's, or the name is taken or not good.
    """
    try:
        _change(viewer, "rename", number, name=checked_name(name))
    except UniqueViolation as taken:
        raise ConfigurationError(_("You have a view of this name already.")) from taken


def share(viewer: Viewer, number: int, *, shared: bool) -> None:
    """Share an own view with everybody of the own role, or with nobody.

    Raises:
        ConfigurationError: it is not the viewer's.
    """
    _change(viewer, "share", number, role=viewer.role if shared else None)


def delete(viewer: Viewer, number: int) -> None:
    """Delete an own view or card.

    Raises:
        ConfigurationError: it is not the viewer's.
    """
    _change(viewer, "delete", number)


def _change(viewer: Viewer, what: str, number: int, **values: Any) -> None:
    asked = {"me": viewer.user, "id": number, **values}
    noted = Noted(f"{what}_view", f"view {number}")
    if not write(viewer, f"saved_view_{what}", asked, noted):
        raise ConfigurationError(_(NOT_YOURS))


def act(viewer: Viewer, page: str, asked: Mapping[str, Any]) -> str:
    """Do what a browser asked; returns what the person is told.

    Raises:
        ConfigurationError: it is refused, and why.
    """
    known = ACTS.get(str(asked.get("act")))
    if known is None:
        raise ConfigurationError(_("There is no such act."))
    return known(viewer, page, asked)


def number_of(asked: Mapping[str, Any]) -> int:
    """The number of the view that is asked about; one that nobody has where it is none."""
    number = asked.get("subject")
    return int(number) if isinstance(number, int | float) and 0 < number < 2**62 else 0


def _saved(viewer: Viewer, page: str, asked: Mapping[str, Any]) -> str:
    save(viewer, page, asked.get("name"), asked.get("state"))
    return _("Saved.")


def _carded(viewer: Viewer, page: str, asked: Mapping[str, Any]) -> str:
    if page != "/explore":
        raise ConfigurationError(_("A card is made on Explore."))
    save(viewer, page, asked.get("name"), asked.get("state"), card=True)
    return _("Saved as a card: see My cards.")


def _renamed(viewer: Viewer, _page: str, asked: Mapping[str, Any]) -> str:
    rename(viewer, number_of(asked), asked.get("name"))
    return _("Renamed.")


def _shared(viewer: Viewer, _page: str, asked: Mapping[str, Any]) -> str:
    shared = asked.get("shared") is True
    share(viewer, number_of(asked), shared=shared)
    return _("Shared with every {role}.", role=_(viewer.role)) if shared else _("Shared no longer.")


def _deleted(viewer: Viewer, _page: str, asked: Mapping[str, Any]) -> str:
    delete(viewer, number_of(asked))
    return _("Deleted.")


ACTS: dict[str, Callable[[Viewer, str, Mapping[str, Any]], str]] = {
    "views": lambda *_: "",
    "save_view": _saved,
    "save_card": _carded,
    "rename_view": _renamed,
    "share_view": _shared,
    "delete_view": _deleted,
}
