"""WHETHER the data may be trusted: contracts and verdicts."""
