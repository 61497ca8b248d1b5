"""The language of who asks: messages from gettext catalogues, numbers and dates by locale.

The source speaks English. `_("…")` is the message in the language of the running task, which a page
or form sets for whom it answers (`speaking`); whoever sets none, such as the REST API and files,
speaks English. `N_("…")` marks a constant that is translated where it is shown. Catalogues lie in
`bi_app/words/<language>/LC_MESSAGES/carrel.po`; `make words` brings them up to date
(docs/translation.md).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from warehouse.settings import settings

HERE = Path(__file__).parent
SOURCE, PSEUDO = "en", "qps"
LOCALES = {SOURCE: "en_GB", PSEUDO: "en_GB"}
DAYS = {
    "day": "yMMMd", "month": "yMMM", "full_month": "yMMMM", "short_day": "MMMd",
    "weekday_day": "yMMMEd",
}  # fmt: skip
SCRIPT = ".js"
_language: ContextVar[str] = ContextVar("language", default=SOURCE)


# Which language ---------------------------------------------------------------------------------


def language() -> str:
    """The language of the running task."""
    return _language.get()


def speak(wanted: str) -> None:
    """Speak a language from now on in this task, and in what it starts."""
    _language.set(wanted)


@contextmanager
def speaking(wanted: str) -> Iterator[None]:
    """Speak a language within the `with`."""
    before = _language.set(wanted)
    try:
        yield
    finally:
        _language.reset(before)


@cache
def languages() -> dict[str, str]:
    """The languages that can be chosen, with their own names, English first."""
    from babel import Locale

    known = [SOURCE, *sorted(path.parent.parent.name for path in HERE.glob("*/LC_MESSAGES/*.po"))]
    names = {code: str(Locale.parse(code).get_language_name(code)) for code in known}
    return {code: name[:1].upper() + name[1:] for code, name in names.items()}


def choose(own: str, accepted: str = "") -> str:
    """A person's own language; else what the browser prefers (Accept-Language); else the setting.

    The pseudo-language `qps` is known too: it shows every message in brackets.
    """
    known = {**languages(), PSEUDO: ""}
    if own in known:
        return own
    wanted = (code.partition("-")[0] for code in _by_weight(accepted))
    return next((code for code in (*wanted, settings().language) if code in known), SOURCE)


def _by_weight(accepted: str) -> list[str]:
    """The languages of an Accept-Language header, the most wanted first; none of weight 0."""
    found: list[tuple[float, str]] = []
    for part in accepted[:500].split(","):
        code, _, weight = part.strip().lower().partition(";q=")
        try:
            found.append((float(weight or 1), code))
        except ValueError:
            continue
    return [code for weight, code in sorted(found, key=lambda f: -f[0]) if weight > 0]


def tag() -> str:
    """The language as `<html lang>` says it."""
    return "en-x-pseudo" if language() == PSEUDO else language()


def locale_tag() -> str:
    """The locale by which a browser writes numbers and dates, as Intl knows it."""
    return LOCALES.get(language(), language()).replace("_", "-")


# Messages ---------------------------------------------------------------------------------------


class Joined(str):
    """Messages that stand one after the other, each translated by itself."""

    parts: tuple[str, ...]


def joined(*parts: str) -> Joined:
    """Several messages as one, with a space between."""
    made = Joined(" ".join(parts))
    made.parts = parts
    return made


def N_(message: str) -> str:  # noqa: N802 - gettext's own name
    """Mark a constant for extraction; it is translated by `_` where it is shown."""
    return message


def _(message: str, /, **given: Any) -> str:
    """The message in the language of the task, with `{name}` replaced by what is given.

    Whole numbers are written as the locale writes them. A message that no catalogue holds, such as
    a dataset's title, stays as it is.
    """
    text = message if _language.get() == SOURCE else _translated(message)
    return _filled(text, given) if given else text


def ngettext(one: str, many: str, count: int, /, **given: Any) -> str:
    """The message for a count, by the plural rule of the language; `{count}` is the count."""
    spoken = _language.get()
    text = one if count == 1 else many
    if spoken != SOURCE:
        known = catalogue(spoken)
        forms = known.plurals.get(one)
        text = forms[known.form(count)] if forms else text
    return _filled(text, {"count": count, **given})


def inner(heading: str) -> str:
    """A heading within a sentence: small where the language writes nouns small."""
    return heading.lower() if _language.get() in (SOURCE, PSEUDO) else heading


def _translated(message: str) -> str:
    found = catalogue(_language.get()).messages.get(message)
    if found is None and isinstance(message, Joined):
        return " ".join(_translated(part) for part in message.parts)
    return found or message


def _filled(text: str, given: Mapping[str, Any]) -> str:
    told = {k: whole(v) if type(v) is int else v for k, v in given.items()}
    return text.format(**told)


@dataclass(frozen=True)
class Catalogue:
    """The messages of a language; `script` those of carrel.js, `rule` that of the plural, in C."""

    messages: dict[str, str]
    plurals: dict[str, tuple[str, ...]]
    form: Callable[[int], int]
    rule: str
    script: dict[str, Any]


@cache
def catalogue(wanted: str) -> Catalogue:
    """The catalogue of a language; that of the pseudo-language brackets every English message."""
    from gettext import c2py

    from babel.messages.pofile import read_po

    code = wanted if wanted in languages() and wanted != SOURCE else next(_translations())
    with (HERE / code / "LC_MESSAGES" / "carrel.po").open("rb") as file:
        read = read_po(file, locale=code)
    known = Catalogue({}, {}, c2py(read.plural_expr), read.plural_expr, {})
    for found in read:
        ids, texts = _several(found.id), _several(found.string)
        if wanted == PSEUDO:
            texts = tuple(f"⟦{text}⟧" for text in ids)
        if not ids[0] or not all(texts):
            continue
        if len(ids) > 1:
            known.plurals[ids[0]] = texts
        else:
            known.messages[ids[0]] = texts[0]
        if any(path.endswith(SCRIPT) for path, _line in found.locations):
            known.script[ids[0]] = texts if len(ids) > 1 else texts[0]
    return known


def _several(text: Any) -> tuple[str, ...]:
    return tuple(text) if isinstance(text, list | tuple) else (text or "",)


def _translations() -> Iterator[str]:
    return (code for code in languages() if code != SOURCE)


def ready() -> None:
    """Read every catalogue now, so that no visitor waits for it."""
    for code in languages():
        with speaking(code):
            day(dt.date(2026, 1, 1))
            whole(1000)
        if code != SOURCE:
            catalogue(code)


def script_words() -> dict[str, Any]:
    """What carrel.js needs to speak the task's language; nothing of English."""
    if language() == SOURCE:
        return {}
    known = catalogue(language())
    return {"messages": dict(known.script), "plural": known.rule}


