"""Fixtures of the flows' tests."""

from tests.flows.fix_desk import desk
from tests.flows.fix_orchestra import orchestra
from tests.tasks.fix_daily import filled
from tests.tasks.fix_smtp import post

__all__ = ["desk", "filled", "orchestra", "post"]
