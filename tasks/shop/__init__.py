"""Analyses of a shop's sales: orders, cancellations and baskets out of bronze, and gold from them."""
