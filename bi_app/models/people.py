"""Accounts as admins see them, and what an admin does with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bi_app import words
from bi_app.auth import people
from bi_app.auth.people import Invitation, Person
from bi_app.auth.roles import ROLE_NAMES
from bi_app.models.quality import badge, figure, table
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from bi_app.words import N_, _, ngettext
from warehouse import audit
from warehouse.access import ROLES, Role, Viewer
from warehouse.errors import ConfigurationError

STATES = {N_("active"): "good", N_("waiting"): "warn", N_("invited"): "", N_("disabled"): "bad"}
PEOPLE = N_(
    "An account is waiting (registered, to be approved), invited (has not chosen a password yet),"
    " active or disabled. A change of role, branches or member ends its sessions at once."
)
NOW = N_("Accounts with a session that is neither ended, idle nor expired.")
COLUMNS = (
    Column("state", "State", "badge"),
    Column("email", "E-mail", "action"),
    Column("name", "Name"),
    Column("role", "Role"),
    Column("sees", "Sees"),
    Column("factor", "Second factor"),
    Column("sessions", "Sessions", "integer"),
    Column("last_seen_at", "Last seen", "moment"),
)
ACT_COLUMNS = (
    Column("at", "When", "moment"),
    Column("act", "Did"),
    Column("subject", "What"),
    Column("outcome", "Outcome"),
    Column("address", "From"),
)
SAW_CARD = [["no", N_("Link no member")], ["yes", N_("I saw the card: link the member")]]


def found(viewer: Viewer, state: str = "") -> list[Person]:
    """The accounts, or those of one state."""
    return [p for p in people.list_accounts(viewer) if state in ("", p.state)]


def people_table(members: Sequence[Person], chosen: object = None) -> Table:
    """The accounts as a table; a click on one opens it."""
    records = [
        {
            "state": badge(p.state, STATES),
            "email": {
                "act": "open", "key": "account", "subject": p.account_id, "label": p.email,
                "on": p.account_id == chosen,
            },
            "name": p.name, "role": _(p.role), "sees": sees(p), "sessions": p.sessions,
            "factor": factor(p), "last_seen_at": p.last_seen_at,
        }
        for p in members
    ]  # fmt: skip
    return table("people", "People", COLUMNS, records, [PEOPLE])


def sees(one: Person) -> str:
    """Whose rows an account sees, in words."""
    if one.role == "admin":
        return _("everything")
    if one.role == "librarian":
        return ", ".join(one.branches) or _("no branch yet")
    return _("own loans") if one.member_key else _("public figures")


def factor(one: Person) -> str:
    """How an account proves who it is, beside a password."""
    ways = ((_("yes"), one.second_factor), (_("signs in elsewhere"), one.signs_in_elsewhere))
    return ", ".join(words for words, there in ways if there) or _("no")


def cards(members: Sequence[Person]) -> list[dict[str, Any]]:
    """The figures on top."""
    count = {state: sum(p.state == state for p in members) for state in STATES}
    here = sum(p.sessions > 0 for p in members)
    bare = sum(p.state == "active" and p.role == "admin" and factor(p) == _("no") for p in members)
    return [
        figure("active", "Active accounts", words.whole(count["active"]),
               _("{count} disabled", count=count["disabled"]), PEOPLE),
        figure("here", "Signed in now", words.whole(here),
               _("of {count}", count=count["active"]), NOW),
        figure("waiting", "Wait for approval", words.whole(count["waiting"]),
               _("{count} invited", count=count["invited"]), PEOPLE,
               look="warn" if count["waiting"] else ""),
        figure("bare", "Admins by password alone", words.whole(bare), _("without a second factor"),
               "Active admins who need nothing but a password to sign in.",
               look="warn" if bare else "good"),
    ]  # fmt: skip


def acts_table(viewer: Viewer, one: Person) -> Table:
    """What an account did of late, as the audit log tells it."""
    found = rows(viewer, "acts_of", {"who": one.email})
    records = [
        {**r, "act": _(r["act"].replace("_", " ")), "outcome": _(r["outcome"])} for r in found
    ]
    return table("acts_of", "Did of late", ACT_COLUMNS, records)


def invitation() -> dict[str, Any]:
    """The form that invites somebody."""
    fields = [
        {"name": "email", "label": _("E-mail"), "type": "email", "required": True},
        {"name": "name", "label": _("Name")},
        _roles("member"),
        {"name": "branches", "label": _("A librarian's branches"), "placeholder": "CEN, BEL"},
    ]
    return {"alert": 0, "acts": [{"act": "invite", "label": _("Invite"), "fields": fields}]}


def _roles(now: str) -> dict[str, Any]:
    values = [[r, _(ROLE_NAMES[r])] for r in reversed(ROLES)]
    return {"name": "role", "label": _("Role"), "values": values, "value": now}


def offered(one: Person) -> dict[str, Any]:
    """What may be done with an account now, with what each act needs."""
    acts: list[dict[str, Any]] = []
    if one.state == "waiting":
        seen = [[key, _(text)] for key, text in SAW_CARD]
        link = {"name": "link", "label": _("Member"), "values": seen, "value": "no"}
        acts.append(_act("approve", _("Approve"), *([link] if one.states_known_member else [])))
    if one.state == "invited":
        acts.append(_act("invite_again", _("New link")))
    acts.append(_act("set_role", _("Change role"), _roles(one.role)))
    if one.role == "librarian":
        codes = ", ".join(one.branches)
        field = {
            "name": "branches",
            "label": _("Branches"),
            "value": codes,
            "placeholder": "CEN, BEL",
        }
        acts.append(_act("set_branches", _("Change branches"), field))
    if one.role == "member":
        field = {"name": "number", "label": _("Member number; empty: nobody")}
        acts.append(_act("link_member", _("Link member"), field))
    if one.states_known_member and one.state != "waiting":
        acts.append(_act("link_stated", _("Link the stated member: I saw the card")))
    if one.state == "active" and not one.signs_in_elsewhere:
        acts.append(_act("send_reset", _("Link to a new password")))
    if one.sessions:
        acts.append(_act("end_sessions", _("End sessions")))
    if one.second_factor:
        acts.append(_act("remove_second_factor", _("Remove second factor")))
    disabled = one.state == "disabled"
    acts.append(_act("enable", _("Enable")) if disabled else _act("disable", _("Disable")))
    return {"alert": one.account_id, "acts": acts}


def _act(name: str, label: str, *fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"act": name, "label": label, "fields": list(fields)}


def act(viewer: Viewer, asked: Mapping[str, Any], address: str = "") -> str:
    """Do what a browser asked about an account; returns what the person is told.

    PostgreSQL decides who may, and the act is put on record in the same transaction.

    Raises:
        ConfigurationError: the act is not legal, lacks a part, or is not the viewer's to do.
    """
    name, number = str(asked.get("act")), asked.get("subject")
    if name not in ACTS or not isinstance(number, int | float):
        raise ConfigurationError(_("There is no such act."))
    with audit.through("page", address):
        return ACTS[name](viewer, int(number), {k: str(v).strip() for k, v in asked.items()})


Texts = Mapping[str, str]


def _codes(text: str) -> list[str]:
    return [code for code in (part.strip() for part in text.split(",")) if code]


def _role(text: str) -> Role:
    for role in ROLES:
        if role == text:
            return role
    raise ConfigurationError(_("There is no such role."))


def _invite(viewer: Viewer, _number: int, asked: Texts) -> str:
    role = _role(asked.get("role", ""))
    branches = _codes(asked.get("branches", "")) if role == "librarian" else []
    email, name = asked.get("email", "")[:200], asked.get("name", "")[:200]
    return _told(people.invite(viewer, email, name, role, branches))


def _told(made: Invitation) -> str:
    if made.link is None:
        return _("A link goes to {email} by mail.", email=made.email)
    return _(
        "No mail is set up: hand this link to {email}. It is good once: {link}",
        email=made.email,
        link=made.link,
    )


def _ended(viewer: Viewer, number: int, _asked: Texts) -> str:
    ended = people.end_all_sessions(viewer, number)
    return ngettext("{count} session ended.", "{count} sessions ended.", ended)


def _approve(viewer: Viewer, number: int, asked: Texts) -> str:
    seen = asked.get("link") == "yes"
    return _told(people.approve(viewer, number, link_stated_member=seen))


def _change(
    told: str, change: Callable[[Viewer, int, Texts], None]
) -> Callable[[Viewer, int, Texts], str]:
    def done(viewer: Viewer, number: int, asked: Texts) -> str:
        change(viewer, number, asked)
        return f"{people.person(viewer, number).email}: {_(told)}."

    return done


ACTS: dict[str, Callable[[Viewer, int, Texts], str]] = {
    "invite": _invite,
    "invite_again": lambda v, n, _asked: _told(people.invite_again(v, n)),
    "approve": _approve,
    "set_role": _change(
        N_("the role is changed"), lambda v, n, a: people.set_role(v, n, _role(a.get("role", "")))
    ),
    "set_branches": _change(
        N_("the branches are changed"),
        lambda v, n, a: people.set_branches(v, n, _codes(a.get("branches", ""))),
    ),
    "link_member": _change(
        N_("the member is changed"), lambda v, n, a: people.link_member(v, n, a.get("number"))
    ),
    "link_stated": _change(
        N_("linked to the stated member"), lambda v, n, _asked: people.link_stated(v, n)
    ),
    "send_reset": lambda v, n, _asked: _told(people.send_reset(v, n)),
    "end_sessions": _ended,
    "remove_second_factor": _change(
        N_("the second factor is removed"), lambda v, n, _asked: people.remove_second_factor(v, n)
    ),
    "disable": _change(
        N_("disabled, and signed out everywhere"), lambda v, n, _asked: people.disable(v, n)
    ),
    "enable": _change(N_("may sign in again"), lambda v, n, _asked: people.enable(v, n)),
}
