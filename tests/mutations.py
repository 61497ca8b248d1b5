"""Files made worse, for tests/tasks/test_fuzz.py: what transfers, editors and bad programs do."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from typing import NamedTuple

from hypothesis import strategies as st

SIGNS = b",;\t|\"'\n\r{}[]:<>\x1d\x1e\x1f"
BROKEN = (b"\xff\xfe", b"\xe9", b"\xc3", b"\x80\x80\x80", b"\xef\xbb\xbf", b"\x00", b"\x1b(N")
SIZES = (0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


class Change(NamedTuple):
    """One change: which, where (0 to 1 of the file), and two numbers that say how."""

    what: str
    where: float
    how: int
    much: int


def _cut(content: bytes, at: int, _: int, __: int) -> bytes:
    return content[:at]


def _flip(content: bytes, at: int, how: int, _: int) -> bytes:
    return content[:at] + bytes([content[at] ^ (1 << how % 8)]) + content[at + 1 :]


def _insert(content: bytes, at: int, how: int, _: int) -> bytes:
    return content[:at] + BROKEN[how % len(BROKEN)] + content[at:]


def _delete(content: bytes, at: int, _: int, much: int) -> bytes:
    return content[:at] + content[at + much :]


def _repeat(content: bytes, at: int, how: int, much: int) -> bytes:
    return content[:at] + content[at : at + much] * (2 + how % 3) + content[at + much :]


def _swap(content: bytes, at: int, how: int, much: int) -> bytes:
    other = how % len(content)
    part = content[other : other + much]
    return content[:at] + part + content[at + len(part) :]


def _sign(content: bytes, at: int, how: int, much: int) -> bytes:
    """Double or delete the next delimiter, quote, bracket or end of something."""
    sign = bytes([SIGNS[how % len(SIGNS)]])
    place = content.find(sign, at)
    if place < 0:
        return content[:at] + sign + content[at:]
    return content[:place] + sign * (much % 2 * 2) + content[place + 1 :]


def _encode(content: bytes, at: int, how: int, much: int) -> bytes:
    """Write a part in another encoding."""
    part = content[at : at + much].decode("latin-1")
    other = ("utf-16-le", "utf-16", "utf-32", "utf-7", "cp037")[how % 5]
    return content[:at] + part.encode(other, "replace") + content[at + much :]


def _lie(content: bytes, at: int, how: int, much: int) -> bytes:
    """Change a size or a place in a zip's directory; elsewhere in any four bytes."""
    mark = (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06")[how % 3]
    found = content.find(mark, at)
    found = found if found >= 0 else content.find(mark)
    place = found + 4 + much % 40 if found >= 0 else at
    number = struct.pack("<I", SIZES[how % len(SIZES)])
    return content[:place] + number + content[place + 4 :]


CHANGES: dict[str, Callable[[bytes, int, int, int], bytes]] = {
    "cut": _cut,
    "flip": _flip,
    "insert": _insert,
    "delete": _delete,
    "repeat": _repeat,
    "swap": _swap,
    "sign": _sign,
    "encode": _encode,
    "lie": _lie,
}
CHANGE = st.builds(
    Change,
    st.sampled_from(sorted(CHANGES)),
    st.floats(0, 1),
    st.integers(0, 1 << 16),
    st.integers(1, 64),
)
ONE_OR_MORE = st.lists(CHANGE, min_size=1, max_size=4)


def changed_inside(content: bytes, changes: list[Change], which: int) -> bytes:
    """A zip file of which one part is changed, and the archive itself is sound."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    chosen = sorted(parts)[which % len(parts)]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, changed(part, changes) if name == chosen else part)
    return made.getvalue()


def changed(content: bytes, changes: list[Change]) -> bytes:
    """The content after the changes, one after another."""
    for one in changes:
        if content:
            at = min(int(one.where * len(content)), len(content) - 1)
            content = CHANGES[one.what](content, at, one.how, one.much)
    return content
