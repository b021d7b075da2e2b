"""How a dry run is shown."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

from pipelines.cli.table import print_json, print_table
from pipelines.ingest.dry_run import Look
from schemas.request import FIELDS

_CELLS: Final = {
    "prompt": "A first ingest fits its prompt map to the prompts.",
    "embedding": "A first ingest fits its prompt map to prompt_embedding.",
    "": "No request carries a prompt or an embedding: accounts are ranked by metadata alone, with low confidence.",
}
_OTHERS: Final = ", and of other lengths, which will be rejected once the map is fitted to the commonest"


def _moment(ms: int | None) -> str:
    return "-" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def show(found: Look, as_json: bool) -> None:
    """Print what a dry run found."""
    if as_json:
        print_json(asdict(found))
        return
    rows = []
    for field in FIELDS:
        share = found.fields[field.name] / found.valid if found.valid else 0.0
        need = "required" if field.required or field.name == "prompt" else ""
        rows.append([field.name, "missing" if share == 0 else f"{share:.0%}", need, field.meaning])
    print_table(["field", "found", "need", "meaning"], rows, right=[1], wide=[3])
    lines = [
        "",
        f"{found.records:,} records read as {found.log_format}: {found.valid:,} valid of {found.accounts:,} accounts, "
        f"{sum(found.rejects.values()):,} would be rejected, {found.skipped:,} are no call.",
        f"Event times from {_moment(found.first_event_ms)} to {_moment(found.last_event_ms)} UTC.",
    ]
    if found.looks_like != found.log_format:
        lines.append(f"The lines look like {found.looks_like}: try --format {found.looks_like}.")
    lines.append(_CELLS[found.cells_of])
    if found.embeddings:
        lengths = list(found.embeddings)
        lines.append(f"Embeddings of {lengths[0]} numbers" + (_OTHERS if len(lengths) > 1 else "") + ".")
    lines += [f"Rejected: {count:,} x {why}" for why, count in found.rejects.items()]
    if found.unavailable:
        lines.append(f"Missing fields: {', '.join(found.missing)}.")
        lines.append(f"Unavailable evidence: {', '.join(found.unavailable)}.")
    else:
        lines.append("All evidence is available.")
    lines.append("Nothing was written.")
    print("\n".join(lines))
