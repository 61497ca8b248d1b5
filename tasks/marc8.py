"""Turn MARC-8 into Unicode by pymarc's tables, losing no byte.

pymarc's own converter turns what it does not know into blanks and drops what is left over; here
such a byte becomes a mark (`blocks`), which holds the record back if a column shows it.
"""

from __future__ import annotations

import re
import unicodedata

from pymarc.marc8_mapping import CODESETS, ODD_MAP

ESCAPE, BLANK = 0x1B, 0x20
LATIN, ANSEL, EAST_ASIAN = 0x42, 0x45, 0x31
SEQUENCE = re.compile(rb"\x1b(?:([bgps])|(?:\$?([(,)-])!?|\$)(.))", re.DOTALL)
# Non-sorting begins and ends (dropped, as libraries show titles), joiner and non-joiner.
CONTROLS = {0x88: "", 0x89: "", 0x8D: "\u200d", 0x8E: "\u200c"}
HIGH = 0x80


def decoded(text: bytes) -> str:
    """The text of a field or subfield in MARC-8, composed (NFC)."""
    if ESCAPE not in text and text.isascii():
        return text.decode("ascii")
    found: list[str] = []
    accents: list[str] = []  # stand before their letter in MARC-8, after it in Unicode
    sets, at = [LATIN, ANSEL], 0
    while at < len(text):
        if text[at] == ESCAPE and (after := _escape(text, at, sets)):
            at = after
            continue
        character, accent, at = _next(text, at, sets)
        if accent:
            accents.append(character)
        else:
            found += [character, *accents]
            accents.clear()
    return unicodedata.normalize("NFC", "".join(found + accents))


def marked(byte: int) -> str:
    """The mark of a byte that is no text."""
    return chr(0x10FF00 + byte)


def _escape(text: bytes, at: int, sets: list[int]) -> int | None:
    """Change the character sets in use; where the text goes on, None if it is no such sequence."""
    match = SEQUENCE.match(text, at)
    if not match:
        return None
    alone, half, last = match.groups()
    final = LATIN if alone == b"s" else (alone or last)[0]
    if final not in CODESETS:
        return None
    sets[half in (b")", b"-")] = final
    return match.end()


def _next(text: bytes, at: int, sets: list[int]) -> tuple[str, bool, int]:
    """The next character, whether it is an accent for the one after it, and where that is."""
    byte = text[at]
    if byte in CONTROLS:
        return CONTROLS[byte], False, at + 1
    if byte <= BLANK:
        return marked(byte) if byte == ESCAPE else chr(byte), False, at + 1
    code, size = byte, 1
    used = sets[byte >= HIGH]
    if used == EAST_ASIAN:
        whole = text[at : at + 3].partition(b"\x1b")[0]  # no sequence is part of a character
        code, size = int.from_bytes(whole), len(whole)
    table = CODESETS.get(used, {})
    if found := table.get(code) or (size == 1 and table.get(code ^ HIGH)):
        return chr(found[0]), bool(found[1]), at + size
    if code in ODD_MAP:
        return chr(ODD_MAP[code]), False, at + size
    return "".join(map(marked, text[at : at + size])), False, at + size
