"""One real Apache Kafka for the whole session; without Java or Maven its tests skip, and one loud line says
so.
"""

import gc
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.kafka.cluster import make_cluster
from infra.kafka.jars import broker_jars
from pipelines.ingest.kafka.admin import close_shared_admins
from pipelines.ingest.kafka.consumers import close_idle_consumers
from tests.ingest.conftest import fitted
from tests.kafka.broker import Broker

__all__ = ["broker", "fitted"]

_NO_KAFKA = "no real Kafka: "
NOT_TRIED = "faults not tried: "
"""How a skip begins that the summary tells loudly."""


def _missing() -> str | None:
    if shutil.which("java") is None:
        return "`java` is not on PATH"
    if shutil.which("mvn") is None:
        try:
            broker_jars()
        except Exception as error:
            return str(error)
    if shutil.which("openssl") is None:
        return "`openssl` is not on PATH"
    return None


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A single node with plain, TLS and SASL listeners; users alice and mallory."""
    missing = _missing()
    if missing is not None:
        pytest.skip(_NO_KAFKA + missing)
    folder: Path = tmp_path_factory.mktemp("kafka")
    # The broker ends with this process even if that is killed.
    tied = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    cluster = make_cluster(folder, secured=True, users={"alice": "wonderland-7"}, prefixes=[tied])
    try:
        cluster.start()
        running = Broker(cluster)
        yield running
        running.admin.close()
        close_shared_admins()
        close_idle_consumers()
    finally:
        cluster.stop()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """kafka-python forgets sockets whose connection was refused; the collector finds them in any later test."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Faults by kind, and the loud line, whichever process ran or skipped."""
    _tell_faults(terminalreporter)
    for report in terminalreporter.stats.get("skipped", []):
        if isinstance(report.longrepr, tuple) and _NO_KAFKA in report.longrepr[2]:
            why = report.longrepr[2].partition(_NO_KAFKA)[2]
            terminalreporter.write_line(
                f"NOTHING WAS TESTED AGAINST A REAL KAFKA: {why}", red=True, bold=True
            )
            return


def _tell_faults(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get("skipped", []):
        if isinstance(report.longrepr, tuple) and NOT_TRIED in report.longrepr[2]:
            why = report.longrepr[2].partition(NOT_TRIED)[2]
            terminalreporter.write_line(f"FAULTS NOT TRIED: {why}", red=True, bold=True)
    faults: Counter[str] = Counter()
    refused = 0
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", []):
                if name == "faults":
                    faults.update(value)
                elif name == "refused":
                    refused += int(value)
    if faults:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items()))
        terminalreporter.write_line(
            f"fault run: {faults.total()} faults ({kinds}); the lake refused {refused} commits"
        )
