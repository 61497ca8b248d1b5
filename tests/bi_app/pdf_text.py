"""Read the text of a PDF as a reader would copy it: by the fonts' own maps to Unicode."""

from __future__ import annotations

import re
import zlib

OBJECT = re.compile(rb"(\d+) 0 obj\s(.*?)\sendobj", re.DOTALL)
STREAM = re.compile(rb"stream\r?\n(.*)\r?\nendstream", re.DOTALL)
RANGE = re.compile(rb"<([0-9A-Fa-f]+)> <([0-9A-Fa-f]+)>(?: <([0-9A-Fa-f]+)>)?")
SHOWN = re.compile(
    rb"/(F\d+) [\d.]+ Tf|\(((?:\\.|[^\\)])*)\) ?Tj|\[((?:\((?:\\.|[^\\)])*\)|[^\]])*)\] ?TJ", re.S
)
PART = re.compile(rb"\(((?:\\.|[^\\)])*)\)", re.S)
ESCAPED = re.compile(rb"\\(.)", re.S)
LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def pages(body: bytes) -> list[str]:
    """The text of each page, a string shown on each line."""
    objects = {int(n): content for n, content in OBJECT.findall(body)}
    maps = _maps(objects)
    found = []
    for content in objects.values():
        if b"/Type /Page\n" in content or re.search(rb"/Type /Page\b(?!s)", content):
            number = re.search(rb"/Contents (\d+) 0 R", content)
            assert number
            found.append(_text(_stream(objects[int(number[1])]), maps))
    return found


def _stream(content: bytes) -> bytes:
    raw = STREAM.search(content)
    assert raw
    return zlib.decompress(raw[1]) if b"FlateDecode" in content else raw[1]


def _maps(objects: dict[int, bytes]) -> dict[str, dict[int, str]]:
    """Letters by code, for each font by the name that pages use."""
    named = {}
    for content in objects.values():
        for name, number in re.findall(rb"/(F\d+) (\d+) 0 R", content):
            named[name.decode()] = int(number)
    maps = {}
    for name, number in named.items():
        to = re.search(rb"/ToUnicode (\d+) 0 R", objects[number])
        if to:
            maps[name] = _letters(_stream(objects[int(to[1])]))
    return maps


def _letters(cmap: bytes) -> dict[int, str]:
    found = {}
    for block in re.findall(rb"beginbfchar(.*?)endbfchar", cmap, re.DOTALL):
        for code, text, _ in RANGE.findall(block):
            found[int(code, 16)] = bytes.fromhex(text.decode()).decode("utf-16-be")
    for block in re.findall(rb"beginbfrange(.*?)endbfrange", cmap, re.DOTALL):
        for low, high, text in RANGE.findall(block):
            for step in range(int(high, 16) - int(low, 16) + 1):
                found[int(low, 16) + step] = chr(int(text, 16) + step)
    return found


def _text(content: bytes, maps: dict[str, dict[int, str]]) -> str:
    font, lines = "", []
    for name, one, several in SHOWN.findall(content):
        if name:
            font = name.decode()
            continue
        parts = [one] if one else PART.findall(several)
        codes = b"".join(ESCAPED.sub(lambda m: LETTERS.get(m[1], m[1]), p) for p in parts)
        letters = maps.get(font, {})
        pairs = (int.from_bytes(codes[i : i + 2], "big") for i in range(0, len(codes), 2))
        lines.append("".join(letters.get(code, "�") for code in pairs))
    return "\n".join(lines)
