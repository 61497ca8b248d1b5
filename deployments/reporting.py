"""`carrel reports`: the reports that people have mailed to them."""

from __future__ import annotations

import typer

reports = typer.Typer(help="Reports by mail: what is sent to whom.", no_args_is_help=True)
LISTED = """
select s.subscription_id, a.email, s.page, s.every, s.on_day, s.at_hour, s.files, s.next_due_at,
    s.paused_why, g.state, g.due_at, g.note
from app.subscriptions s join app.accounts a using (account_id)
left join lateral (
    select * from app.sendings g where g.subscription_id = s.subscription_id
    order by g.due_at desc limit 1
) g on true
order by s.next_due_at, s.subscription_id
"""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(reports, name="reports")


@reports.command("list")
def list_reports() -> None:
    """Each report that is mailed: number, person, page, times, and how the last mail went."""
    from psycopg.rows import namedtuple_row

    from bi_app.models.subscriptions import STATES, Times, zone
    from warehouse.database import connect

    with connect(row_factory=namedtuple_row) as connection:
        found = connection.execute(LISTED).fetchall()
    for one in found:
        times = Times(one.every, one.on_day, one.at_hour)
        next_at = f"next {one.next_due_at.astimezone(zone()):%Y-%m-%d %H:%M}"
        when = f"paused: {one.paused_why}" if one.paused_why else next_at
        last = ""
        if one.state:
            last = f"; that of {one.due_at.astimezone(zone()):%Y-%m-%d} {STATES[one.state]}"
            last += f": {one.note}" if one.note and one.state != "sent" else ""
        typer.echo(
            f"{one.subscription_id:>4} {one.email:<32} {one.page:<14} {'+'.join(one.files):<9}"
            f" {times.words}; {when}{last}"
        )


@reports.command("send")
def send_reports() -> None:
    """Send now what is due, as the deployment mail-reports does every ten minutes."""
    from deployments.report_mail import send_due
    from warehouse.errors import ConfigurationError
    from warehouse.settings import settings

    if not settings().mails:
        raise ConfigurationError("No mail server is set.", remedy="Set CARREL_SMTP_HOST.")
    typer.echo(f"{send_due().require_success().sent} sent")
