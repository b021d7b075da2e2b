"""`scarecrow ask`: the questions of sql/examples, or an analyst's own SQL, on a mart that is only read."""

from typing import Annotated

import typer

from pipelines.cli.context import settings_of


def ask_command(
    ctx: typer.Context,
    question: Annotated[
        str | None,
        typer.Argument(
            metavar="NUMBER|SQL", help="Without it, the questions are listed.", show_default=False
        ),
    ] = None,
    mart: Annotated[str | None, typer.Option(help="File of the mart.", show_default="mart.duckdb")] = None,
    top: Annotated[int, typer.Option(min=1, help="Rows of a table; JSON and CSV have all.")] = 50,
    show_sql: Annotated[bool, typer.Option("--sql", help="Show the SQL of a question, run nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV that a spreadsheet opens safely.")] = False,
) -> None:
    """Answers one of the ten questions that analysts ask, by its number, or any SQL over the relations of the mart.

    The mart is opened read-only, without access to other files; a ranking that is published meanwhile waits for nobody.

    Example: `scarecrow ask 2 --mart mart.duckdb`

    Example: `scarecrow ask "FROM explain_account('acct-0042')" --csv`
    """
    import duckdb

    from pipelines.cli.table import one_format, print_csv, print_json, print_table
    from pipelines.errors import UsageError
    from pipelines.mart.open import open_mart

    one_format(as_json, as_csv)
    asked = questions()
    if question is None:
        for place, (title, _) in asked.items():
            typer.echo(f"{place:2}  {title}")
        typer.echo("Next: scarecrow ask NUMBER --mart mart.duckdb (--sql shows how it is asked)")
        return
    number = int(question) if question.isdecimal() else None
    if number is not None and number not in asked:
        raise UsageError(f"there is no question {question}; choose 1 to {len(asked)}, or write SQL")
    query = question if number is None else asked[number][1]
    if show_sql:
        typer.echo(query.rstrip())
        return
    with open_mart(settings_of(ctx, mart__path=mart).mart.path) as opened:
        try:
            answered = opened.connection.execute(query)
            rows = answered.fetchall()
        except (duckdb.ProgrammingError, duckdb.PermissionException) as error:
            said = str(error).partition("\n")[0].rstrip(".!")
            raise UsageError(
                f"the mart cannot answer that ({said}); its relations are in schemas/RELATIONS.md"
            ) from error
        header = [str(column[0]) for column in answered.description or []]
    if as_json:
        print_json([dict(zip(header, row, strict=True)) for row in rows])
        return
    if as_csv:
        print_csv(header, rows)
        return
    if number is not None:
        typer.echo(asked[number][0])
    numeric = [i for i in range(len(header)) if rows and isinstance(rows[0][i], int | float)]
    print_table(header, [[_cell(value) for value in row] for row in rows[:top]], right=numeric)
    left_out = f", the first {top:,} shown" if len(rows) > top else ""
    typer.echo(f"{len(rows):,} rows{left_out}")


def questions() -> dict[int, tuple[str, str]]:
    """Question and SQL by number."""
    import sql

    found = {}
    for name in sql.listed("examples"):
        text = sql.load(name)
        title = text.partition("\n")[0].removeprefix("-- Question: ")
        found[int(name.removeprefix("examples/").partition("_")[0])] = (title, text)
    return found


def _cell(value: object) -> str:
    from datetime import datetime

    from pipelines.mart.words import instant

    if value is None:
        return ""
    if isinstance(value, list):
        return "; ".join(str(part) for part in value)
    return instant(value) if isinstance(value, datetime) else str(value)
