"""`python -m infra.kafka.down`: ends the brokers that `infra.kafka.up` started in a folder, and nothing else.

Here: the command line. Not here: how processes are recognised (processes.py).
"""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from infra.kafka.cluster import load_cluster
from infra.kafka.up import default_folder


def down(
    data: Annotated[
        Path | None, typer.Option(help="Folder of the cluster.", show_default="user's state folder")
    ] = None,
    delete: Annotated[bool, typer.Option(help="Also delete the folder with all records.")] = False,
) -> None:
    """Ends Apache Kafka. Records stay for the next start unless --delete is given."""
    folder = (data or default_folder()).resolve()
    cluster = load_cluster(folder)
    if cluster is None:
        typer.echo(f"No Kafka was ever started in {folder}; nothing to end.", err=True)
        return
    ended = cluster.stop()
    typer.echo(
        f"{ended} of {len(cluster.nodes)} broker(s) were running in {folder} and have ended.", err=True
    )
    if delete:
        shutil.rmtree(folder)


if __name__ == "__main__":
    typer.run(down)
