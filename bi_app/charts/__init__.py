"""Charts: built once a session, then fed by replacing the data of their sources."""
