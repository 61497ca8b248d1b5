"""A mail server as a program: `python smtp_server.py FOLDER PORT starttls|tls USER PASSWORD`.

Mails land in FOLDER/mail as they came. A file in FOLDER steers it: `refuse` answers 451, `hold`
keeps a client waiting after its mail has landed, `deaf` before it is greeted.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

FOLDER, PORT, MODE, USER, PASSWORD = (Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6])


class Keeper:
    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if (FOLDER / "refuse").exists():
            return "451 try again later"
        number = len(list((FOLDER / "mail").iterdir()))
        draft = FOLDER / f"draft{number}"
        draft.write_bytes(envelope.content or b"")  # type: ignore[arg-type]
        draft.rename(FOLDER / "mail" / f"{number:03}.eml")
        (FOLDER / "to").write_text(" ".join(envelope.rcpt_tos))
        await away("hold")
        return "250 kept"


class Server(SMTP):
    async def _handle_client(self) -> None:
        (FOLDER / "greeting").touch()
        await away("deaf")
        await super()._handle_client()


async def away(name: str) -> None:
    while (FOLDER / name).exists():
        await asyncio.sleep(0.02)


def lets_in(_server: Any, _session: Any, _envelope: Any, _how: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (
        data.login == USER.encode() and data.password == PASSWORD.encode()
    )
    return AuthResult(success=right, handled=False)  # the server itself answers 235 or 535


async def main() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(FOLDER / "certificate.pem", FOLDER / "key.pem")
    sealed = MODE == "tls"

    def make() -> SMTP:
        return Server(
            Keeper(),
            hostname="mail.example.org",
            authenticator=lets_in,
            auth_required=True,
            auth_require_tls=not sealed,
            tls_context=None if sealed else context,
            require_starttls=not sealed,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, "127.0.0.1", PORT, ssl=context if sealed else None)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
