"""What another table says of an event is kept with it, and can be looked up anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.stream import lookups
from tasks.stream.consume import consume
from tasks.stream.held import replay
from tasks.stream.rebuild import rebuild, restate
from tests.fix_stream import ask, by, fates, message, send
from tests.tasks.conftest import spec
from warehouse import ddl
from warehouse.database import connect
from warehouse.errors import ConfigurationError, SpecError
from warehouse.migrate import migrate
from warehouse.streams import SHIPPED, Stream, stream

LOOKUP = """
lookups:
  - {dataset: test_products, by: stock_code, key: code, where: {shop: north},
     columns: {family: family, shelf: place, key: code}}
"""
FAMILY = """\
  - {name: family, by: "family || coalesce(shelf, '')", meaning: Family and shelf}
"""
PRODUCTS: dict[str, Any] = {
    "columns": {"shop": "text", "code": "text", "family": "text", "place": "integer"},
    "key": ["shop", "code"],
    "access": {"staff": True},
}


def write(folder: Path, lookup: str = LOOKUP, **changes: Any) -> None:
    """A project with a dataset of products, and with sales that look them up."""
    dataset = spec(folder, "products", **PRODUCTS | changes)
    migration = folder / "migrations/test/products.sql"
    migration.parent.mkdir(parents=True, exist_ok=True)
    migration.write_text(ddl.migration(dataset), "utf-8")
    path = folder / "streams/retail/sales.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = (SHIPPED / "retail/sales.yml").read_text("utf-8")
    text = text.replace(
        "\ndimensions:\n", f"\ndimensions:\n{FAMILY}" if lookup else "\ndimensions:\n"
    )
    path.write_text(text + lookup, "utf-8")


@pytest.fixture
def project(database: str, sales: Stream, setting: Callable[..., None], tmp_path: Path) -> Path:
    """A folder whose specs hold."""
    folder = tmp_path / "project"
    setting(project=folder)
    return folder


@pytest.fixture
def looking(project: Path) -> Stream:
    """The stream of sales with the families of products."""
    write(project)
    migrate()
    return stream("retail_sales")


def put(*rows: tuple[str, str, str | None, int | None]) -> None:
    """Have silver hold these products only."""
    with connect() as connection:
        connection.execute("delete from silver.test_products")
        connection.cursor().executemany(
            "insert into silver.test_products (shop, code, family, place, _load_id)"
            " values (%s, %s, %s, %s, 1)",
            rows,
        )


def test_an_event_keeps_what_was_said_when_it_was_read(looking: Stream) -> None:
    put(("north", "7", "lamps", 3), ("south", "7", "boats", 4), ("north", "9", None, None))
    codes = ["7", "7", "9", "none"]
    send(looking, *(message(n, stock_code=code) for n, code in enumerate(codes)))
    consume(looking, once=True)
    assert ask("select event_id, family, shelf from bronze.retail_sales order by 1") == [
        ("e0", "lamps", "3"), ("e1", "lamps", "3"), ("e2", None, None), ("e3", None, None),
    ]  # fmt: skip
    assert by("family", "lines") == {"lamps3": 2, "(none)": 2}
    put(("north", "7", "lights", 3), ("north", "9", "candles", None))
    assert rebuild(looking).differing == 0
    send(looking, message(4, stock_code="9"))
    consume(looking, once=True)
    assert by("family", "lines") == {"lamps3": 2, "(none)": 2, "candles": 1}
    assert lookups.anew(looking) == 3
    assert lookups.anew(looking) == 0
    assert rebuild(looking).differing > 0
    assert by("family", "lines") == {"lights3": 2, "(none)": 1, "candles": 2}
    assert rebuild(looking).differing == 0


def test_without_products_sales_count_as_well(looking: Stream) -> None:
    put()
    send(looking, message(1))
    consume(looking, once=True)
    assert by("family", "lines") == {"(none)": 1}


def test_late_and_mended_events_are_looked_up_too(looking: Stream) -> None:
    put(("north", "7", "lamps", 3))
    send(looking, message(1, 30), message(2), message(3, country="x" * 61))
    consume(looking, once=True)
    assert (fates()["late"], fates()["quarantined"]) == (1, 1)
    project = looking.path.parents[2]
    text = looking.path.read_text("utf-8").replace("maxLength: 60, ", "maxLength: 61, ")
    (project / "streams/retail/sales.yml").write_text(text, "utf-8")
    migrate()
    wider = stream("retail_sales")
    assert replay(wider).late == 1
    assert restate(wider) == 2
    assert by("family", "lines") == {"lamps3": 3}


def test_sales_before_a_lookup_get_it_when_they_are_looked_up_anew(project: Path) -> None:
    write(project, lookup="")
    migrate()
    plain = stream("retail_sales")
    send(plain, message(1))
    consume(plain, once=True)
    write(project)
    migrate()
    put(("north", "7", "lamps", 3))
    looking = stream("retail_sales")
    assert rebuild(looking).differing > 0
    assert by("family", "lines") == {"(none)": 1}
    assert lookups.anew(looking) == 1
    rebuild(looking)
    assert by("family", "lines") == {"lamps3": 1}


def test_a_table_that_is_too_large_is_named(
    looking: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(("north", "7", "lamps", 3), ("north", "8", "lamps", 3), ("south", "8", "lamps", 3))
    monkeypatch.setattr(lookups, "MOST_KEYS", 2)
    send(looking, message(1))
    consume(looking, once=True)
    put(("north", "7", "lamps", 3), ("north", "8", "lamps", 3), ("north", "9", "lamps", 3))
    send(looking, message(2))
    with pytest.raises(ConfigurationError, match="test_products has more than 2 rows"):
        consume(looking, once=True)
    assert fates()["events"] == 1


PERSONAL = PRODUCTS["columns"] | {"family": {"type": "text", "privacy": "personal"}}
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "is no dataset": (LOOKUP.replace("test_products", "test_nothing"), {}),
    "has no column colour": (LOOKUP.replace("shelf: place", "shelf: colour"), {}),
    "has the key shop, code, not code": (LOOKUP.replace("where: {shop: north},", ""), {}),
    "says of a person: family": (LOOKUP, {"columns": PERSONAL}),
    "is not seen by all": (LOOKUP, {"access": {"branch": "shop"}}),
    "item is no column of the event": (LOOKUP.replace("by: stock_code", "by: item"), {}),
    "unit_price is neither text": (LOOKUP.replace("by: stock_code", "by: unit_price"), {}),
    "two columns of one name: country": (LOOKUP.replace("{family:", "{country:"), {}),
}


@pytest.mark.parametrize(("fault", "given"), REFUSED.items(), ids=REFUSED)
def test_what_cannot_be_looked_up_is_refused(
    project: Path, fault: str, given: tuple[str, dict[str, Any]]
) -> None:
    lookup, changes = given
    write(project, lookup, **changes)
    with pytest.raises(SpecError, match=fault):
        migrate()