# Numbers and dates --------------------------------------------------------------------------------


def _locale() -> Any:
    return _locale_of(_language.get())


@cache
def _locale_of(code: str) -> Any:
    from babel import Locale

    return Locale.parse(LOCALES.get(code, code))


@cache
def _signs(code: str) -> dict[int, str]:
    """What stands in place of English's comma and point."""
    from babel.numbers import get_decimal_symbol, get_group_symbol

    locale = _locale_of(code)
    return {ord(","): get_group_symbol(locale), ord("."): get_decimal_symbol(locale)}


def localized(english: str) -> str:
    """A number as Python writes it, 1,234.5, by the locale: 1.234,5."""
    spoken = _language.get()
    return english if spoken == SOURCE else english.translate(_signs(spoken))


def whole(value: float) -> str:
    """A whole number: 1,234."""
    return localized(f"{value:,.0f}")


def decimal(value: float | Decimal, places: int = 1) -> str:
    """A number with so many decimals: 1,234.5."""
    return localized(f"{value:,.{places}f}")


def short(value: float) -> str:
    """A number with what decimals it has, at most six significant digits: 2.5, 48."""
    return localized(f"{value:g}")


def percent(value: float, places: int = 1) -> str:
    """A share in percent, given in percent: 12.3 %."""
    return f"{decimal(value, places)} %"


@lru_cache(maxsize=8192)
def _dated(code: str, form: str, value: dt.date) -> str:
    from babel.dates import format_skeleton

    return str(format_skeleton(DAYS[form], value, locale=_locale_of(code)))


def day(value: dt.date) -> str:
    """A day: 3 Mar 2026."""
    return _dated(_language.get(), "day", dt.date(value.year, value.month, value.day))


def short_day(value: dt.date) -> str:
    """A day without its year: 3 Mar."""
    return _dated(_language.get(), "short_day", dt.date(value.year, value.month, value.day))


def weekday_day(value: dt.date) -> str:
    """A day with its weekday: Tue, 3 Mar 2026."""
    return _dated(_language.get(), "weekday_day", dt.date(value.year, value.month, value.day))


def month(value: dt.date) -> str:
    """A month: Mar 2026."""
    return _dated(_language.get(), "month", dt.date(value.year, value.month, 1))


def full_month(value: dt.date) -> str:
    """A month in full: March 2026."""
    return _dated(_language.get(), "full_month", dt.date(value.year, value.month, 1))


def moment(value: dt.datetime) -> str:
    """A moment: 3 Mar 2026, 14:05."""
    return f"{day(value)}, {value:%H:%M}"


def short_moment(value: dt.datetime) -> str:
    """A moment without its year: 3 Mar, 14:05."""
    return f"{short_day(value)}, {value:%H:%M}"


def weekday(number: int) -> str:
    """The short name of a weekday, Monday is 0: Mon."""
    return _weekdays(_language.get())[number]


@cache
def _weekdays(code: str) -> tuple[str, ...]:
    names = _locale_of(code).days["stand-alone"]["abbreviated"]
    return tuple(str(names[number]) for number in range(7))


def span(english: str) -> str:
    """A length of time as specs write it (`30 days`, `1 year`), in the language."""
    number, unit = english.split()
    count = int(number)
    return {
        "day": ngettext("{count} day", "{count} days", count),
        "week": ngettext("{count} week", "{count} weeks", count),
        "month": ngettext("{count} month", "{count} months", count),
        "year": ngettext("{count} year", "{count} years", count),
    }[unit.removesuffix("s")]


def money(amount: float | Decimal, code: str) -> str:
    """An amount with its currency, by the locale: 2,25 €."""
    from babel.numbers import format_currency

    return str(format_currency(amount, code, locale=_locale()))
