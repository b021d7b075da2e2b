"""Signals are caught while there is something to finish, and are what they were afterwards."""

import os
import signal

import pytest

from pipelines.cli.app import run
from pipelines.produce import Produced
from pipelines.stopping import Stop

BOTH = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", BOTH)
def test_a_signal_stops_and_is_what_it_was_afterwards(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in BOTH]
    with Stop().on_signals() as stop:
        os.kill(os.getpid(), number)
        assert stop.event.wait(60)
    assert [signal.getsignal(each) for each in BOTH] == before
    assert not Stop().event.is_set()


def test_produce_ends_in_order_and_leaves_signals_as_they_were(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [signal.getsignal(each) for each in BOTH]

    class Broker:
        def topic(self, name: str) -> None:
            assert name == "calls"

    def send(
        files: object, address: object, settings: object, replay: object, tell: object, is_over: object
    ) -> Produced:
        assert callable(is_over)
        assert not is_over()
        os.kill(os.getpid(), signal.SIGTERM)
        assert is_over()
        return Produced(3, 300)

    monkeypatch.setattr("pipelines.ingest.kafka.admin.shared_admin", lambda settings, servers: Broker())
    monkeypatch.setattr("pipelines.produce.produce", send)
    assert run(["produce", "log.ndjson", "--to", "kafka://127.0.0.1:9/calls"]) == 0
    assert "3 records" in capsys.readouterr().out
    assert [signal.getsignal(each) for each in BOTH] == before
