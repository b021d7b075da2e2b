"""`python -m infra.kafka.down`: ends the brokers that `infra.kafka.up` started in a folder, and nothing else.

Here: the command line. Not here: how processes are recognised (processes.py).
"""

import shutil
import sys
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
        print(f"No Kafka was ever started in {folder}; nothing to end.", file=sys.stderr)
        return
    ended = cluster.stop()
    print(
        f"{ended} of {len(cluster.nodes)} broker(s) were running in {folder} and have ended.", file=sys.stderr
    )
    if delete:
        shutil.rmtree(folder)


if __name__ == "__main__":
    typer.run(down)
