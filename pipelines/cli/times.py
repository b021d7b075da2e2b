"""Times as people give them on a command line."""

from datetime import UTC, datetime

from pipelines.errors import UsageError


def parse_time(option: str, text: str) -> int:
    """Epoch milliseconds of an RFC 3339 time, a date, or epoch milliseconds. Without a zone: UTC."""
    if text.isdigit() and len(text) >= 11:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{option} {text} is not a time; write for example 2026-11-24T10:00:00Z, 2026-11-24 or epoch milliseconds"
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def parse_days(option: str, text: str) -> float:
    """Days of a duration such as 14d, 36h or 14."""
    number, scale = (text[:-1], 1 / 24) if text.endswith("h") else (text.removesuffix("d"), 1.0)
    try:
        days = float(number) * scale
    except ValueError as error:
        raise UsageError(f"{option} {text} is not a duration; write for example 14d or 36h") from error
    if not 0 < days <= 400:
        raise UsageError(f"{option} {text} is out of range; give more than 0 and at most 400 days")
    return days
