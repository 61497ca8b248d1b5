"""A browser without a screen: signs in over HTTP and speaks Bokeh's protocol on a websocket."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

MESSAGES = itertools.count(1)
READY = {
    "kind": "MessageSent",
    "msg_type": "bokeh_event",
    "msg_data": {
        "type": "event",
        "name": "document_ready",
        "values": {"type": "map", "entries": []},
    },
}
TOKEN = re.compile(r'name="token" value="([^"]+)"')
DOCUMENT_TOKEN = re.compile(r'"token":"([^"]+)"')


@dataclass
class Client:
    """One person's browser. `base` is the app's address, such as http://127.0.0.1:5006."""

    base: str
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.base, follow_redirects=False, timeout=30)

    def sign_in(self, email: str, password: str, next_page: str = "/") -> httpx.Response:
        """Fill in the form; the answer is 303 when it was accepted."""
        form = self.http.get("/sign-in").text
        token = TOKEN.search(form)
        data = {"email": email, "password": password, "next": next_page}
        data["token"] = token[1] if token else ""
        return self.http.post("/sign-in", data=data)

    def submit(self, page: str, action: str | None = None, **fields: str) -> httpx.Response:
        """Open a page, fill in its form and send it to the page, or to another address."""
        token = TOKEN.search(self.http.get(page).text)
        fields["token"] = token[1] if token else ""
        return self.http.post(action or page, data=fields)

    def sign_out(self, page: str = "/overview") -> httpx.Response:
        """Press the button that a page shows."""
        token = TOKEN.search(self.http.get(page).text)
        return self.http.post("/sign-out", data={"token": token[1] if token else ""})

    def token(self, page: str) -> str:
        """The token that a page's document carries for its websocket."""
        found = DOCUMENT_TOKEN.search(self.http.get(page).text)
        assert found, "the page holds no document"
        return found[1]

    @property
    def cookie(self) -> str:
        """The cookies as a header."""
        return "; ".join(f"{k}={v}" for k, v in self.http.cookies.items())

    def socket(self, page: str, token: str | None = None, **options: Any) -> Socket:
        """Open the page's websocket; refused ones raise websockets.exceptions.InvalidStatus."""
        url = self.base.replace("http", "ws") + page + "/ws"
        connection = connect(
            url,
            subprotocols=["bokeh", token or self.token(page)],  # type: ignore[list-item]
            additional_headers={"Cookie": self.cookie},
            origin=options.pop("origin", self.base),
            max_size=None,
            compression=None,
            max_queue=None,  # else what nobody read holds the closing up
            **options,
        )
        return Socket(connection)

    def close(self) -> None:
        """Close the HTTP connections."""
        self.http.close()


class Socket:
    """An open Bokeh websocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.acknowledged = self.receive()
        self.document: dict[str, Any] = {}

    def receive(self, timeout: float = 30) -> dict[str, Any]:
        """The next message: header, content, and the number of bytes it took."""
        header = json.loads(self.connection.recv(timeout))
        self.connection.recv(timeout)
        content = json.loads(self.connection.recv(timeout))
        for _ in range(header.get("num_buffers", 0)):
            self.connection.recv(timeout), self.connection.recv(timeout)
        return {"header": header, "content": content}

    def send(self, kind: str, content: dict[str, Any]) -> str:
        """Send a message; return its number."""
        number = str(next(MESSAGES))
        header = {"msgid": number, "msgtype": kind, "num_buffers": 0}
        for part in (header, {}, content):
            self.connection.send(json.dumps(part))
        return number

    def pull(self) -> dict[str, Any]:
        """The whole document; as a browser does, tell that it stands."""
        number = self.send("PULL-DOC-REQ", {})
        self.document = self.reply_to(number)["content"]["doc"]
        self.reply_to(self.send("PATCH-DOC", {"events": [READY]}))
        return self.document

    def reply_to(self, number: str) -> dict[str, Any]:
        """The message that answers ours; others before it are kept in `passed`."""
        self.passed: list[dict[str, Any]] = []
        while True:
            message = self.receive()
            if message["header"].get("reqid") == number:
                return message
            self.passed.append(message)

    def controls(self) -> str:
        """The number of the model that carries the choice."""
        found: list[str] = []

        def search(node: Any) -> None:
            if isinstance(node, dict):
                if "query" in node.get("attributes", {}) and "cards" in node["attributes"]:
                    found.append(node["id"])
                for value in node.values():
                    search(value)
            elif isinstance(node, list):
                for value in node:
                    search(value)

        search(self.document)
        return found[0]

    def choose(self, model: str, **chosen: Any) -> list[dict[str, Any]]:
        """Choose as the filter bar does; return the messages up to the page's answer.

        The server takes note of a choice at once, and answers it a moment later.
        """
        new = {"type": "map", "entries": [[k, v] for k, v in chosen.items()]}
        event = {"kind": "ModelChanged", "model": {"id": model}, "attr": "query", "new": new}
        taken = self.reply_to(self.send("PATCH-DOC", {"events": [event]}))
        messages = [*self.passed, taken]
        while not any(is_answer(m) for m in messages):
            messages.append(self.receive())
        return messages

    def close(self) -> None:
        """Close the websocket."""
        self.connection.close()


def is_answer(message: dict[str, Any]) -> bool:
    """Whether a message tells the browser that its choice is answered."""
    events = message["content"].get("events", ())
    return any(event.get("attr") == "answered" for event in events)
