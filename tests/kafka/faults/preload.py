"""What the server that ingest processes are forked from imports: everything, and no thread or connection."""

import importlib

MODULES = (
    "apache_beam.runners.portability.fn_api_runner.fn_runner",
    "deltalake",
    "pipelines.cli.app",
    "pipelines.cli.ingest",
    "pipelines.cli.progress",
    "pipelines.ingest.kafka",
    "pipelines.ingest.run",
    "tests.kafka.faults.producer",
)

for _module in MODULES:
    importlib.import_module(_module)
