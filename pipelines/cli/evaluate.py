"""`scarecrow evaluate`: a mart against the truth of a simulation, beside two baselines."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.context import settings_of

if TYPE_CHECKING:
    from pipelines.evaluate import Evaluation


def evaluate_command(
    ctx: typer.Context,
    truth: Annotated[Path, typer.Option(help="truth.json of the simulator, or a Parquet file.")],
    mart: Annotated[str | None, typer.Option(help="File of the mart.", show_default="mart.duckdb")] = None,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Also show what each evidence family is worth.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
) -> None:
    """A mart against the truth of a simulation: average precision, campaigns, false alarms, two baselines.

    Example: `scarecrow evaluate --mart mart.duckdb --truth world/truth.json`
    """
    from pipelines.cli.table import print_json
    from pipelines.evaluate import evaluate_mart

    path = Path(settings_of(ctx, mart__path=mart).mart.path)
    evaluation = evaluate_mart(path, truth, with_ablation=ablate)
    if as_json:
        print_json(evaluation.to_dict())
        return
    _print(evaluation)


def _figure(value: float | None, digits: int = 2) -> str:
    return "" if value is None or value != value else f"{value:.{digits}f}"  # NaN shows as nothing


def _print(evaluation: "Evaluation") -> None:
    from pipelines.cli.table import print_table
    from pipelines.evaluate.measures import AT

    typer.echo(
        f"{evaluation.harvesting:,} of {evaluation.accounts:,} accounts harvest "
        f"(base rate {evaluation.base_rate:.3f}); {evaluation.unranked:,} are not ranked.\n"
    )
    print_table(
        ["ranking", "average precision", *(f"precision at {k}" for k in AT), "worst strategy", "its AP"],
        [
            [
                ranking.name,
                _figure(ranking.average_precision, 3),
                *(_figure(ranking.precision_at[k]) for k in AT),
                ranking.worst_strategy,
                _figure(ranking.worst_average_precision),
            ]
            for ranking in evaluation.rankings
        ],
        right=[1, 2, 3, 4, 6],
    )
    typer.echo("")
    print_table(
        ["strategy", "accounts", *(f"AP {r.name}" for r in evaluation.rankings), "recall", "median rank"],
        [
            [
                row.strategy,
                f"{row.accounts:,}",
                *(_figure(ranking.strategies[index].average_precision) for ranking in evaluation.rankings),
                _figure(row.recall),
                f"{row.median_rank:,.0f}",
            ]
            for index, row in enumerate(evaluation.rankings[0].strategies)
        ],
        right=range(1, 7),
    )
    _print_campaigns(evaluation)
    typer.echo("")
    print_table(
        ["ordinary class", "accounts", "false alarms", "best rank", "in the first campaigns"],
        [
            [
                row.name,
                f"{row.accounts:,}",
                f"{row.alarms:,}",
                f"{row.best_rank:,.0f}",
                f"{row.in_first_campaigns:,}",
            ]
            for row in evaluation.classes
        ],
        right=range(1, 5),
    )
    if evaluation.families:
        typer.echo("")
        print_table(
            ["without family", "average precision", "worth", "family alone"],
            [
                [row.family, _figure(row.without, 3), _figure(row.worth, 3), _figure(row.alone, 3)]
                for row in evaluation.families
            ],
            right=range(1, 4),
        )


def _print_campaigns(evaluation: "Evaluation") -> None:
    from pipelines.cli.table import print_table

    gone = {alert.campaign_id: alert for alert in evaluation.first_alerts}
    typer.echo("")
    print_table(
        [
            "planted",
            "strategy",
            "accounts",
            "found as",
            "rank",
            "recall",
            "purity",
            "pieces",
            "gone at 3 in front",
            "gone when shown",
        ],
        [
            [
                row.campaign_id,
                row.strategy,
                f"{row.accounts:,}",
                row.found or "not found",
                "" if row.rank is None else str(row.rank),
                _figure(row.recall),
                _figure(row.purity),
                str(row.pieces),
                f"{gone[row.campaign_id].share_gone:.0%}" if row.campaign_id in gone else "",
                f"{gone[row.campaign_id].shown_share_gone:.0%}" if row.campaign_id in gone else "",
            ]
            for row in evaluation.campaigns
        ],
        right=[2, 4, 5, 6, 7, 8, 9],
    )
    benign = [row for row in evaluation.first_campaigns if row.is_benign]
    names = ", ".join(f"{row.kind} (rank {row.rank})" for row in benign)
    typer.echo(
        f"\n{evaluation.campaigns_found} of {len(evaluation.campaigns)} planted campaigns found; "
        f"{len(benign)} of the first {len(evaluation.first_campaigns)} campaigns are benign"
        + (f": {names}." if names else ".")
    )
