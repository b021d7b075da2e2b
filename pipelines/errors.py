"""Errors that a person reads. One sentence each: the thing, the value, the remedy."""


class ScarecrowError(Exception):
    """The work failed (exit code 1)."""


class UsageError(ScarecrowError):
    """The command was used wrongly (exit code 2)."""
