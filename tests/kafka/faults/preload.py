"""What the server that ingest processes are forked from imports: everything, and no thread or connection."""

import importlib

from tests.kafka.faults.dying import die_with_parent

MODULES = (
    "deltalake",
    "pipelines.ingest.run",
    "pipelines.cli.app",
    "pipelines.cli.ingest",
    "pipelines.cli.progress",
    "pipelines.ingest.kafka",
    "tests.kafka.faults.ingests",
    "apache_beam.runners.portability.fn_api_runner.fn_runner",
)

for _module in MODULES:
    importlib.import_module(_module)

# The server would outlive a killed test session for as long as any of its forks does; so would they.
die_with_parent()
