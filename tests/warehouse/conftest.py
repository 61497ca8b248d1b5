"""Fixtures of the warehouse's tests."""

from tests.warehouse.fix_shop import shop

__all__ = ["shop"]
