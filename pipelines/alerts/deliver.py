"""Delivery: every message that waits, channel by channel, until its receiver has it or the tries are used up.

At least once: the try is noted before and the outcome after; whoever dies between has the message sent again
under the same key. A receiver that is down costs three messages' tries and then waits for the next run,
without holding up the others. Messages on one subject arrive in order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from pipelines.alerts.channels.base import Channel, Delivery, Refused, TryAgain
from pipelines.alerts.outbox import Message, Outbox
from pipelines.alerts.rules import DAY_MS

_DOWN_AFTER = 3
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True)
class Patience:
    """attempts: tries of one message in one run. backoff_seconds: mean of the first pause, doubled each time.

    give_up_days: age at which a message is dropped. clock: epoch ms. sleep: seconds. jitter: uniform in [0,
    1).
    """

    attempts: int
    backoff_seconds: float
    give_up_days: float
    clock: Callable[[], int]
    sleep: Callable[[float], None]
    jitter: Callable[[], float]


@dataclass
class Delivered:
    """What became of a channel's messages in one run. said: the last complaint, if any."""

    channel: str
    sent: int = 0
    waiting: int = 0
    given_up: int = 0
    tries: int = 0
    said: list[str] = field(default_factory=list)


def deliver(outbox: Outbox, channels: Sequence[Channel], patience: Patience) -> list[Delivered]:
    """Sends what waits. Failures of receivers are in the result; nothing is raised for them."""
    return [_channel(outbox, channel, patience) for channel in channels]


def _channel(outbox: Outbox, channel: Channel, patience: Patience) -> Delivered:
    result = Delivered(channel.name)
    behind: set[str] = set()
    failed_in_row = 0
    for message in outbox.waiting(channel.name):
        if failed_in_row >= _DOWN_AFTER or message.uid in behind:
            result.waiting += 1
            continue
        try:
            said = _attempts(outbox, channel, message, patience, result)
        except (TryAgain, Refused) as error:
            failed_in_row += 1
            _note(result, str(error))
            now_ms = patience.clock()
            if now_ms - message.created_ms > patience.give_up_days * DAY_MS:
                outbox.give_up(message.key, now_ms, str(error))
                result.given_up += 1
            else:
                outbox.failed(message.key, str(error))
                behind.add(message.uid)
                result.waiting += 1
        else:
            failed_in_row = 0
            outbox.sent(message.key, patience.clock(), said)
            result.sent += 1
            if said:
                _note(result, said)
    return result


def _attempts(
    outbox: Outbox, channel: Channel, message: Message, patience: Patience, result: Delivered
) -> str | None:
    tried = message.attempts

    def once() -> str | None:
        nonlocal tried
        outbox.begin(message.key)
        tried += 1
        result.tries += 1
        return channel.send(
            message.notice, Delivery(message.key, tried > 1, message.created_ms, patience.clock())
        )

    retrying = Retrying(
        stop=stop_after_attempt(patience.attempts),
        wait=lambda state: _pause(state, patience),
        retry=retry_if_exception_type(TryAgain),
        sleep=patience.sleep,
        reraise=True,
    )
    return retrying(once)


def _pause(state: RetryCallState, patience: Patience) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, TryAgain) and error.after_seconds is not None:
        return error.after_seconds + patience.backoff_seconds * patience.jitter()
    mean = patience.backoff_seconds * 2.0 ** (state.attempt_number - 1)
    return float(min(_LONGEST_PAUSE, mean * (0.5 + patience.jitter())))


def _note(result: Delivered, said: str) -> None:
    if said not in result.said and len(result.said) < 5:
        result.said.append(said)
