"""`scarecrow backtest`: history under new settings."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.context import settings_of

if TYPE_CHECKING:
    from pipelines.rank.backtest import Backtest, Day, Side


def backtest_command(
    ctx: typer.Context,
    since: Annotated[str, typer.Option(help="First day, such as 2026-11-01.")],
    until: Annotated[
        str, typer.Option(help="End of the last day, such as 2026-11-08 (the 7th is ranked last).")
    ],
    new: Annotated[Path, typer.Option("--settings", help="Settings file to try.")],
    lake: Annotated[str | None, typer.Option(help="Folder of the lake.", show_default="lake")] = None,
    mart: Annotated[
        str | None, typer.Option(help="Mart whose labels judge.", show_default="mart.duckdb")
    ] = None,
    top: Annotated[
        int, typer.Option(min=1, help="Campaigns, and accounts outside them, that are compared.")
    ] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
) -> None:
    """Ranks every day of a range again, under the settings in force and under new ones: what enters, what leaves,
    precision against labels, and the alerts that people would get. The mart in force is not touched.

    Example: `scarecrow backtest --since 2026-11-01 --until 2026-11-08 --settings new.toml`
    """
    from rich.console import Console

    from pipelines.cli.table import print_json
    from pipelines.cli.times import parse_time
    from pipelines.errors import UsageError
    from pipelines.lake.tables import Lake
    from pipelines.mart.labels import read_labels
    from pipelines.rank.backtest import backtest, ends
    from pipelines.settings import changed, load_settings

    settings = settings_of(ctx, lake__path=lake, mart__path=mart)
    since_ms, until_ms = parse_time("--since", since), parse_time("--until", until)
    total = len(list(ends(since_ms, until_ms)))
    if not total:
        raise UsageError(f"no day ends between --since {since} and --until {until}; give a later --until")
    tried = load_settings(new, {"lake.path": settings.lake.path, "mart.path": settings.mart.path})
    if not any(name.startswith(("rank.", "alerts.")) for name in changed(settings, tried)):
        raise UsageError(
            f"no setting of rank or alerts in {new} differs from what is in force; change one to try it"
        )
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    done: list[int] = []

    def on_day(day: "Day") -> None:
        done.append(day.as_of_ms)
        if not as_json:
            console.print(
                f"[{len(done)}/{total}] {_day(day)}: {len(day.entered)} enter, {len(day.left)} leave, "
                f"alerts {_alerts(day.today)} -> {_alerts(day.new)}"
            )

    opened = Lake(Path(settings.lake.path))
    opened.hours()
    verdicts = read_labels(Path(settings.mart.path))
    found = backtest(opened, since_ms, until_ms, settings, tried, verdicts, top, on_day)
    if as_json:
        print_json(
            asdict(found)
            | {
                "alerts_per_day": {"today": found.load("today"), "new": found.load("new")},
                "precision": {"today": found.precision("today"), "new": found.precision("new")},
            }
        )
        return
    _show(found)


def _show(found: "Backtest") -> None:
    from pipelines.cli.table import print_table

    print_table(
        ["setting", "in force", "new"],
        [[name, str(old), str(new)] for name, (old, new) in found.changed.items()],
    )
    print_table(
        ["day", "campaigns", "alerts", "held back", "precision", "enters", "leaves"],
        [
            [
                _day(day),
                f"{day.today.campaigns} -> {day.new.campaigns}",
                f"{_alerts(day.today)} -> {_alerts(day.new)}",
                f"{day.today.held} -> {day.new.held}",
                f"{_share(day.today.precision)} -> {_share(day.new.precision)}",
                _some(day.entered),
                _some(day.left),
            ]
            for day in found.days
        ],
        wide=[5, 6],
    )
    print(
        f"alerts per day {_rate(found.load('today'))} -> {_rate(found.load('new'))}; precision against labels "
        f"{_share(found.precision('today'))} -> {_share(found.precision('new'))}"
    )


def _day(day: "Day") -> str:
    return f"{datetime.fromtimestamp((day.as_of_ms - 1) / 1000, UTC):%Y-%m-%d}"


def _alerts(side: "Side") -> int:
    """A resolution asks nobody to look."""
    return side.opened + side.worse


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _some(subjects: "list[tuple[str, str]]") -> str:
    shown = ", ".join(subject for _, subject in subjects[:3])
    return shown + (f" and {len(subjects) - 3} more" if len(subjects) > 3 else "")
