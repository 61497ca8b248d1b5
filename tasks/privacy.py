"""Guess which columns tell who a person is, from headers and from cells.

A guess errs on the careful side: a person reads the draft and takes back what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tasks.names import words
from warehouse.spec import Privacy

MOST = 0.8  # share of cells that must look the part
NO_PERSON = re.compile(
    r"(author|title|publisher|product|branch|library|company|file|user_agent|station|place|city|"
    r"country|item|stock|column|table|event|category|brand|ship|school|street_type|vendor|"
    r"supplier|department|programme|program|project|office|team|host|domain|organi[sz]ation|"
    r"institution|device|model|species|band|artist|month|day)"
)


@dataclass(frozen=True)
class Guess:
    """What a column probably holds, what to do about it, and what the guess rests on."""

    what: str
    privacy: Privacy
    reason: str

    @property
    def note(self) -> str:
        """The guess as a comment for a person to read."""
        return f"Guess: {self.what} ({self.reason}). {SAID[self.privacy]}"


SAID: dict[Privacy | None, str] = {
    "drop": "Dropped: never leaves cleaning. Remove `privacy` if that is wrong.",
    "pseudonym": "Kept as a keyed code only. Remove `privacy` if that is wrong.",
    "personal": "Kept, but nobody else may see it. Drop it if you do not need it.",
    None: "",
}


@dataclass(frozen=True)
class Sign:
    """One kind of personal data: how its header and its cells look."""

    what: str
    privacy: Privacy
    header: re.Pattern[str] | None
    cell: Callable[[str], bool] | None = None
    both: bool = False  # the header alone, or the cells alone, are not enough


def luhn(text: str) -> bool:
    """Whether 12 to 19 digits, perhaps in groups, end in the right check digit."""
    digits = re.sub(r"[ -]", "", text)
    if not re.fullmatch(r"\d{12,19}", digits):
        return False
    doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def is_iban(text: str) -> bool:
    """Whether a text is an IBAN with the right check digits."""
    plain = text.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", plain):
        return False
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def _payment_card(text: str) -> bool:
    return luhn(text) and re.sub(r"[ -]", "", text)[0] in "3456"


def _library_card(text: str) -> bool:
    return bool(re.fullmatch(r"2\d{13}", text)) and luhn(text)


def _email(text: str) -> bool:
    return bool(re.fullmatch(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", text))


def _phone(text: str) -> bool:
    if not re.fullmatch(r"(\+|00)?[\d ()./-]{7,20}(( ?x| ?ext\.? ?)\d+)?", text):
        return False
    return 7 <= sum(c.isdigit() for c in text) <= 15


def _clear_phone(text: str) -> bool:
    shape = r"\+\d[\d ()./-]{6,18}|\(\d{3}\) ?\d{3}[-. ]\d{4}|0\d{3,4}[ -]\d{3}[ -]?\d{3,4}"
    return bool(re.fullmatch(shape, text)) and _phone(text)


def _given_name(text: str) -> bool:
    found = re.findall(r"[^\W\d_]+", text.lower())
    return 0 < len(found) <= 5 and not words("given_names").isdisjoint(found)


def _street(text: str) -> bool:
    return bool(
        re.search(
            r"^\d+\s?[a-z]?[,\s].*\b(st|street|rd|road|ave?|avenue|lane|ln|drive|dr|way|close|court|"
            r"terrace|place|boulevard|blvd|crescent|gardens|square|grove)\b\.?",
            text,
            re.IGNORECASE,
        )
    )


def _internet_address(text: str) -> bool:
    return bool(re.fullmatch(r"(\d{1,3}\.){3}\d{1,3}", text))


def _header(words: str) -> re.Pattern[str]:
    return re.compile(rf"(^|_)({words})(_|$)")


PERSON = "member|borrower|patron|customer|client|reader|cardholder|subscriber|guest|student|staff"
NUMBER = "id|no|nr|num|number|key|code|barcode|ref|uuid"
SIGNS = (
    Sign("an IBAN", "drop", _header("iban"), is_iban),
    Sign("a library card number", "pseudonym", None, _library_card),
    Sign("a payment card number", "drop", _header("(credit|debit|payment)_?card(_number|_no)?|pan"),
         _payment_card),
    Sign("a national number", "drop", _header("ssn|nino|national_insurance(_number)?|passport(_no|"
         "_number)?|national_id|dni|tax_id|social_security(_number)?")),
    Sign("an e-mail address", "drop", _header("e_?mail|mail_address"), _email),
    Sign("a telephone number", "drop", _header("phone|telephone|tel|mobile|cell|fax|handy|telefon|"
         "telefono"), _phone, both=True),
    Sign("a telephone number", "drop", None, _clear_phone),
    Sign("a date of birth", "drop", _header("birth|birthday|born|dob|date_of_birth|birth_?date|"
         "geburtsdatum|naissance|nacimiento|birthdate")),
    Sign("a person's number", "pseudonym", re.compile(
         rf"(^|_)({PERSON}|user|person|card)_?({NUMBER})(_|$)|^({PERSON})$")),
    Sign("a person's name", "drop", _header("(first|last|sur|fore|given|family|full|middle|maiden|"
         f"birth|nick|user|{PERSON}|contact|person|display)_?name|surname|forename|vorname|nachname|"
         "prenom|apellidos?")),
    Sign("a person's name", "personal", _header("name|first|last|nombre|nom|contact"), _given_name,
         both=True),
    Sign("an internet address", "personal", _header("ip|ip_?address|remote_addr"),
         _internet_address),
    Sign("a postal address", "drop", _header("address|addr|street|strasse|adresse|direccion|"
         "address_?line(_\\d)?|home_address|postal_address"), _street),
)  # fmt: skip
SHARES = {"a person's name": 0.25, "a postal address": 0.5, "a payment card number": 0.9}


def guess_privacy(names: list[str], samples: list[list[str]]) -> list[Guess | None]:
    """A guess for each column, or None.

    Args:
        names: the columns' names, in snake case.
        samples: some cells of each that are not blank.
    """
    return [_guess(n, s) for n, s in zip(names, samples, strict=True)]


def _guess(name: str, cells: list[str]) -> Guess | None:
    for sign in SIGNS:
        said = bool(sign.header and sign.header.search(name)) and not _of_a_thing(sign, name)
        shown = bool(sign.cell and cells) and _share(sign, cells) >= SHARES.get(sign.what, MOST)
        if sign.both:
            certain = said and (shown or not cells)
        else:
            certain = said or (shown and not _measures(name))
        if certain:
            basis = [w for w, is_so in (("header", said), ("cells", shown)) if is_so]
            return Guess(sign.what, sign.privacy, " and ".join(basis))
    return None


def _of_a_thing(sign: Sign, name: str) -> bool:
    """Whether a name is that of a thing: a title's or a branch's is no person's."""
    return sign.what in ("a person's name", "a person's number") and bool(NO_PERSON.search(name))


def _measures(name: str) -> bool:
    """Whether cells that look like a card or a telephone number are known to be none."""
    return bool(re.search(r"isbn|ean|gtin|upc|item|price|amount|url|lat|lon", name))


def _share(sign: Sign, cells: list[str]) -> float:
    assert sign.cell
    return sum(map(sign.cell, cells)) / len(cells)
