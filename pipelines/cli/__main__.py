"""`python -m pipelines.cli` is `scarecrow`."""

from pipelines.cli.app import main

main()
