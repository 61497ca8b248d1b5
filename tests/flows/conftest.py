"""Fixtures of the flows' tests."""

from tests.flows.fix_desk import desk
from tests.flows.fix_orchestra import orchestra

__all__ = ["desk", "orchestra"]
