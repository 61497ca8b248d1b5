"""Fixtures of the warehouse's tests."""

pytest_plugins: list[str] = []

from tests.warehouse.fix_shop import shop  # noqa: E402, F401
