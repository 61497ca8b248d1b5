"""Everything that Carrel holds about the person who asks: what, why, for how long, and a copy.

What is about an account comes from the views `app.my_*`, which show every role the own rows alone;
what the library's data hold of a member comes from silver by its row policies. PostgreSQL decides
both. A dataset that names members is part of it as soon as its spec does.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, LiteralString
from zoneinfo import ZoneInfo

from psycopg import sql

from bi_app import words
from bi_app.auth.sessions import DEVICE_DAYS
from bi_app.models.export import to_csv
from bi_app.models.report import Card, card, table_of
from bi_app.models.table import Column, Kind, Table
from bi_app.queries import rows
from bi_app.words import N_, _
from warehouse.access import Viewer
from warehouse.settings import settings
from warehouse.spec import Dataset, datasets

MOST, SHOWN, WIDE = 20_000, 500, 6
DATA = N_(
    "One line a dataset that may hold something about you. Records: how many are about you. Why and"
    " how long: what the library has set down for it."
)
RECORDS = N_("The records of the part that is open, the newest first.")
PART_COLUMNS = (
    Column("part", "What", "action"),
    Column("held", "Records", "integer"),
    Column("what", "What it is"),
    Column("why", "Why it is kept"),
    Column("kept", "How long"),
)
PAIR_COLUMNS = (
    Column("what", "What"),
    Column("value", "Value"),
    Column("meaning", "Meaning"),
)
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
        return [Column(f.name, _words(f.name), f.kind) for f in self.fields]


@dataclass(frozen=True)
class Counted:
    """A part with the number of records that are shown, and of those that are kept."""

    part: Part
    shown: int
    held: int


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
    by = _words(rule.personal_by or dataset.event or "")
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


# Asking -------------------------------------------------------------------------------------------


def counted(viewer: Viewer) -> list[Counted]:
    """How much there is in each part."""
    found = []
    for part in parts(viewer):
        held = sql.SQL("app.{}()").format(sql.Identifier(part.held)) if part.held else _null()
        table, mine = sql.Identifier(*part.table), _mine(part)
        row = rows(viewer, "own_count", _asked(viewer), held=held, table=table, mine=mine)[0]
        found.append(Counted(part, row["shown"], max(row["held"] or 0, row["shown"])))
    return found


def records(viewer: Viewer, part: Part, most: int = SHOWN) -> list[dict[str, Any]]:
    """The newest records of a part, as the database has them."""
    columns = sql.SQL(", ").join(sql.Identifier(f.name) for f in part.fields)
    first = next((f.name for f in part.fields if f.kind in ("moment", "datetime", "date")),
                 part.fields[0].name)  # fmt: skip
    return rows(
        viewer, "own_rows", _asked(viewer) | {"most": most}, columns=columns,
        first=sql.Identifier(first), table=sql.Identifier(*part.table), mine=_mine(part),
    )  # fmt: skip


def _mine(part: Part) -> sql.Composable:
    """Which rows are asked for: a view `my_*` has no others."""
    if part.name in MINE:
        return sql.SQL(MINE[part.name])
    if not part.member:
        return sql.SQL("true")
    return sql.SQL("{} = %(member)s").format(sql.Identifier(part.member))


def _asked(viewer: Viewer) -> dict[str, Any]:
    return {"member": viewer.member_key, "user": viewer.user}


def _null() -> sql.Composable:
    return sql.SQL("null::bigint")


def part_table(viewer: Viewer, name: str, most: int = MOST) -> Table:
    """The records of a part as a table.

    Raises:
        KeyError: the viewer has no such part.
    """
    part = {p.name: p for p in parts(viewer)}[name]
    found = [{k: _shown(v) for k, v in r.items()} for r in records(viewer, part, most)]
    notes = [
        part.what,
        f"Why it is kept: {part.why}",
        f"How long: {part.kept}",
    ]
    return table_of(part.name, part.title, part.columns, found, notes)


def shown_table(viewer: Viewer, name: str) -> Table:
    """The newest records of a part as a page shows them: a single wide one by its columns.

    Raises:
        KeyError: the viewer has no such part.
    """
    part = {p.name: p for p in parts(viewer)}[name]
    table = part_table(viewer, name, SHOWN)
    if len(table) != 1 or len(part.fields) <= WIDE:
        return table
    pairs = [
        {"what": _(c.title), "value": in_words(f, table.data[c.key][0]), "meaning": _(f.meaning)}
        for c, f in zip(part.columns, part.fields, strict=True)
    ]
    return table_of(part.name, part.title, PAIR_COLUMNS, pairs, table.notes)


def overview(found: Sequence[Counted], chosen: str = "") -> Table:
    """The parts, each with what it is, why and how long it is kept."""
    records_ = [
        {
            "part": {"act": "open", "subject": c.part.name, "label": c.part.title, "key": "part",
                     "on": c.part.name == chosen},
            "held": c.held, "what": c.part.what, "why": c.part.why, "kept": c.part.kept,
        }
        for c in found
    ]  # fmt: skip
    return table_of("my-data", "My data", PART_COLUMNS, records_, [DATA])


def cards(found: Sequence[Counted]) -> list[Card]:
    """The figures on top."""
    held, shown = sum(c.held for c in found), sum(c.shown for c in found)
    hidden = held - shown
    filled = sum(c.held > 0 for c in found)
    of_data = sum(c.held for c in found if c.part.member)
    return [
        card("held", "Records about you", words.whole(held), DATA,
             note=_("in {filled} of {count} parts", filled=filled, count=len(found))),
        card("account", "Of your account", words.whole(held - of_data), DATA,
             note=_("what you did here")),
        card("library", "Of your card", words.whole(of_data), DATA,
             note=_("loans, holds, charges")),
        card("hidden", "Kept, not shown", words.whole(hidden),
             "Records of loans and holds that are over, from before you agreed to a history or"
             " without it.",
             note=_("over, and no history agreed to") if hidden else _("nothing")),
    ]  # fmt: skip


def told(viewer: Viewer, found: Sequence[Counted]) -> dict[str, Any]:
    """What a person should know of the own data, and the ways on."""
    hidden = sum(c.held - c.shown for c in found)
    says = [
        _(
            "This is what Carrel holds about you. The file has all of it, for you and for programs:"
            " one JSON document, and a CSV file a part."
        )
    ]
    if hidden:
        says.append(
            _(
                "{count} records of loans and holds that are over are kept and not shown, because"
                " you had not agreed to a history when they began. The library can give you a"
                " copy.",
                count=hidden,
            )
        )
    if viewer.role == "member" and viewer.member_key is None:
        says.append(_("No library card is linked to this account, so no loans are in it."))
    says.append(
        _(
            "Name, e-mail address, password and sessions are yours to change at My account. What"
            " the library's system says wrongly of you is corrected there: ask at the desk. To have"
            " your data erased, ask the library as well; this page cannot do it yet. Backups hold"
            " copies for as long as the library keeps them."
        )
    )
    links = [["/download/my_data/everything.zip", _("Download all of it"), "download"],
             ["/account", _("My account"), ""]]  # fmt: skip
    return {"says": says, "links": links, "alert": 0, "acts": []}


# The copy -----------------------------------------------------------------------------------------


def everything(viewer: Viewer, now: dt.datetime) -> tuple[bytes, dict[str, int]]:
    """All of it as a zip file, and how many records of each part are in it.

    It holds `my-data.json` and `<part>.csv` for each part that has records; of each part the newest
    20,000 records at most, and the JSON says how many there are.
    """
    told_parts, counts = [], dict[str, int]()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in counted(viewer):
            found = records(viewer, one.part, MOST)
            counts[one.part.name] = len(found)
            told_parts.append(_described(one, found))
            if found:
                data = [{k: _shown(v) for k, v in r.items()} for r in found]
                table = table_of(one.part.name, one.part.title, one.part.columns, data)
                archive.writestr(f"{one.part.name}.csv", to_csv(table))
        document = {"format": "carrel my data 1", "person": viewer.user,
                    "made_at": now.isoformat(timespec="seconds"), "parts": told_parts}  # fmt: skip
        text = json.dumps(document, ensure_ascii=False, indent=1, default=_in_json)
        archive.writestr("my-data.json", text)
    return stream.getvalue(), counts


def _described(one: Counted, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    part = one.part
    return {
        "name": part.name, "title": part.title, "what": part.what, "why": part.why,
        "how_long": part.kept, "records_kept": one.held, "records_shown_to_you": one.shown,
        "columns": {f.name: f.meaning for f in part.fields}, "records": found,
    }  # fmt: skip


def _in_json(value: Any) -> Any:
    """A value that JSON has no kind for."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _shown(value: Any) -> Any:
    """A value as a table holds it."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


def in_words(field: Field, value: Any) -> str:
    """A field's value as the page says it, in the language of the page."""
    if field is LANGUAGE:
        return words.languages().get(value, value or _("As the browser says"))
    return _(said(value)) if field is ROLE and value else said(value)


def said(value: Any) -> str:
    """A value of the database in words; nothing for what is not known."""
    if isinstance(value, dt.datetime):
        local = value.astimezone(ZoneInfo(settings().timezone)) if value.tzinfo else value
        return words.moment(local)
    return "" if value is None else str(value)


def _words(name: str) -> str:
    """A column's name as a heading."""
    return name.replace("_", " ").capitalize()
