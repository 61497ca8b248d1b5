"""A real mail server in a process of its own, with a certificate that nobody else trusts."""

from __future__ import annotations

import email
import email.policy
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.ports import free_port

PROGRAM = Path(__file__).parent / "smtp_server.py"
USER, PASSWORD = "carrel", "pass word of mail"  # pragma: allowlist secret


@dataclass
class Post:
    """The mail server: what landed, and how it behaves (see `smtp_server`)."""

    folder: Path
    port: int

    def mails(self) -> list[EmailMessage]:
        found = []
        for path in sorted((self.folder / "mail").iterdir()):
            mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            assert isinstance(mail, EmailMessage)
            found.append(mail)
        return found

    @property
    def to(self) -> list[str]:
        return (self.folder / "to").read_text().split()

    @contextmanager
    def that(self, behaviour: str) -> Iterator[None]:
        """It behaves so as long as the block lasts."""
        (self.folder / behaviour).touch()
        try:
            yield
        finally:
            (self.folder / behaviour).unlink()


@contextmanager
def serving(folder: Path, mode: str) -> Iterator[Post]:
    (folder / "mail").mkdir(parents=True)
    self_signed(folder)
    port = free_port()
    arguments = [sys.executable, str(PROGRAM), str(folder), str(port), mode, USER, PASSWORD]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log)
    try:
        for _ in range(600):
            assert process.poll() is None, (folder / "log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Post(folder, port)
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def post(
    tmp_path: Path, setting: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Post]:
    """A server with STARTTLS and sign-in; the settings point at it, critical alerts go at once."""
    with serving(tmp_path / "post", "starttls") as found:
        monkeypatch.setenv("CARREL_SECRET_SMTP_PASSWORD", PASSWORD)
        setting(
            smtp_host="127.0.0.1",
            smtp_port=found.port,
            smtp_user=USER,
            smtp_ca=found.folder / "certificate.pem",
            mail_from="Carrel <desk@library.example>",
            alert_mail_to="ann@library.example, lin@library.example",
            alert_digest_min=0,
        )
        yield found
