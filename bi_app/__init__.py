"""WHO sees what: pages, all through one `acting_as(viewer)`."""
