"""`carrel audit`: prove the log of acts untouched, list it, write it to a file."""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warehouse.errors import CarrelError, ConfigurationError

if TYPE_CHECKING:
    from warehouse.audit_chain import Wanted

SPAN = re.compile(r"([1-9][0-9]{0,4})([mhd])")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
COLUMNS = (
    "entry_id", "at", "noted_at", "who", "role", "address", "door", "act", "subject", "outcome",
    "details", "login", "previous", "hash",
)  # fmt: skip

Who = Annotated[str | None, typer.Option(help="Part of an e-mail address or a system user.")]
Act = Annotated[str | None, typer.Option(help="Such as sign_in, view, export, change, run.")]
Outcome = Annotated[str | None, typer.Option(help="begun, done, refused or failed.")]
Door = Annotated[str | None, typer.Option(help="page, api, export, cli, mail or schedule.")]
From = Annotated[
    str | None, typer.Option("--from", help="2026-01-31, 2026-01-31T08:00, or 7d: so long ago.")
]
Until = Annotated[str | None, typer.Option("--until", help="The same; a day is meant whole.")]

audit = typer.Typer(help="The log of acts: verify, list, export.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(audit, name="audit")


@audit.command()
def verify() -> None:
    """Check that no entry was changed, removed, put in or moved; name the first that was.

    Exit codes: 0 unbroken; 1 broken; 2 there is no log.
    """
    from warehouse.audit_chain import verify as check

    found = check()
    for one in found.notes:
        typer.echo(one, err=True)
    if not found.unbroken:
        raise CarrelError(
            f"The audit log is broken: {found.fault}; {found.entries:,} entries before it stand.",
            remedy="Somebody with access to the database did that; compare a backup of before.",
        )
    since = f" since {found.since:%Y-%m-%d %H:%M:%S} UTC" if found.since else ""
    typer.echo(f"{found.entries:,} entries, unbroken{since}; signed up to {found.signed_to}")


@audit.command("list")
def listed(  # noqa: PLR0913, PLR0917 - each is an option
    who: Who = None,
    act: Act = None,
    outcome: Outcome = None,
    door: Door = None,
    start: From = None,
    end: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
) -> None:
    """Show the newest entries that fit, the newest first."""
    from warehouse.audit_chain import entries

    found = 0
    for one in entries(wanted(who, act, outcome, door, start, end), newest=limit):
        found += 1
        details = json.dumps(one["details"], ensure_ascii=False) if one["details"] else ""
        typer.echo(
            f"{one['entry_id']:>8}  {one['at']:%Y-%m-%d %H:%M:%S}  {one['who']:<28}"
            f" {one['role']:<9} {one['door']:<8} {one['act']:<16} {one['outcome']:<7}"
            f" {one['subject']}  {one['address']}  {details}".rstrip()
        )
    if not found:
        typer.echo("No entry fits.", err=True)


@audit.command()
def export(  # noqa: PLR0913, PLR0917 - each is an option
    to: Annotated[str, typer.Option(help="x.csv or x.jsonl; - for JSON lines on the screen.")],
    who: Who = None,
    act: Act = None,
    outcome: Outcome = None,
    door: Door = None,
    start: From = None,
    end: Until = None,
) -> None:
    """Write the entries that fit to a file, the oldest first, with their hashes."""
    from warehouse import audit as record
    from warehouse.audit_chain import entries

    place, kind = Path(to), Path(to).suffix.lower()
    if to != "-" and kind not in (".csv", ".jsonl"):
        raise ConfigurationError(f"{to}: is no kind of file.", remedy="End it with .csv or .jsonl.")
    found = entries(wanted(who, act, outcome, door, start, end))
    with record.acting(record.shell(), "export", "audit log") as facts:
        if to == "-":
            for count, line in enumerate(_lines(found), start=1):
                sys.stdout.write(line)
                facts["rows"] = count
            return
        facts["rows"] = _written(place, kind, found)
    typer.echo(f"{place}: {facts['rows']} entries")


def _written(place: Path, kind: str, found: Iterable[dict[str, Any]]) -> int:
    """Write a file that only its owner can read; returns how many entries it has."""
    import csv

    from tasks.export import whole
    from warehouse.sheets import safe_text

    count = 0
    with whole(place, 0o600) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        if kind == ".jsonl":
            for line in _lines(found):
                count += file.write(line) > 0
            return count
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for one in found:
            plain = one | {"details": json.dumps(one["details"], ensure_ascii=False)}
            writer.writerow([safe_text(_text(plain[c])) for c in COLUMNS])
            count += 1
    return count


def _lines(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    for one in found:
        yield json.dumps({c: one[c] for c in COLUMNS}, default=_text, ensure_ascii=False) + "\n"


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.datetime) else value


def wanted(  # noqa: PLR0913, PLR0917 - each is an option
    who: str | None,
    act: str | None,
    outcome: str | None,
    door: str | None,
    start: str | None,
    end: str | None,
) -> Wanted:
    """The filters as they were typed.

    Raises:
        ConfigurationError: a time is none.
    """
    from warehouse.audit_chain import Wanted

    until = moment(end, whole_day=True) if end else None
    return Wanted(who, act, outcome, door, moment(start) if start else None, until)


def moment(text: str, *, now: dt.datetime | None = None, whole_day: bool = False) -> dt.datetime:
    """A time, by default in the schedules' time zone, a day, or a span before now.

    Raises:
        ConfigurationError: it is neither.
    """
    from zoneinfo import ZoneInfo

    from warehouse.settings import settings

    if span := SPAN.fullmatch(text):
        return (now or dt.datetime.now(dt.UTC)) - dt.timedelta(**{UNITS[span[2]]: int(span[1])})
    try:
        at = dt.datetime.fromisoformat(text)
        if whole_day and len(text) <= len("2026-01-31"):
            at += dt.timedelta(days=1)
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"{text!r} is no time.", remedy="Write 2026-01-31, 2026-01-31T08:00, or 7d."
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(settings().timezone))
