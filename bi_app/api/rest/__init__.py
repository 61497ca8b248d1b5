"""The REST API, `/api/v1`: the pages' figures for programs, by the same models and row policies."""
