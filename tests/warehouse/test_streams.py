"""Specs of streams: what is wrong is named, and no schema refuses yesterday's events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from warehouse.errors import ConfigurationError, SpecError
from warehouse.settings import settings
from warehouse.streams import (
    EventSchema,
    Property,
    Stream,
    derive,
    incompatible,
    read,
    register,
    stream,
)

SALES = stream("retail_sales")


def with_field(name: str, **changes: Any) -> EventSchema:
    """The schema of sales with one field otherwise, or a new one."""
    old = SALES.event.properties.get(name) or Property(
        type=("string", "null"), maxLength=9, description="new"
    )
    fields = SALES.event.properties | {name: old.model_copy(update=changes)}
    return EventSchema(required=SALES.event.required, properties=fields)


def test_sales_have_more_than_twenty_dimensions_each_with_a_meaning() -> None:
    assert len({d.name for d in SALES.dimensions}) >= 20
    assert all(d.meaning for d in SALES.dimensions)


COMPATIBLE = {
    "new optional": with_field("voucher"),
    "longer": with_field("country", maxLength=90),
    "wider": with_field("quantity", minimum=-(10**7), type="number"),
    "null allowed": with_field("country", type=("string", "null")),
    "more values": with_field("segment", enum=("B2B", "B2C", "B2G", None)),
    "no longer required": EventSchema(
        required=SALES.event.required[:-1], properties=SALES.event.properties
    ),
}
REFUSED = {
    "channel is required now": EventSchema(
        required=(*SALES.event.required, "channel"), properties=SALES.event.properties
    ),
    "channel is gone": EventSchema(
        required=SALES.event.required,
        properties={k: v for k, v in SALES.event.properties.items() if k != "channel"},
    ),
    "country: was string, is integer": with_field("country", type="integer", minimum=0, maximum=9),
    "unit_price: was number, is integer": with_field("unit_price", type="integer"),
    "channel: may not be null any more": with_field("channel", type="string"),
    "country: maxLength was 60, is 59": with_field("country", maxLength=59),
    "country: minLength was 1, is 2": with_field("country", minLength=2),
    "quantity: minimum was -1000000, is 0": with_field("quantity", minimum=0),
    "country: pattern was None, is ^F": with_field("country", pattern="^F"),
    "segment: fewer values are allowed": with_field("segment", enum=("B2B", None)),
    "country: fewer values are allowed": with_field("country", enum=("France",)),
    "customer_id: stands for a person": with_field("customer_id", pseudonym=None),
}


@pytest.mark.parametrize("new", COMPATIBLE.values(), ids=COMPATIBLE)
def test_a_schema_may_grow(new: EventSchema, connection: psycopg.Connection[Any]) -> None:
    assert incompatible(SALES.event, new) == []
    assert register(connection, SALES.model_copy(update={"event": new})) == 2
    assert register(connection, SALES.model_copy(update={"event": new})) == 2


@pytest.mark.parametrize(("fault", "new"), REFUSED.items(), ids=REFUSED)
def test_an_incompatible_schema_is_refused_at_registration(
    fault: str, new: EventSchema, connection: psycopg.Connection[Any]
) -> None:
    with pytest.raises(SpecError, match="not compatible with version 1") as refused:
        register(connection, SALES.model_copy(update={"event": new}))
    assert fault in str(refused.value)
    assert register(connection, SALES) == 1


def changed(folder: Path, old: str, new: str) -> Stream:
    """The spec of sales with one text in place of another."""
    path = folder / "shop" / "sales.yml"
    path.parent.mkdir()
    text = SALES.path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return read(path)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("topic:", "topik:", "topik"),
        ("time: sold_at", "time: invoice", "must have the format date-time"),
        ("id: event_id", "id: nothing", "nothing is no property"),
        ("together: invoice", "together: channel", "channel must be required"),
        (", minimum: -1000000, maximum: 1000000", "", "needs minimum and maximum"),
        ("maxLength: 60, ", "", "a text needs maxLength"),
        ("name: country, by", "name: total, by", "two dimensions of one name"),
        ("name: net, sum", "name: gross, sum", "two measures of one name"),
        ("name: net, sum", "name: day, sum", "no measure may be called day"),
        ("    channel: ", "    offset: ", "no property may be called offset"),
        ("    channel: ", "    day: ", "no property may be called day"),
        ("    channel: ", "    sold_at_text: ", "two columns of one name: sold_at_text"),
        ("    channel: ", "    customer_key: ", "two columns of one name: customer_key"),
        ("  product: ", "  channel: ", "two columns of one name: channel"),
        ("[country", "country, [", "is not YAML"),
    ],
)
def test_what_is_wrong_in_a_spec_is_named(tmp_path: Path, old: str, new: str, fault: str) -> None:
    if old == "[country":
        old, new = "access: {staff: true}", "access: {staff"
    with pytest.raises(SpecError, match=fault):
        changed(tmp_path, old, new)


def test_a_new_measure_gets_its_column_which_viewers_may_read(
    connection: psycopg.Connection[Any], tmp_path: Path, setting: Callable[..., None]
) -> None:
    setting(project=tmp_path)
    mine = tmp_path / "streams/retail/sales.yml"
    mine.parent.mkdir(parents=True)
    new = '  - {name: tax, sum: amount / 6, meaning: "Tax in it"}'
    mine.write_text(SALES.path.read_text().replace("\nmeasures:\n", f"\nmeasures:\n{new}\n"))
    query = (
        "select has_column_privilege(%s, to_regclass(%s), 'tax', 'select'),"
        " format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = to_regclass(%s) and attname = 'tax'"
    )
    for _ in range(2):
        derive(connection)
        for table in map("silver.{}".format, SALES.sums):
            login = settings().login("librarian")
            assert connection.execute(query, [login, table, table]).fetchall() == [
                (True, "numeric")
            ]
    mine.unlink()
    derive(connection)  # what is no measure any more stays, and is not in the way
    connection.execute(
        "insert into silver.retail_sales_by (dimension, day, value, lines, sales, pieces, gross,"
        " cancellations, cancelled, net, nameless)"
        " values ('total', '2026-01-05', 'all', 1, 1, 1, 1, 0, 0, 1, 0)"
    )


def test_a_stream_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match="no stream 'shop'"):
        stream("shop")


def test_the_tables_of_a_stream_are_in_the_catalogue_with_the_version_of_its_events(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warehouse import catalogue, streams
    from warehouse.database import connect
    from warehouse.spec import datasets

    query = (
        "select table_name, version, key_columns, columns from ops.catalogue"
        " where layer = 'stream' order by 1"
    )
    with connect() as connection:
        found = connection.execute(query).fetchall()
        assert {f"silver.{t}" for t in SALES.tables} == {name for name, *_ in found}
        assert {version for _, version, *_ in found} == {1}
        (people,) = [columns for name, *_, columns in found if name.endswith("_by_person")]
        assert [c["name"] for c in people if c["privacy"]] == ["value"]
        assert all(c["meaning"] for *_, columns in found for c in columns)
        assert found[0][2] == ["dimension", "day", "value"]
        grown = SALES.model_copy(update={"event": with_field("voucher")})
        monkeypatch.setattr(streams, "streams", lambda: {grown.table: grown})
        streams.derive(connection)
        catalogue.fill(connection, datasets())
        assert {version for _, version, *_ in connection.execute(query)} == {2}
