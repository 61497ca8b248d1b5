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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import sql

from bi_app import words
from bi_app.models.export import to_csv
from bi_app.models.personal import LANGUAGE, MINE, ROLE, Field, Part, parts
from bi_app.models.report import Card, card, table_of
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from bi_app.words import N_, _
from warehouse.access import Viewer
from warehouse.settings import settings

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


@dataclass(frozen=True)
class Counted:
    """A part with the number of records that are shown, and of those that are kept."""

    part: Part
    shown: int
    held: int


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
        {"what": _(c.title), "value": valued(f, table.data[c.key][0]), "meaning": _(f.meaning)}
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


def valued(field: Field, value: Any) -> str:
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
