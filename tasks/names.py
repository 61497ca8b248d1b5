"""Names for columns and tables, made from headers and file names."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

import yaml

LONGEST = 48
LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "Oe", "ð": "d", "þ": "th",
     "ł": "l", "Ł": "L", "đ": "d", "ı": "i", "€": " eur ", "£": " gbp ", "$": " usd ",
     "%": " percent ", "#": " no ", "&": " and ", "@": " at ", "\N{DEGREE SIGN}": " deg ",
     "'": "", "\N{RIGHT SINGLE QUOTATION MARK}": ""}
)  # fmt: skip


@cache
def words(kind: str) -> frozenset[str]:
    """A list of `words.yml`: `taken` or `given_names`."""
    listed = yaml.safe_load((Path(__file__).parent / "words.yml").read_text("utf-8"))
    return frozenset(listed[kind])


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
    taken = name in words("taken") or re.fullmatch(r"[cs]\d+", name)
    return f"{name}_" if taken else name


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
