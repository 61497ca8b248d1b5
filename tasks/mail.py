"""Mail: one message to the configured server, sealed and signed in as the settings say."""

from __future__ import annotations

import datetime as dt
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from warehouse.alerts import SEVERITIES, Severity
from warehouse.errors import ConfigurationError, SourceUnavailable
from warehouse.settings import secret, settings

TIMEOUT_S = 30


def recipients(severity: Severity = "critical") -> list[str]:
    """The addresses that alerts of a severity are mailed to; default: every address."""
    worth = SEVERITIES.index(severity)
    return [a for a, least in _listed() if worth >= SEVERITIES.index(least)]


def least() -> Severity:
    """The least severity of which somebody is mailed."""
    return min((of for _, of in _listed()), key=SEVERITIES.index, default=settings().alert_least)


def _listed() -> list[tuple[str, Severity]]:
    """Each address with the least severity that it is mailed: its own, or that of all."""
    found: list[tuple[str, Severity]] = []
    for written in filter(None, (a.strip() for a in settings().alert_mail_to.split(","))):
        before, _, address = written.partition("=")
        own = next((s for s in SEVERITIES if s == before.strip()), None)
        found.append((address.strip(), own) if own else (written, settings().alert_least))
    return found


def domain() -> str:
    """The domain that mails come from."""
    return parseaddr(settings().mail_from)[1].rpartition("@")[2] or "carrel"


def message(
    subject: str,
    body: str,
    message_id: str,
    made_at: dt.datetime,
    *,
    to: str | None = None,
) -> EmailMessage:
    """The mail; made of the same parts it is the same mail, whenever it is sent.

    It goes to one address, or by default to those that alerts are mailed to.

    Raises:
        ConfigurationError: an address of the settings is none.
    """
    mail = EmailMessage()
    try:
        mail["From"] = settings().mail_from
        mail["To"] = to or ", ".join(recipients())
    except ValueError as error:
        raise ConfigurationError(
            f"An address of mail is wrong: {error}.",
            remedy="See CARREL_MAIL_FROM and CARREL_ALERT_MAIL_TO.",
        ) from None
    mail["Subject"] = subject
    mail["Date"] = format_datetime(made_at)
    mail["Message-ID"] = message_id
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(body)
    return mail


def send(mail: EmailMessage) -> None:
    """Hand a mail to the server.

    Raises:
        ConfigurationError: a setting is wrong; the password would travel unsealed.
        SourceUnavailable: the server cannot be reached or trusted, or does not take the mail.
    """
    host = settings().smtp_host
    try:
        with _session() as session:
            refused = session.send_message(mail)
    except smtplib.SMTPResponseException as error:
        raise SourceUnavailable(
            f"The mail server {host} answered {error.smtp_code}: {type(error).__name__}.",
            remedy="See the settings CARREL_SMTP_*, and that server's log.",
        ) from None
    except ssl.SSLError as error:
        raise SourceUnavailable(
            f"The mail server {host} cannot be trusted: {error.reason}.",
            remedy="Name its authority in CARREL_SMTP_CA.",
        ) from None
    except UnicodeError:
        raise ConfigurationError("The name or password of mail holds more than ASCII.") from None
    except (OSError, smtplib.SMTPException) as error:
        # Its text may name recipients, so the kind of error alone is kept.
        raise SourceUnavailable(
            f"The mail server {host}:{settings().smtp_port} did not take the mail:"
            f" {type(error).__name__}.",
            remedy="See the settings CARREL_SMTP_*.",
        ) from None
    if refused:
        raise SourceUnavailable(
            f"The mail server {host} refused {len(refused)} of the addresses.",
            remedy="See CARREL_ALERT_MAIL_TO. The others have the mail and may get it again.",
        )


@contextmanager
def _session() -> Iterator[smtplib.SMTP]:
    """A session with the server, sealed before anybody signs in."""
    wanted = settings()
    if wanted.smtp_user and wanted.smtp_security == "none":
        raise ConfigurationError(
            "A password of mail is not sent unsealed.",
            remedy="Set CARREL_SMTP_SECURITY to starttls or tls.",
        )
    place = wanted.smtp_host, wanted.smtp_port
    if wanted.smtp_security == "tls":
        opened: smtplib.SMTP = smtplib.SMTP_SSL(
            *place, local_hostname=domain(), timeout=TIMEOUT_S, context=_trust()
        )
    else:
        opened = smtplib.SMTP(*place, local_hostname=domain(), timeout=TIMEOUT_S)
    with opened as session:
        if wanted.smtp_security == "starttls":
            session.starttls(context=_trust())
        if wanted.smtp_user:
            _sign_in(session, wanted.smtp_user)
        yield session


def _sign_in(session: smtplib.SMTP, user: str) -> None:
    try:
        session.login(user, secret("smtp_password"))
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPServerDisconnected):
        raise SourceUnavailable(
            f"The mail server {settings().smtp_host} does not let us in.",
            remedy="Check CARREL_SMTP_USER and the secret smtp_password.",
        ) from None


def _trust() -> ssl.SSLContext:
    path = settings().smtp_ca
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"{path} holds no certificates: {error}.", remedy="See CARREL_SMTP_CA."
        ) from None
