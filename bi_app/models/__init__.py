"""What pages show, worked out: numbers, tables, freshness; no widgets and no SQL."""
