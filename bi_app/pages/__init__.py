"""One file a page; `panel serve` runs it once a session, tests call its `build`."""
