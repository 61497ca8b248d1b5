"""Expressions of a stream's spec are looked at before any event comes."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from warehouse import streams
from warehouse.errors import SpecError
from warehouse.stream_values import measured
from warehouse.streams import Dimension, Measure, stream

SALES = stream("retail_sales")
MEASURE = Measure(name="tips", sum="tip", meaning="Tips")
WRONG: dict[str, dict[str, Any]] = {
    "colour": {"dimensions": (Dimension(name="c", by="colour", meaning="none such"),)},
    "shade": {"derived": {"dark": "shade > 3"}},
    "tip": {"measures": (MEASURE,)},
    "syntax error": {"dimensions": (Dimension(name="c", by="country)", meaning="a bracket"),)},
    "no_such_function": {"derived": {"odd": "no_such_function(country)"}},
}


def test_the_shipped_expressions_can_be_worked_out() -> None:
    for one in streams.streams().values():
        measured(one)


@pytest.mark.parametrize(("fault", "changes"), WRONG.items(), ids=WRONG)
def test_an_expression_that_cannot_be_worked_out_is_refused(
    fault: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(SpecError, match=fault):
        measured(SALES.model_copy(update=changes))


def test_migrating_looks_at_them(
    connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = SALES.model_copy(update=WRONG["tip"])
    monkeypatch.setattr(streams, "streams", lambda: {wrong.table: wrong})
    with pytest.raises(SpecError, match="an expression cannot be worked out"):
        streams.derive(connection)
