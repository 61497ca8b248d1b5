"""Fixtures of the tests of deployments."""

from tests.warehouse.fix_shop import shop

__all__ = ["shop"]
