"""WHERE it runs: the `carrel` command and the local stack."""
