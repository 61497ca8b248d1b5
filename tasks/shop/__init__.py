"""Analyses of a shop's sales: orders, cancellations and baskets of bronze, and gold of them."""
