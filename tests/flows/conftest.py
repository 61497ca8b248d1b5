"""Fixtures of the flows' tests."""

from tests.flows.fix_desk import desk

__all__ = ["desk"]
