"""Answers kept with their ETag, so that a source which has not changed sends nothing again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from tasks.remote import Answer, Client
from warehouse.settings import settings

KEPT = ("etag", "last-modified", "content-type", "content-length")


class Answers:
    """The kept answers of one dataset: a file each, a line of JSON and then the body.

    Where an answer says nothing of a version, it is not kept.
    """

    def __init__(self, dataset: str, client: Client) -> None:
        self.folder = settings().home / "answers" / dataset
        self.client = client
        self._used: set[Path] = set()

    def get(self, url: str, params: Mapping[str, Any]) -> Answer:
        """What `Client.get` answers, or the kept answer where that is still true."""
        asked = json.dumps([url, dict(params)], sort_keys=True)
        path = self.folder / hashlib.sha256(asked.encode()).hexdigest()
        headers, following = self._head(path)
        conditions = {
            "If-None-Match": headers.get("etag"),
            "If-Modified-Since": headers.get("last-modified"),
        }
        answer = self.client.get(url, params, {k: v for k, v in conditions.items() if v})
        self._used.add(path)
        if answer.status == 304 and headers:
            answer.body.close()
            return Answer(200, headers, self._body(path), following)
        if answer.headers.get("etag") or answer.headers.get("last-modified"):
            self._keep(path, answer)
        return answer

    def forget_others(self) -> None:
        """Drop the answers that were not asked for this time."""
        for path in self.folder.glob("*"):
            if path not in self._used:
                path.unlink(missing_ok=True)

    @staticmethod
    def _head(path: Path) -> tuple[dict[str, str], str | None]:
        try:
            with path.open("rb") as file:
                head = json.loads(file.readline())
            return head["headers"], head["next"]
        except (OSError, ValueError, KeyError):
            return {}, None

    @staticmethod
    def _body(path: Path) -> IO[bytes]:
        body = tempfile.TemporaryFile()  # noqa: SIM115 - the answer's owner closes it
        with path.open("rb") as file:
            file.readline()
            shutil.copyfileobj(file, body)
        body.seek(0)
        return body

    def _keep(self, path: Path, answer: Answer) -> None:
        """Write whole, then rename: a kill leaves the old answer or the new one."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        headers = {k: answer.headers[k] for k in KEPT if answer.headers.get(k)}
        draft = path.with_suffix(f".{os.getpid()}")
        with draft.open("wb") as file:
            os.chmod(draft, 0o600)
            file.write(json.dumps({"headers": headers, "next": answer.next}).encode() + b"\n")
            shutil.copyfileobj(answer.body, file)
        draft.replace(path)
        answer.body.seek(0)
