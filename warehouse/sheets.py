"""What a spreadsheet may be given, for every door that hands out tables.

A text that starts with =, +, -, @, tab or return would be run as a formula (OWASP ASVS 1.2.10): it
gets an apostrophe in front. So does a text that starts like one that was given it, so that
`plain_text` can take the apostrophe back and no two texts are written alike.
"""

from __future__ import annotations

import re
from typing import Any

RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
MOST_ROWS, MOST_COLUMNS, LONGEST_CELL = 1_048_576, 16_384, 32_767  # of a sheet of Excel's
# What XML cannot hold is written as _x000B_, and a text that looks like that as _x005F_x000B_.
_UNFIT = re.compile("_(?=x[0-9A-Fa-f]{4}_)|[\x00-\x08\x0b-\x1f\ufffe\uffff]")
_ENCODED = re.compile("_x([0-9A-Fa-f]{4})_")


def safe_text(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula; only texts are touched."""
    risky = isinstance(value, str) and value.lstrip(" '").startswith(RISKY)
    return f"'{value}" if risky else value


def plain_text(text: str) -> str:
    """The text that `safe_text` was given."""
    given = text.startswith("'") and text[1:].lstrip(" '").startswith(RISKY)
    return text[1:] if given else text


def in_xml(text: str) -> str:
    """A text as a workbook's XML holds it (ECMA-376, ST_Xstring): control characters by number."""
    return _UNFIT.sub(lambda m: f"_x{ord(m[0]):04X}_", text)


def out_of_xml(text: str) -> str:
    """The text that `in_xml` was given."""
    return _ENCODED.sub(lambda m: chr(int(m[1], 16)), text)


def utf16_length(text: str) -> int:
    """Characters as Excel counts them: those beyond the first 65,536 count twice."""
    return len(text) + sum(c > "\uffff" for c in text)
