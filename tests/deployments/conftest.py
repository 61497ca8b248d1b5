"""Fixtures of the tests of deployments."""

from tests.flows.fix_desk import desk
from tests.warehouse.fix_shop import shop

__all__ = ["desk", "shop"]
