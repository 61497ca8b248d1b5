"""Messages out of a file or a pipe, one a line, for any stream: sent as they are.

Whether one is an event is judged by who consumes it; what is none is held back with the reason.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path

from tasks.stream.sales import Sent, partition_of
from warehouse.errors import SourceMalformed, SourceUnavailable
from warehouse.streams import Stream

CHUNK = 1 << 20  # bytes read at a time; a pipe gives what it has
LONGEST = 1_000_000  # bytes of a message: what brokers take


def bursts(stream: Stream, path: Path, stack: ExitStack) -> Iterator[list[Sent]]:
    """The lines of a file (-: of standard input), as many together as it gives at once.

    Blank ones are passed over. `stack` closes the file.

    Raises:
        SourceUnavailable: there is no such file.
        SourceMalformed: a line is too long for a message; those before it were given.
    """
    if str(path) == "-":
        return _bursts(stream, "standard input", os.fdopen(0, "rb", closefd=False))
    try:
        return _bursts(stream, str(path), stack.enter_context(path.open("rb")))
    except OSError as error:
        raise SourceUnavailable(
            f"{path} cannot be read: {error.strerror}.", remedy="Name a file of JSON lines."
        ) from error


def _bursts(stream: Stream, name: str, file: BufferedReader) -> Iterator[list[Sent]]:
    rest, count = b"", 0
    while chunk := file.read1(CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        long = next((n for n, line in enumerate((*lines, rest)) if len(line) > LONGEST), None)
        yield [_sent(stream, line) for line in lines[:long] if line.strip()]
        if long is not None:
            raise SourceMalformed(
                name,
                f"is longer than {LONGEST:,} bytes; the lines before it are sent.",
                line=count + long + 1,
                remedy="Give one JSON object a line, each ended by a line feed.",
            )
        count += len(lines)
    if rest.strip():
        yield [_sent(stream, rest)]


def _sent(stream: Stream, line: bytes) -> Sent:
    """A message with its place; what names no key goes to the partition of the empty one."""
    now = datetime.now(UTC)
    try:
        event = json.loads(line)
        key, at = str(event[stream.together]), datetime.fromisoformat(event[stream.time])
    except (ValueError, RecursionError, KeyError, TypeError):
        return Sent(partition_of(stream, ""), line, now)
    return Sent(partition_of(stream, key), line, at.astimezone(UTC) if at.tzinfo else now)
