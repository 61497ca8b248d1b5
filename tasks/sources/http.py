"""Ask a REST API, a page at a time, for JSON or CSV.

JSON: records stand in the list at `records` (default: the document); nested objects become
columns `a.b`, lists stay JSON. CSV: the first line is the header.
"""

from __future__ import annotations

import base64
import codecs
import contextlib
import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import httpx
import pyarrow as pa

from tasks.answers import Answers
from tasks.gathered import Gathered
from tasks.json_text import Text, decoded
from tasks.remote import Answer, Client, Refused, origin, shown, web_url
from tasks.sources import FAULT
from tasks.sources.json import of_document, rows_of
from warehouse.errors import ConfigurationError, SourceMalformed, SourceUnavailable
from warehouse.settings import secret
from warehouse.sources import HttpSource
from warehouse.spec import Dataset

CHUNK = 1 << 20
DELIMITERS = ",;\t|"
RENEWED = ("oauth", "login")  # ways of signing in that give a token for some time
csv.field_size_limit(1 << 27)


def read(dataset: Dataset, path: Path | None) -> Iterator[pa.Table]:
    """What the API answers now.

    Raises:
        ConfigurationError: the URL, a host or a secret is wrong.
        CircuitBreakerOpen: the host failed too often of late.
        SourceUnavailable: it refuses, or does not answer, or has more than `max_pages` pages.
        SourceMalformed: an answer is neither JSON nor CSV, lacks `records`, or comes again.
    """
    source = dataset.source
    assert isinstance(source, HttpSource)
    with Gathered() as gathered:
        with Client(source.url, source.timeout_s, source.headers) as client:
            sign_in(client, source)
            answers = Answers(dataset.table, client)
            _Pages(source, answers, gathered).read()
            answers.forget_others()
        yield from gathered.tables(dataset)


# Signing in -------------------------------------------------------------------------------------


def sign_in(client: Client, source: HttpSource) -> None:
    """Have the client send what `auth` asks for.

    Raises:
        ConfigurationError: the secret is missing or has not the form that `auth` needs.
        SourceUnavailable: the token server refuses.
    """
    if source.auth == "none":
        return
    if not source.secret:
        raise ConfigurationError(f"auth: {source.auth} needs `secret`, the name of a secret.")
    value = secret(source.secret)
    if source.auth == "bearer":
        client.trust(Authorization=f"Bearer {value}")
    elif source.auth == "key":
        client.trust(**{source.key_header: value})
    elif source.auth == "basic":
        client.trust(Authorization=_basic(source.secret, value))
    elif source.auth == "login":
        client.trust(**{source.key_header: _logged_in(client, source, value)})
    else:
        client.trust(Authorization=f"Bearer {_token(source, value)}")


def _basic(name: str, value: str) -> str:
    if ":" not in value:
        raise ConfigurationError(f"The secret {name!r} must be written `name:password`.")
    return f"Basic {base64.b64encode(value.encode()).decode()}"


def _token(source: HttpSource, value: str) -> str:
    """An access token by the client credentials grant (RFC 6749, 4.4)."""
    if not source.token_url or not source.secret:
        raise ConfigurationError("auth: oauth needs `token_url`.")
    with Client(source.token_url, source.timeout_s) as client:
        client.trust(Authorization=_basic(source.secret, value))
        answer = client.post(source.token_url, {"grant_type": "client_credentials"})
    with answer.body:
        try:
            token = json.load(answer.body)["access_token"]
        except (ValueError, KeyError, TypeError):
            token = None
    if not isinstance(token, str) or not token:
        raise SourceMalformed(shown(client.home), "answers no access_token.")
    return token


def _logged_in(client: Client, source: HttpSource, value: str) -> str:
    """The token that signing in by name and password gives: a cookie, a header or a field."""
    if not source.token_url or not source.secret:
        raise ConfigurationError("auth: login needs `token_url`.")
    name, password = name_and_password(source.secret, value)
    answer = client.post_json(source.token_url, {"username": name, "password": password})
    with answer.body:
        found = answer.headers.get(source.token) or _cookie(answer.headers, source.token)
        if not found:
            with contextlib.suppress(ValueError, AttributeError):
                found = json.load(answer.body).get(source.token)
    if not isinstance(found, str) or not found:
        raise SourceMalformed(shown(web_url(source.token_url)), f"answers no {source.token!r}.")
    return found


def name_and_password(secret_name: str, value: str) -> tuple[str, str]:
    """Name and password of a secret written `name:password`, or as a URL that holds both.

    Raises:
        ConfigurationError: it is neither.
    """
    if "://" in value:
        parts = urlsplit(value)
        if parts.username and parts.password:
            return unquote(parts.username), unquote(parts.password)
    elif ":" in value:
        name, _, password = value.partition(":")
        return name, password
    raise ConfigurationError(
        f"The secret {secret_name!r} must be written `name:password`,"
        " or `https://name:<password>@host/…`."
    )


def _cookie(headers: Mapping[str, str], name: str) -> str | None:
    """The value of a cookie that an answer sets."""
    for line in headers.get_list("set-cookie") if isinstance(headers, httpx.Headers) else []:
        found, _, value = line.partition(";")[0].partition("=")
        if found.strip() == name:
            return value.strip().strip('"')
    return None


# Pages ------------------------------------------------------------------------------------------


