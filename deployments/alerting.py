"""`carrel alerts`: what is wrong, and what a person does about it, from the shell."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from warehouse.alerts import Act, Alert

SPAN = re.compile(r"([1-9][0-9]{0,3})([mhd])")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}

Number = Annotated[int, typer.Argument(help="The alert's number.")]
Note = Annotated[str | None, typer.Option(help="Why; it goes on record.")]
By = Annotated[str | None, typer.Option(help="Who does it; default: your name on this machine.")]

alerts = typer.Typer(
    help="Alerts: list, show, ack, assign, resolve, reopen, snooze, wake, deliver.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands to `carrel`."""
    app.add_typer(alerts, name="alerts")


@alerts.command("list")
def list_alerts(
    everything: Annotated[bool, typer.Option("--all", help="The resolved ones, too.")] = False,
    dataset: Annotated[str | None, typer.Option(help="Of this dataset only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """The alerts that are not resolved, the worst first: number, severity, state, age, title."""
    from warehouse.alerts import inbox

    found = inbox(_who(None), resolved=everything, dataset=dataset)
    if as_json:
        typer.echo(json.dumps([asdict(a) for a in found], default=str, indent=1))
        return
    for one in found:
        typer.echo(_line(one))
    if not found:
        typer.echo("No alert is open.", err=True)


def _line(one: Alert) -> str:
    state = "snoozed" if one.snoozed else one.state
    seen = f"  ({one.times} times)" if one.times > 1 else ""
    return (
        f"{one.alert_id:>5}  {one.severity:<8}  {state:<12}  {_age(one.age):>4}  {one.title}{seen}"
    )


def _age(age: dt.timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    if minutes < 60:
        return f"{minutes}m"
    return f"{minutes // 60}h" if minutes < 48 * 60 else f"{minutes // (24 * 60)}d"


@alerts.command()
def show(
    number: Number,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """One alert: its parts, what it holds back, and its record."""
    from warehouse.alerts import shown

    one, parts, events = shown(_who(None), number)
    if as_json:
        document = asdict(one) | {"parts": list(map(asdict, parts))}
        document["events"] = list(map(asdict, events))
        typer.echo(json.dumps(document, default=str, indent=1))
        return
    typer.echo(_line(one))
    for part in parts:
        over = "" if part.until is None else f"  (over since {_time(part.until)})"
        detail = f": {part.detail}" if part.detail else ""
        typer.echo(f"  {part.what:<8} {part.name}{detail}{over}")
    for event in events:
        note = f": {event.note}" if event.note else ""
        typer.echo(f"  {_time(event.at)}  {event.who}  {event.action}{note}")


def _time(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


@alerts.command()
def ack(number: Number, note: Note = None, by: By = None) -> None:
    """Say that somebody has seen it."""
    _act(number, "acknowledge", by, note=note)


@alerts.command()
def assign(
    number: Number,
    person: Annotated[str, typer.Argument(help="E-mail of an admin or a librarian.")],
    note: Note = None,
    by: By = None,
) -> None:
    """Say who is on it."""
    _act(number, "assign", by, note=note, person=person)


@alerts.command()
def resolve(
    number: Number,
    reason: Annotated[str, typer.Option(help="fixed, accepted, false alarm or duplicate.")],
    comment: Annotated[str | None, typer.Option(help="What was done; it goes on record.")] = None,
    by: By = None,
) -> None:
    """Close it; it opens again when it is seen again."""
    _act(number, "resolve", by, note=comment, reason=reason)


@alerts.command()
def reopen(number: Number, note: Note = None, by: By = None) -> None:
    """Open a resolved one again."""
    _act(number, "reopen", by, note=note)


@alerts.command()
def snooze(
    number: Number,
    until: Annotated[str, typer.Argument(help="30m, 8h, 2d, or 2026-01-02T07:00.")],
    note: Note = None,
    by: By = None,
) -> None:
    """Silence it for a while."""
    _act(number, "snooze", by, note=note, until=moment(until))


@alerts.command()
def wake(number: Number, note: Note = None, by: By = None) -> None:
    """End its silence."""
    _act(number, "wake", by, note=note)


@alerts.command()
def deliver() -> None:
    """Look for alerts, and send the mails and webhooks that are due; the schedule does so, too."""
    from quality.alerts import raise_alerts
    from tasks import outbox

    raise_alerts(now=dt.datetime.now(dt.UTC))
    if not outbox.channels():
        raise ConfigurationError(
            "Nobody is to be told of alerts.",
            remedy="Set CARREL_ALERT_MAIL_TO or CARREL_ALERT_WEBHOOK; see docs/alerts.md.",
        )
    typer.echo(f"{outbox.deliver().require_success().sent} messages sent.")


def moment(text: str, *, now: dt.datetime | None = None) -> dt.datetime:
    """A span from now (`30m`, `8h`, `2d`) or a time, by default in the schedules' time zone.

    Raises:
        ConfigurationError: it is neither.
    """
    from zoneinfo import ZoneInfo

    from warehouse.settings import settings

    if span := SPAN.fullmatch(text):
        return (now or dt.datetime.now(dt.UTC)) + dt.timedelta(**{UNITS[span[2]]: int(span[1])})
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is no time.", remedy="Write 30m, 8h, 2d, or 2026-01-02T07:00."
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(settings().timezone))


def _act(number: int, action: Act, by: str | None, **how: Any) -> None:
    from warehouse import audit
    from warehouse.alerts import act, shown

    with audit.acting(audit.shell(), "alert", f"alert {number}", what=action):
        act(_who(by), number, action, **how)
    typer.echo(_line(shown(_who(by), number)[0]))


def _who(by: str | None) -> str:
    try:
        return by or getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return "the shell"
