"""A small real web server that says who it is and what it was asked: `python -m … PORT NAME`."""

from __future__ import annotations

import asyncio
import json
import os
import sys

from tornado.web import Application, RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler

NAME = sys.argv[2] if __name__ == "__main__" else ""
SEEN: list[str] = []


class Echo(RequestHandler):
    def prepare(self) -> None:
        SEEN.append(f"{self.request.method} {self.request.uri}")

    def get(self) -> None:
        headers = dict(self.request.headers.get_all())
        body = self.request.body.decode()
        self.finish(json.dumps({"name": NAME, "headers": headers, "body": body}))

    post = get

    def head(self) -> None:
        self.set_header("Content-Length", "12")


class Fatal(RequestHandler):
    def get(self) -> None:
        os._exit(1)

    post = get


class Long(RequestHandler):
    async def get(self) -> None:
        for _ in range(int(self.get_query_argument("pieces"))):
            self.write(b"x" * 65536)
            await self.flush()


class Slow(RequestHandler):
    async def get(self) -> None:
        await asyncio.sleep(float(self.get_query_argument("seconds")))
        self.finish("at last")


@stream_request_body
class Early(RequestHandler):
    """Answers before the body has come."""

    def prepare(self) -> None:
        self.set_status(413)
        self.finish("too large")

    def data_received(self, chunk: bytes) -> None:
        pass


class Seen(RequestHandler):
    def get(self) -> None:
        self.finish(json.dumps(SEEN))


class Socket(WebSocketHandler):
    def open(self) -> None:
        self.write_message(NAME)

    def on_message(self, message: str | bytes) -> None:
        self.write_message(message, binary=isinstance(message, bytes))


async def main() -> None:
    routes = [
        ("/echo.*", Echo), ("/long", Long), ("/fatal", Fatal), ("/ws", Socket), ("/slow", Slow),
        ("/early", Early), ("/seen", Seen),
    ]  # fmt: skip
    Application(routes, websocket_max_message_size=1 << 26).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
