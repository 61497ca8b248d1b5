"""A real HTTP server on loopback whose answers a test gives, and which notes what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest


@dataclass
class Asked:
    """One request as it arrived."""

    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: str = ""
    method: str = "GET"


Reply = tuple[int, dict[str, str], bytes]
OK = {"Content-Type": "application/json"}


@dataclass
class Web:
    """`pages[path]` answers a request, `asked` lists what came."""

    url: str
    pages: dict[str, Callable[[Asked], Reply]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def of(self, path: str) -> list[Asked]:
        return [a for a in self.asked if a.path == path]


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            headers = {k.lower(): v for k, v in self.headers.items()}
            asked = Asked(parts.path, dict(parse_qsl(parts.query)), headers, body, self.command)
            web.asked.append(asked)
            page = web.pages.get(parts.path, lambda _: (404, {}, b""))
            try:
                status, extra, content = page(asked)
            except ConnectionAbortedError:
                self.close_connection = True
                return
            self.send_response(status)
            if "Content-Length" not in extra:
                self.send_header("Content-Length", str(len(content)))
            for name, value in extra.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            if int(extra.get("Content-Length", 0)) > len(content):
                self.close_connection = True

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class Server(ThreadingHTTPServer):
    """Says nothing of clients that hang up."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        pass


@pytest.fixture
def web(setting: Callable[..., None]) -> Iterator[Web]:
    """A server whose host is allowed; waits are short."""
    found = Web("")
    server = Server(("127.0.0.1", 0), _handler(found))
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    setting(http_hosts="127.0.0.1", remote_wait_s=0.01)
    yield found
    server.shutdown()
    thread.join()
    server.server_close()
