"""`python -m infra.kafka.up`: starts a real Kafka and prints its bootstrap address as the last line.

Here: the command line. Not here: what is done (cluster.py). Running it twice starts nothing twice.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from infra.kafka.cluster import load_cluster, make_cluster
from infra.kafka.properties import PLAIN
from pipelines.errors import ScarecrowError


def default_folder() -> Path:
    """Where the developer's own cluster lives, by the XDG base directory specification."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "scarecrow" / "kafka"


def up(
    data: Annotated[
        Path | None, typer.Option(help="Folder of the cluster.", show_default="user's state folder")
    ] = None,
    nodes: Annotated[int, typer.Option(min=1, max=5, help="Brokers; used when the cluster is new.")] = 1,
    port: Annotated[
        list[int] | None, typer.Option(help="Client port, once per node; free ones if left out.")
    ] = None,
    secured: Annotated[
        bool, typer.Option(help="Also open SSL, SASL_PLAINTEXT and SASL_SSL listeners.")
    ] = False,
    heap_mib: Annotated[int, typer.Option(min=128, help="Java heap of each broker.")] = 512,
) -> None:
    """Starts Apache Kafka on loopback and returns when it serves."""
    folder = (data or default_folder()).resolve()
    try:
        cluster = load_cluster(folder) or make_cluster(
            folder, nodes, port, secured=secured, heap_mib=heap_mib
        )
        if len(cluster.nodes) != nodes and nodes != 1:
            raise ScarecrowError(
                f"{folder} already holds a cluster of {len(cluster.nodes)} node(s), not {nodes};"
                " run infra.kafka.down with --delete first, or choose another --data."
            )
        cluster.start()
    except ScarecrowError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"{folder} cannot hold a cluster ({error.strerror}); choose another --data.", err=True)
        raise typer.Exit(1) from None
    for listener in cluster.nodes[0].ports:
        if listener not in (PLAIN, "CONTROLLER"):
            typer.echo(f"{listener} {cluster.bootstrap(listener)}", err=True)
    typer.echo(cluster.bootstrap())


if __name__ == "__main__":
    typer.run(up)