class _Pages:
    """The pages of a source, each asked for when the one before is written down."""

    def __init__(self, source: HttpSource, answers: Answers, gathered: Gathered) -> None:
        self.source, self.answers, self.gathered = source, answers, gathered
        self.place = shown(answers.client.home)
        self._seen: set[str] = set()

    def read(self) -> None:
        """Write every page down."""
        url, params = self.source.url, self._params()
        for page in range(self.source.max_pages):
            answer = self._ask(url, params, page)
            if answer is None:
                return
            before = self.gathered.count
            with answer.body:
                following = self._write_down(answer)
            count = self.gathered.count - before
            step = self._next(page + 1, count, following or answer.next)
            if step is None:
                return
            url, params = step
        raise SourceUnavailable(
            f"{self.place}: more than {self.source.max_pages} pages.",
            remedy="Raise `max_pages`, or ask for larger pages.",
        )

    def _params(self) -> dict[str, Any]:
        source = self.source
        params: dict[str, Any] = dict(source.params)
        if source.size_param:
            params[source.size_param] = source.page_size
        if source.paging == "page":
            params[source.page_param] = source.first_page
        elif source.paging == "offset":
            params[source.page_param] = 0
        return params

    def _ask(self, url: str, params: dict[str, Any], page: int) -> Answer | None:
        """A page; None where numbered pages end with 404, as some APIs have it."""
        try:
            return self.answers.get(url, params)
        except Refused as error:
            if error.status == 404 and page and self.source.paging == "page":
                return None
            if error.status != 401 or not page or self.source.auth not in RENEWED:
                raise
        sign_in(self.answers.client, self.source)  # the token has run out meanwhile
        return self.answers.get(url, params)

    def _next(
        self, page: int, count: int, following: str | None
    ) -> tuple[str, dict[str, Any]] | None:
        """URL and parameters of the next page. A short page is not the end: servers cap sizes."""
        source, params = self.source, self._params()
        if source.paging == "none":
            return None
        if source.paging in ("page", "offset"):
            if not count:
                return None
            first = params[source.page_param]
            params[source.page_param] = (
                first + page if source.paging == "page" else self.gathered.count
            )
            return source.url, params
        if not following:
            return None
        self._once(following, "names as next what it named before")
        if source.paging == "cursor" and not following.startswith(("http://", "https://", "/")):
            return source.url, params | {source.page_param: following}
        return self._same_host(following), {}

    def _same_host(self, following: str) -> str:
        home = self.answers.client.home
        url = home.join(following)
        if origin(web_url(str(url))) != origin(home):
            raise SourceMalformed(self.place, f"names a next page elsewhere, at {shown(url)}.")
        return str(url)

    def _once(self, what: str, fault: str) -> None:
        if what in self._seen:
            raise SourceMalformed(
                self.place,
                f"{fault}: it would never end.",
                remedy="Check `paging`, `page_param` and `next`.",
            )
        self._seen.add(what)

    def _write_down(self, answer: Answer) -> str | None:
        """Write a page's records down; returns the cursor that it names."""
        digest, count = hashlib.sha256(), 0
        for record in self._records(answer):
            self.gathered.add(record)
            digest.update(repr(record).encode())
            count += 1
        if count and self.source.paging != "none":
            self._once(digest.hexdigest(), "answers a page that it answered before")
        if self.source.paging == "cursor":
            return self._cursor(answer.body)
        return None

    def _cursor(self, body: IO[bytes]) -> str | None:
        import ijson

        if not self.source.next:
            raise ConfigurationError("paging: cursor needs `next`, the path of the next cursor.")
        body.seek(0)
        found = next(ijson.items(body, self.source.next, use_float=False), None)
        return str(found) if found not in (None, "", False) else None

    def _records(self, answer: Answer) -> Iterator[dict[str, str | None]]:
        kind = answer.headers.get("content-type", "").lower()
        if "csv" in kind or "tab-separated" in kind:
            return csv_records(answer.body, self.place, kind)
        return json_records(answer.body, self.place, self.source.records)


# Answers ----------------------------------------------------------------------------------------


def json_records(
    body: IO[bytes], place: str, records: str | None
) -> Iterator[dict[str, str | None]]:
    """The records of a JSON document, read as a stream.

    Raises:
        SourceMalformed: it is no JSON, or has no list at `records`.
    """
    start = body.read(4)
    body.seek(0)
    text = Text(place, decoded(iter(lambda: body.read(CHUNK), b""), json.detect_encoding(start)))
    for record in of_document(place, text, records):
        if isinstance(record, dict):
            yield from rows_of(record)
        else:
            yield {FAULT: "The record is no object"}


def csv_records(body: IO[bytes], place: str, kind: str) -> Iterator[dict[str, str | None]]:
    """The records of a CSV document; one of the wrong width has a `_fault`.

    Raises:
        SourceMalformed: it is no text in its encoding, or names a column twice.
    """
    encoding = kind.partition("charset=")[2].partition(";")[0].strip('" ') or "utf-8"
    try:
        encoding = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
        text = io.TextIOWrapper(body, encoding, newline="")
        first = text.readline()
        text.seek(0)
        delimiter = max(DELIMITERS, key=first.count)
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        header = next(rows, [])
        if len(set(header)) < len(header):
            raise SourceMalformed(place, "the header names a column twice.", line=1)
        for row in rows:
            if row:
                yield _csv_record(header, row)
        text.detach()
    except (UnicodeDecodeError, LookupError, csv.Error) as error:
        raise SourceMalformed(place, f"answers no CSV: {error}.") from None


def _csv_record(header: list[str], row: list[str]) -> dict[str, str | None]:
    record: dict[str, str | None] = dict(zip(header, row, strict=False))
    if len(row) != len(header):
        record[FAULT] = f"The record has {len(row)} fields where the header has {len(header)}."
    return record
