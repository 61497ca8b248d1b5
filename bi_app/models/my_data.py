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
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import sql

from bi_app.auth.sessions import DEVICE_DAYS
from bi_app.models.export import to_csv
from bi_app.models.report import Card, card, table_of
from bi_app.models.table import Column, Kind, Table
from bi_app.queries import rows
from warehouse.access import Viewer
from warehouse.settings import settings
from warehouse.spec import Dataset, datasets

MOST, SHOWN, WIDE = 20_000, 500, 6
DATA = (
    "One line a dataset that may hold something about you. Records: how many are about you. Why and"
    " how long: what the library has set down for it."
)
RECORDS = "The records of the part that is open, the newest first."
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
    "integer": "integer", "bigint": "integer", "numeric": "money", "double": "number",
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

    `table` is a view of the schema app, or a table that shows others' rows as well: there `member`
    names the column of the pseudonym, or `owner` that of the e-mail. `held` is the function that
    counts rows which are kept and not shown, too.
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
    owner: str = ""

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
    kept = f"{rule.personal} from “{by}”" if rule.personal and by else "No end is set"
    return Part(
        dataset.table,
        dataset.title,
        f"{dataset.grain[:1].upper()}{dataset.grain[1:]}",
        rule.reason[:1].upper() + rule.reason[1:] if rule.reason else "No reason is set down",
        f"{kept}; the lines of the file it came in, {rule.bronze}",
        ("silver", dataset.table),
        [Field(c.name, c.meaning, KINDS.get(c.type, "text")) for c in dataset.stored],
        dataset.access.member or "",
        f"held_{dataset.table}" if dataset.access.history else "",
    )


ACCOUNT = (
    moment("created_at", "When the account was made"),
    Field("account_id", "Its number", "integer"),
    Field("email", "E-mail address"),
    Field("name", "Name"),
    Field("role", "Role"),
    Field("branches", "Branches of a librarian"),
    Field("card_linked", "Whether a library card is linked"),
    Field("has_password", "Whether a password is kept, as a hash"),
    moment("approved_at", "When it was let in"),
    moment("second_factor_since", "Since when it has a second factor"),
    Field("recovery_codes_left", "Recovery codes not used yet", "integer"),
)
IDENTITIES = (
    moment("linked_at", "When it was linked"),
    Field("issuer", "Who knows you"),
    Field("subject", "Under which name"),
)
SESSIONS = (
    moment("started_at", "When you signed in"),
    moment("seen_at", "When it was used last"),
    moment("expires_at", "When it ends at the latest"),
    moment("ended_at", "When it was ended"),
    Field("address", "Network address"),
    Field("client", "What the browser says of itself"),
    Field("method", "How you proved who you are"),
)
DEVICES = (
    moment("made_at", "When you first signed in from it"),
    moment("seen_at", "When it was seen last"),
)
SIGN_INS = (
    moment("at", "When"),
    Field("email", "E-mail address"),
    Field("address", "Network address"),
    Field("outcome", "What became of it"),
)
ACTIVITY = (
    moment("at", "When"),
    Field("entry_id", "Number in the log", "integer"),
    Field("who", "E-mail address"),
    Field("role", "Role at that time"),
    Field("act", "What was done"),
    Field("subject", "To what"),
    Field("outcome", "What became of it"),
    Field("door", "Through which door"),
    Field("address", "Network address"),
    Field("details", "More facts"),
)
KEYS = (
    moment("created_at", "When it was made"),
    Field("name", "Its name"),
    Field("prefix", "How it begins"),
    Field("scopes", "What it may be used for"),
    moment("expires_at", "When it ends"),
    moment("last_used_at", "When it was used last"),
    moment("ended_at", "When it was ended"),
)
EMAIL_CHANGES = (
    moment("asked_at", "When you asked for it"),
    Field("old_email", "From"),
    Field("new_email", "To"),
    moment("done_at", "When the new address confirmed"),
    moment("given_up_at", "When it was given up"),
    moment("objected_at", "When the old address objected"),
    moment("undone_at", "When the old address was put back"),
)
CONSENTS = (moment("at", "When"), Field("said", "What you said"))
REQUESTS = (
    moment("asked_at", "When"),
    Field("action", "What"),
    Field("subject", "Of what"),
    Field("state", "How it stands"),
    moment("done_at", "When it was done"),
)
ALERT_ACTS = (
    moment("at", "When"),
    Field("alert_id", "Number of the alert", "integer"),
    Field("action", "What you did"),
    Field("to_state", "How it stood then"),
    Field("note", "What you wrote"),
)


