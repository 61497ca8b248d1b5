"""Names for columns and tables, made from headers and file names."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 48
LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "Oe", "ð": "d", "þ": "th",
     "ł": "l", "Ł": "L", "đ": "d", "ı": "i", "€": " eur ", "£": " gbp ", "$": " usd ",
     "%": " percent ", "#": " no ", "&": " and ", "@": " at ", "\N{DEGREE SIGN}": " deg ",
     "'": "", "\N{RIGHT SINGLE QUOTATION MARK}": ""}
)  # fmt: skip
# Words that PostgreSQL reserves, its own column names, and those that a load adds.
TAKEN = frozenset(
    """all analyse analyze and any array as asc asymmetric authorization between binary both case cast
    check collate collation column concurrently constraint create cross current_catalog current_date
    current_role current_schema current_time current_timestamp current_user default deferrable desc
    distinct do else end except false fetch for foreign freeze from full grant group having ilike in
    initially inner intersect into is isnull join lateral leading left like limit localtime
    localtimestamp natural not notnull null offset on only or order outer overlaps placing primary
    references returning right select session_user similar some symmetric system_user table
    tablesample then to trailing true union unique user using variadic verbose when where window with
    cmax cmin ctid oid tableoid xmax xmin content_key load_id r h""".split()
)


def snake(text: str, otherwise: str) -> str:
    """A text as a name: ASCII letters, digits and underscores, at most 48, a letter first.

    Args:
        text: a header or a file's name, in any script.
        otherwise: the name where nothing of the text is left.
    """
    plain = unicodedata.normalize("NFKD", text.translate(LETTERS))
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", " ", plain)
    plain = plain.encode("ascii", "ignore").decode().lower()
    name = "_".join(re.findall(r"[a-z0-9]+", plain))[:LONGEST].strip("_")
    if not name:
        return otherwise
    if not name[0].isalpha():
        name = f"n_{name}"[:LONGEST]
    return f"{name}_" if name in TAKEN else name


def header_names(headers: list[str]) -> list[str]:
    """A name for each header, no two alike; blank ones are named by place."""
    names: list[str] = []
    for place, header in enumerate(headers, 1):
        names.append(_unlike(snake(header, f"column_{place}"), names))
    return names


def _unlike(name: str, taken: list[str]) -> str:
    """The name, or the name with the first free number."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name[: LONGEST - 5].rstrip('_')}_{number}"
    return found
