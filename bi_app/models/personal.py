"""What Carrel can hold about a person: each kind of record, why and for how long it is kept.

What is about an account stands in views of the schema app; a dataset that names members is a part
as soon as its spec does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from bi_app import words
from bi_app.auth.sessions import DEVICE_DAYS
from bi_app.models.table import Column, Kind
from bi_app.words import N_, _
from warehouse.access import Viewer
from warehouse.settings import settings
from warehouse.spec import Dataset, datasets

KINDS: Mapping[str, Kind] = {
    "integer": "integer", "bigint": "integer", "numeric": "money", "double": "exact",
    "date": "date", "timestamp": "datetime",
}  # fmt: skip


@dataclass(frozen=True)
class Field:
    """A column of a part: its name in the table, what it means, and how it is written."""

    name: str
    meaning: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Part:
    """One kind of record about a person.

    `table` is a view of the schema app, or a table of silver where `member` names the column of
    the person; `held` is the function that counts rows which are kept and not shown, too.
    """

    name: str
    title: str
    what: str
    why: str
    kept: str
    table: tuple[str, str]
    fields: Sequence[Field]
    member: str = ""
    held: str = ""

    @property
    def columns(self) -> list[Column]:
        """The columns as a table has them."""
        return [Column(f.name, in_words(f.name), f.kind) for f in self.fields]


def moment(name: str, meaning: str) -> Field:
    """A point in time."""
    return Field(name, meaning, "moment")


def parts(viewer: Viewer) -> list[Part]:
    """The parts of the viewer's data: the account's, then those of the data that name members."""
    found = list(_of_account())
    if viewer.role == "member" and viewer.member_key:
        named = (d for d in datasets().values() if d.access.member)
        found += [_of_dataset(d) for d in sorted(named, key=lambda d: d.title)]
    return found


def _of_dataset(dataset: Dataset) -> Part:
    """What a dataset holds of a member."""
    rule = dataset.retention
    by = in_words(rule.personal_by or dataset.event or "")
    span = words.span(rule.personal) if rule.personal else ""
    given = {"span": span, "by": by, "lines": words.span(rule.bronze)}
    ends = rule.personal and by
    return Part(
        dataset.table,
        dataset.title,
        f"{dataset.grain[:1].upper()}{dataset.grain[1:]}",
        rule.reason[:1].upper() + rule.reason[1:] if rule.reason else _("No reason is set down"),
        _("{span} from “{by}”; the lines of the file it came in, {lines}", **given)
        if ends
        else _("No end is set; the lines of the file it came in, {lines}", **given),
        ("silver", dataset.table),
        [Field(c.name, c.meaning, KINDS.get(c.type, "text")) for c in dataset.stored],
        dataset.access.member or "",
        f"held_{dataset.table}" if dataset.access.history else "",
    )


ROLE, LANGUAGE = Field("role", N_("Role")), Field("language", N_("Language"))
ACCOUNT = (
    moment("created_at", N_("When the account was made")),
    Field("account_id", N_("Its number"), "integer"),
    Field("email", N_("E-mail address")),
    Field("name", N_("Name")),
    ROLE,
    Field("branches", N_("Branches of a librarian")),
    Field("card_linked", N_("Whether a library card is linked")),
    Field("has_password", N_("Whether a password is kept, as a hash")),
    moment("approved_at", N_("When it was let in")),
    moment("second_factor_since", N_("Since when it has a second factor")),
    Field("recovery_codes_left", N_("Recovery codes not used yet"), "integer"),
    LANGUAGE,
)
IDENTITIES = (
    moment("linked_at", N_("When it was linked")),
    Field("issuer", N_("Who knows you")),
    Field("subject", N_("Under which name")),
)
SESSIONS = (
    moment("started_at", N_("When you signed in")),
    moment("seen_at", N_("When it was used last")),
    moment("expires_at", N_("When it ends at the latest")),
    moment("ended_at", N_("When it was ended")),
    Field("address", N_("Network address")),
    Field("client", N_("What the browser says of itself")),
    Field("method", N_("How you proved who you are")),
)
DEVICES = (
    moment("made_at", N_("When you first signed in from it")),
    moment("seen_at", N_("When it was seen last")),
)
SIGN_INS = (
    moment("at", N_("When")),
    Field("email", N_("E-mail address")),
    Field("address", N_("Network address")),
    Field("outcome", N_("What became of it")),
)
ACTIVITY = (
    moment("at", N_("When")),
    Field("entry_id", N_("Number in the log"), "integer"),
    Field("who", N_("E-mail address")),
    Field("role", N_("Role at that time")),
    Field("act", N_("What was done")),
    Field("subject", N_("To what")),
    Field("outcome", N_("What became of it")),
    Field("door", N_("Through which door")),
    Field("address", N_("Network address")),
    Field("details", N_("More facts")),
)
KEYS = (
    moment("created_at", N_("When it was made")),
    Field("name", N_("Its name")),
    Field("prefix", N_("How it begins")),
    Field("scopes", N_("What it may be used for")),
    moment("expires_at", N_("When it ends")),
    moment("last_used_at", N_("When it was used last")),
    moment("ended_at", N_("When it was ended")),
)
EMAIL_CHANGES = (
    moment("asked_at", N_("When you asked for it")),
    Field("old_email", N_("From")),
    Field("new_email", N_("To")),
    moment("done_at", N_("When the new address confirmed")),
    moment("given_up_at", N_("When it was given up")),
    moment("objected_at", N_("When the old address objected")),
    moment("undone_at", N_("When the old address was put back")),
)
CONSENTS = (moment("at", N_("When")), Field("said", N_("What you said")))
REQUESTS = (
    moment("asked_at", N_("When")),
    Field("action", N_("What")),
    Field("subject", N_("Of what")),
    Field("state", N_("How it stands")),
    moment("done_at", N_("When it was done")),
)
ALERT_ACTS = (
    moment("at", N_("When")),
    Field("alert_id", N_("Number of the alert"), "integer"),
    Field("action", N_("What you did")),
    Field("to_state", N_("How it stood then")),
    Field("note", N_("What you wrote")),
)


SAVED_VIEWS = (
    moment("made_at", N_("When you saved it")),
    moment("changed_at", N_("When you changed it last")),
    Field("name", N_("Its name")),
    Field("page", N_("Of which page")),
    Field("state", N_("The choices, as the page's address has them")),
    Field("card", N_("Whether it is a card")),
    Field("shared_with", N_("Who else may open it")),
)
SUBSCRIPTIONS = (
    moment("made_at", N_("When you asked for it")),
    Field("page", N_("Of which page")),
    Field("choice", N_("The choices, as the page's address has them")),
    Field("every", N_("How often")),
    Field("files", N_("Which files come with it")),
    moment("next_due_at", N_("When it is due next")),
    moment("paused_at", N_("Since when it is paused")),
)
SENDINGS = (
    moment("due_at", N_("When it was due")),
    Field("state", N_("What became of it")),
    moment("ended_at", N_("When it was done")),
)
LIFE, LOG, GOOD = N_("As long as you have the account"), "{log}", N_("For good")
OWN = (  # name, title, what it is, why and how long it is kept, fields
    ("account", N_("Account"), N_("Who you are here"), N_("So that you can sign in"), LIFE,
     ACCOUNT),
    ("identities", N_("Sign-in elsewhere"), N_("Whom your organisation knows you as"),
     N_("So that you can sign in through it"), LIFE, IDENTITIES),
    ("sessions", N_("Sessions"), N_("Each time that you were signed in"),
     N_("So that you see and can end them"), N_("{days} days after its end"), SESSIONS),
    ("devices", N_("Known browsers"), N_("Browsers that you signed in from"),
     N_("So that strangers cannot lock you out"), N_("{device_days} days after its last use"),
     DEVICES),
    ("sign_ins", N_("Sign-ins"), N_("Each attempt to sign in as you, failed ones too"),
     N_("Against the guessing of passwords"), N_("{days} days"), SIGN_INS),
    ("activity", N_("Activity"), N_("What you did here: views, files, changes"),
     N_("So that misuse can be found and proved"), LOG, ACTIVITY),
    ("keys", N_("API keys"), N_("Keys that you made for programs; the key itself is not kept"),
     N_("So that they can be ended"), N_("{days} days after its end"), KEYS),
    ("email_changes", N_("Changes of e-mail"), N_("Addresses that you had or asked for"),
     N_("So that your earlier acts stay yours"),
     N_("As long as you have the account; what was not done {days} days"),
     EMAIL_CHANGES),
    ("consents", N_("Consent to a history"), N_("When you agreed and when you took it back"),
     N_("As proof of your decision"), N_("Until the library erases you"), CONSENTS),
    ("requests", N_("Requests to pipelines"), N_("Loads and repairs that you asked for"),
     N_("So that it is known who changed figures"), GOOD, REQUESTS),
    ("alert_acts", N_("Acts on alerts"), N_("What you did about alerts"),
     N_("So that it is known who did what"), GOOD, ALERT_ACTS),
)  # fmt: skip


DELETED = N_("Until you delete it, or as long as you have the account")
SHARED = (  # tables that show some people others' rows as well
    ("saved_views", N_("Saved views"), N_("Choices on pages that you saved, and your cards"),
     N_("So that you find them again"), DELETED, SAVED_VIEWS),
    ("subscriptions", N_("Reports by mail"), N_("Reports that you have mailed to you"),
     N_("So that they come"), DELETED, SUBSCRIPTIONS),
    ("sendings", N_("Mails of reports"), N_("Each mail that fell due, and what became of it"),
     N_("So that none is lost or comes twice"), N_("A year"), SENDINGS),
)  # fmt: skip
MINE: Mapping[str, LiteralString] = {
    "saved_views": "owner = %(user)s",
    "subscriptions": "account_id = (select app.viewer_account())",
    "sendings": "subscription_id in (select s.subscription_id from app.subscriptions s"
    " where s.account_id = (select app.viewer_account()))",
}


def _of_account() -> Iterator[Part]:
    """What is held about every account."""
    wanted = settings()
    log = _("{days} days", days=wanted.audit_days) if wanted.audit_days else _(GOOD)
    given = {"days": wanted.sign_in_days, "device_days": DEVICE_DAYS}
    for name, title, what, why, kept, fields in OWN:
        how_long = log if kept == LOG else _(kept, **given)
        yield Part(name, _(title), _(what), _(why), how_long, ("app", f"my_{name}"), fields)
    for name, title, what, why, kept, fields in SHARED:
        yield Part(name, _(title), _(what), _(why), _(kept), ("app", name), fields)


def in_words(name: str) -> str:
    """A column's name as a heading."""
    return name.replace("_", " ").capitalize()
