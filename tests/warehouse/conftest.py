"""Fixtures of the warehouse's tests."""

from tests.warehouse.fix_gold import sample, sample_database
from tests.warehouse.fix_shop import shop

__all__ = ["sample", "sample_database", "shop"]
