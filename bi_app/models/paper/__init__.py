"""Report pages as PDF: what stands on the pages, and how it is drawn; no browser is needed."""
