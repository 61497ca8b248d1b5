"""The stream: events from a log into PostgreSQL, exactly once. `consume` is one event's way."""
