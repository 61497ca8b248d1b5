"""Fixtures of the quality tests."""

from tests.warehouse.fix_shop import shop

__all__ = ["shop"]