SAVED_VIEWS = (
    moment("made_at", "When you saved it"),
    moment("changed_at", "When you changed it last"),
    Field("name", "Its name"),
    Field("page", "Of which page"),
    Field("state", "The choices, as the page's address has them"),
    Field("card", "Whether it is a card"),
    Field("shared_with", "Who else may open it"),
)
LIFE, LOG, GOOD = "As long as you have the account", "{log}", "For good"
OWN = (  # name, title, what it is, why and how long it is kept, fields
    ("account", "Account", "Who you are here", "So that you can sign in", LIFE, ACCOUNT),
    ("identities", "Sign-in elsewhere", "Whom your organisation knows you as",
     "So that you can sign in through it", LIFE, IDENTITIES),
    ("sessions", "Sessions", "Each time that you were signed in",
     "So that you see and can end them", "{days} days after its end", SESSIONS),
    ("devices", "Known browsers", "Browsers that you signed in from",
     "So that strangers cannot lock you out", f"{DEVICE_DAYS} days after its last use", DEVICES),
    ("sign_ins", "Sign-ins", "Each attempt to sign in as you, failed ones too",
     "Against the guessing of passwords", "{days} days", SIGN_INS),
    ("activity", "Activity", "What you did here: views, files, changes",
     "So that misuse can be found and proved", LOG, ACTIVITY),
    ("keys", "API keys", "Keys that you made for programs; the key itself is not kept",
     "So that they can be ended", "{days} days after its end", KEYS),
    ("email_changes", "Changes of e-mail", "Addresses that you had or asked for",
     "So that your earlier acts stay yours", f"{LIFE}; what was not done {{days}} days",
     EMAIL_CHANGES),
    ("consents", "Consent to a history", "When you agreed and when you took it back",
     "As proof of your decision", "Until the library erases you", CONSENTS),
    ("requests", "Requests to pipelines", "Loads and repairs that you asked for",
     "So that it is known who changed figures", GOOD, REQUESTS),
    ("alert_acts", "Acts on alerts", "What you did about alerts",
     "So that it is known who did what", GOOD, ALERT_ACTS),
)  # fmt: skip


def _of_account() -> Iterator[Part]:
    """What is held about every account."""
    wanted = settings()
    log = f"{wanted.audit_days} days" if wanted.audit_days else GOOD
    for name, title, what, why, kept, fields in OWN:
        how_long = kept.format(days=wanted.sign_in_days, log=log)
        yield Part(name, title, what, why, how_long, ("app", f"my_{name}"), fields)
    yield Part(
        "saved_views", "Saved views", "Choices on pages that you saved, and your cards",
        "So that you find them again", f"Until you delete them; {LIFE[0].lower()}{LIFE[1:]}",
        ("app", "saved_views"), SAVED_VIEWS, owner="owner",
    )  # fmt: skip


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
    if part.owner:
        return sql.SQL("{} = %(user)s").format(sql.Identifier(part.owner))
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
    notes = [part.what, f"Why it is kept: {part.why}", f"How long: {part.kept}"]
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
        {"what": c.title, "value": said(table.data[c.key][0]), "meaning": f.meaning}
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
        card("held", "Records about you", f"{held:,}", DATA,
             note=f"in {filled} of {len(found)} parts"),
        card("account", "Of your account", f"{held - of_data:,}", DATA, note="what you did here"),
        card("library", "Of your card", f"{of_data:,}", DATA, note="loans, holds, charges"),
        card("hidden", "Kept, not shown", f"{hidden:,}",
             "Records of loans and holds that are over, from before you agreed to a history or"
             " without it.", note="over, and no history agreed to" if hidden else "nothing"),
    ]  # fmt: skip


def told(viewer: Viewer, found: Sequence[Counted]) -> dict[str, Any]:
    """What a person should know of the own data, and the ways on."""
    hidden = sum(c.held - c.shown for c in found)
    says = [
        "This is what Carrel holds about you. The file has all of it, for you and for programs:"
        " one JSON document, and a CSV file a part."
    ]
    if hidden:
        says.append(
            f"{hidden:,} records of loans and holds that are over are kept and not shown, because"
            " you had not agreed to a history when they began. The library can give you a copy."
        )
    if viewer.role == "member" and viewer.member_key is None:
        says.append("No library card is linked to this account, so no loans are in it.")
    says.append(
        "Name, e-mail address, password and sessions are yours to change at My account. What the"
        " library's system says wrongly of you is corrected there: ask at the desk. To have your"
        " data erased, ask the library as well; this page cannot do it yet. Backups hold copies for"
        " as long as the library keeps them."
    )
    links = [["/download/my_data/everything.zip", "Download all of it", "download"],
             ["/account", "My account", ""]]  # fmt: skip
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
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


def said(value: Any) -> str:
    """A value of the database in words; nothing for what is not known."""
    if isinstance(value, dt.datetime):
        local = value.astimezone(ZoneInfo(settings().timezone)) if value.tzinfo else value
        return f"{local:%Y-%m-%d %H:%M}"
    return "" if value is None else str(value)


def _words(name: str) -> str:
    """A column's name as a heading."""
    return name.replace("_", " ").capitalize()
