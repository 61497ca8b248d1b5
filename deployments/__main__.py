"""`python -m deployments` is the `carrel` command."""

from deployments.cli import main

main()
