"""What a channel is, and the two ways in which it can fail."""

from dataclasses import dataclass
from typing import Protocol

from pipelines.alerts.notice import Notice
from pipelines.errors import ScarecrowError


class TryAgain(ScarecrowError):  # it says what to do
    """The receiver did not take it now: worth another try. after_seconds: what the receiver asked for."""

    def __init__(self, message: str, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class Refused(ScarecrowError):
    """The receiver said no: the same message at once would be refused again."""


@dataclass(frozen=True)
class Delivery:
    """One try. key: idempotency key, the same in every try. is_repeat: an earlier try may have arrived."""

    key: str
    is_repeat: bool
    created_ms: int
    now_ms: int


class Channel(Protocol):
    """A receiver. `name` is part of the idempotency key and must never change for a receiver."""

    name: str
    takes_digests: bool

    def send(self, notice: Notice, delivery: Delivery) -> str | None:
        """Hand over one notice; a remark for the operator, if there is one. Raises TryAgain or Refused."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
