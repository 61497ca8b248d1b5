"""What is an event and what is none: each kind of fault, alone and in a crowd of good ones."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.duck import Duck
from tasks.stream.log import Slice, as_line
from tasks.stream.parse import Parsed, Parser
from tests.fix_stream import message
from warehouse.streams import stream

SALES = stream("retail_sales")


@cache
def parser() -> Parser:
    return Parser(SALES, Duck())


def parse(*lines: bytes) -> Parsed:
    offsets = np.arange(100, 100 + len(lines), dtype=np.int64)
    block = b"".join(as_line(line) + b"\n" for line in lines)
    return parser()([Slice(0, offsets, offsets * 0, block, 100 + len(lines))])


def told(line: bytes) -> str | None:
    """Why a message among good ones is refused; None where it is taken."""
    found = parse(message("a"), line, message("b"))
    offsets = found.events["offset"].to_pylist()
    assert offsets == sorted(offsets)
    assert {100, 102} <= {*offsets}
    assert len(offsets) + len(found.refused) == 3
    assert [(one.offset, one.message) for one in found.refused] in ([], [(101, as_line(line))])
    return found.refused[0].reason if found.refused else None


BAD: dict[bytes, str] = {
    b"": "is empty",
    b"   ": "is empty",
    b"{": "is no JSON",
    b"[1]": "is no JSON object",
    b"null": "is no JSON object",
    b"\xff": "is no UTF-8",
    b"[" * 100_000: "is no JSON",
    message(1)[:-1]: "is no JSON",
    message(1) + message(2): "is no JSON",
    message(1).replace(b"{", b'{"quantity": 1, ', 1): "a field stands twice",
    message(1).replace(b"1.5", b"NaN"): "is no JSON: NaN or Infinity",
    message(1, quantity=...): "'quantity' is a required property",
    message(1, quantity=None): 'quantity: must have type "integer"',
    message(1, quantity="many"): 'quantity: must have type "integer"',
    message(1, quantity=1.5): 'quantity: must have type "integer"',
    message(1, quantity=True): 'quantity: must have type "integer"',
    message(1, quantity=[1]): 'quantity: must have type "integer"',
    message(1, quantity=10**30): "quantity: must have maximum 1000000",
    message(1, quantity=-1000001): "quantity: must have minimum -1000000",
    message(1, unit_price=1e300): "unit_price: must have maximum 1000000",
    message(1).replace(b"1.5", b"1e999999999"): "unit_price: must have maximum 1000000",
    message(1).replace(b"1.5", b"1e" + b"9" * 21): "a number is beyond all bounds",
    message(1).replace(b"1.5", b'1.5, "till": 1e' + b"9" * 21): "a number is beyond all bounds",
    message(1).replace(b"1.5", b"9" * 5000): "a number has too many digits",
    message(1).replace(b": 2,", b": 1e999999999,"): "quantity: must have maximum 1000000",
    message(1).replace(b"1.5", b"1.5" + b"0" * 60 + b"1"): "unit_price: has more than 4 decimals",
    message(1, unit_price=0.00001): "unit_price: has more than 4 decimals",
    message(1, country=""): "country: must have minLength 1",
    message(1, country="x" * 61): "country: must have maxLength 60",
    message(1, country={}): 'country: must have type "string"',
    message(1, segment="B2X"): 'segment: must have enum ["B2B", "B2C", null]',
    message(1, customer_id="x" * 65): "customer_id: must have maxLength 64",
    message(1, country="a\0b"): "country: holds a zero character",
    message(1).replace(b"France", rb"\ud800"): "country: holds half a character",
    message(1, sold_at="2026-02-30T00:00:00Z"): 'sold_at: must have format "date-time"',
    message(1, sold_at="2026-01-05 12:00:00Z"): 'sold_at: must have format "date-time"',
    message(1, sold_at="2026-01-05T12:00:00"): 'sold_at: must have format "date-time"',
    message(1, sold_at="0000-01-01T00:00:00Z"): 'sold_at: must have format "date-time"',
    message(1, sold_at="0001-01-01T00:00:00+01:00"): "sold_at: is not between 1900 and 9999",
    message(1, sold_at="1899-12-31T23:59:59Z"): "sold_at: is not between 1900 and 9999",
    message(1, sold_at="9999-12-31T23:59:59-12:00"): "sold_at: is not between 1900 and 9999",
    message(1, sold_at="2026-01-05T24:00:00Z"): 'sold_at: must have format "date-time"',
    message(1, sold_at="2026-01-05T12:00:00+24:00"): 'sold_at: must have format "date-time"',
    message(1, sold_at="now"): 'sold_at: must have format "date-time"',
}


@pytest.mark.parametrize(("line", "reason"), BAD.items(), ids=list(BAD.values()))
def test_what_is_no_event_is_told_apart_and_why(line: bytes, reason: str) -> None:
    assert told(line) == reason


GOOD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"quantity": "12"}, {"quantity": 12}),
    ({"quantity": 12.0}, {"quantity": 12}),
    ({"unit_price": "2.55"}, {"unit_price": Decimal("2.5500")}),
    ({"unit_price": 3}, {"unit_price": Decimal("3.0000")}),
    ({"unit_price": ".255e1"}, {"unit_price": Decimal("2.5500")}),
    ({"unit_price": "1.5" + "0" * 60}, {"unit_price": Decimal("1.5000")}),
    ({"invoice": 536365}, {"invoice": "536365"}),
    ({"country": "Österreich \U0001f1e6"}, {"country": "Österreich \U0001f1e6"}),
    ({"sold_at": "2026-07-01T00:00:00.123456+02:00"}, {
        "sold_at_text": "2026-07-01T00:00:00.123456+02:00", "_at": 1782856800123456,
    }),
    ({"till": {"number": 3, "open": True}}, {"rest": '{"till": {"number": 3, "open": true}}'}),
    ({"segment": None}, {"segment": None}),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "wanted"), GOOD, ids=[str(g[0]) for g in GOOD])
def test_values_are_converted_where_nothing_is_lost(
    changes: dict[str, Any], wanted: dict[str, Any]
) -> None:
    line = message(1, **changes)
    for found in (parse(line), parse(message("a"), line)):
        assert found.refused == []
        row = found.events.to_pylist()[-1]
        assert {name: row[name] for name in wanted} == wanted


def test_a_price_may_have_any_number_of_zeros() -> None:
    line = message(1).replace(b"1.5", b"1.5" + b"0" * 60)
    assert parse(message("a"), line).events["unit_price"].to_pylist() == [Decimal("1.5")] * 2


def test_a_pretty_printed_message_is_an_event_and_a_line_feed_in_a_text_is_none() -> None:
    pretty = json.dumps(json.loads(message(1)), indent=2).encode()
    assert told(pretty) is None
    assert told(message(1).replace(b"France", b"Fra\nnce")) == "is no JSON"


def test_records_that_make_up_for_each_other_s_lines_are_told_apart() -> None:
    """Two events on one line and an empty line: as many rows as lines, but not a row a line."""
    found = parse(message(1) + message(2), b"", message(3))
    assert [one.offset for one in found.refused] == [100, 101]
    assert found.events["event_id"].to_pylist() == ["e3"]


def test_one_bad_message_in_a_crowd() -> None:
    lines = [message(n, customer_id=str(n % 7)) for n in range(3_000)]
    lines[1234] = b"no"
    lines[77] = message(77, quantity="5", customer_id="0")
    found = parse(*lines)
    assert [one.offset for one in found.refused] == [1334]
    assert found.events["offset"].to_pylist() == [n for n in range(100, 3100) if n != 1334]
    assert found.events["quantity"].to_pylist()[77] == 5
    assert len(set(found.events["customer_key"].to_pylist())) == 7


TIMES = st.from_regex(
    r"(0000|0001|1899|1900|2026|9999)-(01-05|12-31|02-29)T(00|12|23|24):(00|59|60):(00|59|60)"
    r"(\.[0-9]{1,7})?(Z|[+-](00|14|23|24|99):(00|59|60))", fullmatch=True,
)  # fmt: skip
NUMERALS = st.from_regex(
    r"[ +-]?([0-9]{0,30}|0{0,30}[12])(\.[0-9]{0,3}0{0,40})?([eE][+-]?[0-9]{1,2}(9{20})?)?",
    fullmatch=True,
)


def shown(found: Parsed) -> dict[int, Any]:
    """Each event by its offset, without its place in the batch."""
    rows = found.events.drop_columns(["_record"]).to_pylist()
    return {row.pop("offset"): row for row in rows}


@settings(deadline=None, max_examples=100)
@given(st.lists(st.one_of(
    st.binary(max_size=60), st.sampled_from([*BAD][:20]),
    st.integers(0, 99).map(message),
    TIMES.map(lambda text: message(1, sold_at=text)),
    st.tuples(st.sampled_from(["quantity", "unit_price"]), NUMERALS).map(
        lambda change: message(1, **{change[0]: change[1]})
    ),
    NUMERALS.map(lambda text: message(1, unit_price="?").replace(b'"?"', text.encode())),
    st.tuples(st.sampled_from(["country", "quantity", "unit_price", "sold_at", "new"]), st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()),
    )).map(lambda change: message(1, **{change[0]: change[1]})),
), min_size=1, max_size=12))  # fmt: skip
def test_every_message_is_an_event_or_refused_and_company_makes_no_difference(
    lines: list[bytes],
) -> None:
    together = parse(*lines)
    events = shown(together)
    offsets = {*events}
    refused = {one.offset for one in together.refused}
    assert not offsets & refused
    assert offsets | refused == {*range(100, 100 + len(lines))}
    alone = dict(enumerate((shown(parse(line)).get(100) for line in lines), 100))
    assert events == {offset: row for offset, row in alone.items() if row}
