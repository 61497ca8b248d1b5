"""Statements of the app's own login; `run` is the only way to use them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Row, text

from warehouse.database import engine


@cache
def _statement(name: str) -> str:
    return (Path(__file__).parent / f"{name}.sql").read_text("utf-8")


def run(statement: str, /, **values: Any) -> list[Row[Any]]:
    """Run `<statement>.sql` as the app's login, in a transaction of its own; return its rows."""
    with engine("app").begin() as connection:
        result = connection.execute(text(_statement(statement)), values)
        return list(result) if result.returns_rows else []
