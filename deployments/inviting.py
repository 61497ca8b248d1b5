"""`carrel invite` and what an admin does with accounts, from the shell."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from bi_app.auth.people import Invitation
    from warehouse.access import Role, Viewer


def register(app: typer.Typer, users: typer.Typer) -> None:
    """Add the commands to `carrel`."""
    app.command()(invite)
    for command in (approve, disable, enable):
        users.command()(command)
    users.command("reset-link")(reset_link)
    users.command("set-role")(set_role)
    users.command("link-member")(link_member)
    users.command("end-sessions")(end_sessions)
    users.command("remove-second-factor")(remove_second_factor)


def shell() -> Viewer:
    """Who keeps this machine, as an admin: the key of claims is theirs."""
    from warehouse.access import Viewer

    try:
        return Viewer(f"{getpass.getuser()} (shell)", "admin")
    except (KeyError, OSError):  # an account without a name, as in some containers
        return Viewer("the shell", "admin")


def invite(
    email: str,
    role: Annotated[str, typer.Argument(help="admin, librarian or member.")],
    name: Annotated[str, typer.Option(help="The person's name.")] = "",
    branch: Annotated[list[str] | None, typer.Option(help="A librarian's branch; repeat.")] = None,
) -> None:
    """Invite a person, who chooses the password; prints the link where no mail is set up."""
    from bi_app.auth import people

    _tell(people.invite(shell(), email, name, _role(role), branch or []))


def approve(
    email: str,
    card_seen: Annotated[
        bool, typer.Option("--card-seen", help="Link the stated member: you saw the card.")
    ] = False,
) -> None:
    """Let in who registered; prints the link where no mail is set up."""
    from bi_app.auth import people

    _tell(people.approve(shell(), _number(email), link_stated_member=card_seen))


def reset_link(email: str) -> None:
    """Let a person choose a new password; prints the link where no mail is set up."""
    from bi_app.auth import people

    _tell(people.send_reset(shell(), _number(email)))


def disable(email: str) -> None:
    """Let an account in no more, and end its sessions."""
    from bi_app.auth import people

    people.disable(shell(), _number(email))


def enable(email: str) -> None:
    """Let a disabled account in again."""
    from bi_app.auth import people

    people.enable(shell(), _number(email))


def set_role(email: str, role: str) -> None:
    """Give an account another role, and end its sessions."""
    from bi_app.auth import people

    people.set_role(shell(), _number(email), _role(role))


def link_member(
    email: str,
    number: Annotated[str | None, typer.Argument(help="Member number; none: nobody.")] = None,
) -> None:
    """Say which member an account is."""
    from bi_app.auth import people

    people.link_member(shell(), _number(email), number)


def end_sessions(email: str) -> None:
    """Sign an account out everywhere."""
    from bi_app.auth import people

    typer.echo(f"{people.end_all_sessions(shell(), _number(email))} sessions ended.")


def remove_second_factor(email: str) -> None:
    """Take the second factor from who lost it, and end their sessions."""
    from bi_app.auth import people

    people.remove_second_factor(shell(), _number(email))


def _number(email: str) -> int:
    from bi_app.auth import people

    return people.find_account(shell(), email).account_id


def _role(text: str) -> Role:
    from warehouse.access import ROLES

    for role in ROLES:
        if role == text:
            return role
    raise ConfigurationError(f"{text!r} is no role.", remedy=f"Roles: {', '.join(ROLES)}.")


def _tell(invitation: Invitation) -> None:
    if invitation.link:
        typer.echo(invitation.link)
        typer.echo("No mail is set up: hand this link to them. It is good once.", err=True)
    else:
        typer.echo(f"A link goes to {invitation.email} by mail.", err=True)
