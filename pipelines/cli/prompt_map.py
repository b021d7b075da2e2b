"""`scarecrow prompt-map`: fit, list, choose and show the map that turns prompts into cells."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from pipelines.cli.context import settings_of

prompt_map_app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Fit, list, choose or show the prompt map.",
    epilog="Example: `scarecrow prompt-map fit --source 'logs/*.ndjson' --lake lake --use`",
)

_WORDS: Final = {
    "prompt": ("buckets of terms", "weighted terms"),
    "embedding": ("numbers an embedding", "embeddings"),
}
"""What is told of the vocabulary and of the variance, by kind of map."""
_Lake = Annotated[str | None, typer.Option(help="Folder of the lake.", show_default="lake")]
_Json = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]


@prompt_map_app.command("fit")
def fit_command(
    ctx: typer.Context,
    source: Annotated[
        str, typer.Option(help="Log to fit to: file, folder, glob, or kafka://HOST:PORT/TOPIC.")
    ],
    lake: _Lake = None,
    log_format: Annotated[
        str | None, typer.Option("--format", help="Format of the log.", show_default="native")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--format-option", help="NAME=VALUE for the format; may be repeated.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="Mapping file (YAML); implies --format mapping.")
    ] = None,
    kind: Annotated[
        Literal["prompt", "embedding"] | None,
        typer.Option(
            help="What to fit to: the prompts or prompt_embedding.",
            show_default="embedding where no fewer requests carry one",
        ),
    ] = None,
    use: Annotated[bool, typer.Option("--use", help="Measure new rows with it from now on.")] = False,
    as_json: _Json = False,
) -> None:
    """Fits a map to the prompts, or the embeddings, of a log and stores it in the lake.

    Rows measured before keep their map.

    Example: `scarecrow prompt-map fit --source 'logs/*.ndjson' --lake lake --use`
    """
    from pipelines.cli.ingest import format_options, now_ms
    from pipelines.cli.table import print_json
    from pipelines.ingest.formats import get_format
    from pipelines.ingest.run import open_source
    from pipelines.lake.tables import Lake
    from pipelines.prompt_map import store
    from pipelines.prompt_map.prepare import fit_and_store, sample_source
    from pipelines.settings import hash_key

    settings = settings_of(ctx, lake__path=lake, ingest__format="mapping" if mapping else log_format)
    name = settings.ingest.format
    options = dict(format_options(option or [], mapping))
    adapter = None if name == "native" else get_format(name, options)
    opened = Lake(Path(settings.lake.path))
    feed = open_source(source, opened.path, settings.ingest.slice_mib << 20, follow=False)
    opened.create()
    key = hash_key(settings)
    sample = sample_source(feed, key, adapter, now_ms(), kind)
    version = fit_and_store(opened.path, sample, key, source)
    if use:
        store.use(opened.path, version)
    if as_json:
        print_json(
            {
                "version": version,
                "kind": sample.kind,
                "prompts": len(sample),
                "in_use": store.current(opened.path) == version,
            }
        )
        return
    typer.echo(f"prompt map {version}: fitted to {len(sample):,} distinct {sample.kind}s")
    if use:
        typer.echo("New rows are measured with it; rows of other maps are never summed with them.")
    else:
        typer.echo(f"It is not in use; `scarecrow prompt-map use {version}` puts it to use.")


@prompt_map_app.command("list")
def list_command(ctx: typer.Context, lake: _Lake = None, as_json: _Json = False) -> None:
    """Lists the maps of a lake.

    Example: `scarecrow prompt-map list --lake lake`
    """
    from pipelines.cli.table import print_json, print_table
    from pipelines.prompt_map import store

    folder = _lake(ctx, lake)
    used = store.current(folder)
    maps = [dict(about) | {"in_use": about["version"] == used} for about in store.versions(folder)]
    if as_json:
        print_json(maps)
        return
    if not maps:
        typer.echo(f"lake {folder} has no prompt map; ingest a log, or `scarecrow prompt-map fit` makes one")
        return
    rows = [
        [
            about["version"],
            "in use" if about["in_use"] else "",
            _kind(about),
            f"{about['statistics']['distinct_prompts']:,}",
            f"{about['statistics']['explained_variance']:.0%}",
            str(about["provenance"].get("source", "")),
        ]
        for about in maps
    ]
    columns = ["version", "", "of", "distinct", "variance kept", "fitted to"]
    print_table(columns, rows, right=[3, 4], wide=[5])


@prompt_map_app.command("use")
def use_command(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(help="Version of a stored map.")],
    lake: _Lake = None,
) -> None:
    """Measures new rows with a stored map from now on.

    Rows of different maps are never summed, so the ranking starts anew with the rows of this map.

    Example: `scarecrow prompt-map use VERSION --lake lake`
    """
    from pipelines.prompt_map import store

    store.use(_lake(ctx, lake), version)
    typer.echo(f"prompt map {version} is in use")


@prompt_map_app.command("show")
def show_command(
    ctx: typer.Context,
    version: Annotated[str | None, typer.Argument(help="Version.", show_default="the one in use")] = None,
    lake: _Lake = None,
    days: Annotated[float, typer.Option(help="Days of the lake that separation is measured on.")] = 14,
    as_json: _Json = False,
) -> None:
    """Shows how well a map fits, and how well it tells unrelated accounts apart.

    Example: `scarecrow prompt-map show --lake lake`
    """
    from dataclasses import asdict

    from pipelines.cli.table import print_json
    from pipelines.errors import UsageError
    from pipelines.lake.tables import Lake
    from pipelines.prompt_map import store

    folder = _lake(ctx, lake)
    used = store.current(folder)
    chosen = version or used
    if chosen is None or chosen == store.NO_MAP:
        raise UsageError(
            f"lake {folder} has no prompt map; ingest a log, or `scarecrow prompt-map fit` makes one"
        )
    held = store.load(folder, chosen)
    found = None
    if chosen == used and Lake(folder).hours().get_add_actions().num_rows:
        from pipelines.prompt_map.separation import separation
        from pipelines.rank.horizon import read_horizon

        found = separation(read_horizon(Lake(folder), days).profiles, held)
    if as_json:
        print_json(dict(held.about) | {"in_use": chosen == used, "separation": found and asdict(found)})
        return
    statistics, provenance = held.about["statistics"], held.about["provenance"]
    words = _WORDS[_kind(held.about)]
    lines = [
        f"prompt map {chosen}" + (" (in use)" if chosen == used else ""),
        f"fitted to              {provenance.get('source', '')}",
        f"distinct {_kind(held.about) + 's':<14}{statistics['distinct_prompts']:,}",
        f"vocabulary             {statistics['vocabulary']:,} {words[0]}",
        f"variance kept          {statistics['explained_variance']:.1%} of the {words[1]}",
        f"lost to cells          {statistics['quantisation_loss']:.1%} of the vectors' variance",
        f"cells in use           {statistics['cells_used']:,}, median {statistics['median_cell_prompts']:.0f} prompts",
    ]
    if found is None:
        lines.append("separation             unknown: the lake has no rows measured with this map in use")
    elif found.pairs == 0:
        lines.append(
            f"separation             unknown: {found.accounts} accounts have enough distinct prompts"
        )
    else:
        lines += [
            f"separation             median D2 {found.median_d2:.3f} over {found.pairs:,} pairs of "
            f"{found.accounts:,} accounts with 12 or more prompts",
            f"                       {found.linked:.2%} of the pairs pass for one source (D2 + 2 SE under 0.03)",
        ]
    typer.echo("\n".join(lines))


def _kind(about: Mapping[str, Any]) -> str:
    """What a stored map is of; maps of earlier versions are of prompts."""
    return str(about.get("kind", "prompt"))


def _lake(ctx: typer.Context, lake: str | None) -> Path:
    """Folder of an existing lake; UsageError when it is none."""
    from pipelines.lake.tables import Lake

    folder = Path(settings_of(ctx, lake__path=lake).lake.path)
    Lake(folder).hours()
    return folder
