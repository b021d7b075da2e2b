"""The files of `infra/` that start Dagster in production agree with the code, with each other and their formats.

With dagster-postgres (`make production`; or name another environment's programs in SCARECROW_BIN) and the programs of
Postgres, the webserver and the daemon are started as the unit starts them, and a run goes through a real database.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.settings import load_settings
from tests.rank.world import small_world

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
BIN = Path(os.environ.get("SCARECROW_BIN", str(ROOT / ".venv" / "bin")))


def pins(lock: Path) -> dict[str, str]:
    """Versions by package. Fails where one has no hash or names an address."""
    text = lock.read_text()
    assert "://" not in re.sub(r"#.*", "", text)
    found = dict(re.findall(r"^([a-z0-9._-]+)==(\S+) \\\n    --hash=sha256:", text, re.MULTILINE))
    assert len(found) == len(re.findall(r"^\S+==", text, re.MULTILINE))
    return found


def test_the_lock_of_production_differs_only_where_postgres_needs_it() -> None:
    usual, production = pins(ROOT / "requirements.lock"), pins(INFRA / "requirements-postgres.lock")
    assert {"dagster-postgres", "psycopg2-binary"} <= set(production)
    other = {name for name, version in production.items() if usual.get(name) != version}
    assert all(name.startswith("dagster") or name == "psycopg2-binary" for name in other), other
    assert "pytest" not in production


def test_one_machine_has_the_rules_of_production_without_postgres(tmp_path: Path) -> None:
    """`make ui` as a newcomer types it, up to the start of Dagster."""
    home = tmp_path / "home"
    arguments = ["make", "--old-file=.venv/.installed", "ui", "BIN=true #", f"DAGSTER_HOME={home}"]
    subprocess.run(arguments, cwd=ROOT, capture_output=True, timeout=60, check=True)
    production = yaml.safe_load((INFRA / "dagster.yaml").read_text())
    assert production.pop("storage")
    assert yaml.safe_load((home / "dagster.yaml").read_text()) == production
    assert production["telemetry"] == production["nux"] == {"enabled": False}


def refused(compose: Path) -> str:
    """What the schema of the Compose Specification finds wrong in a file; nothing when it fits."""
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(compose)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout if done.returncode else ""


@pytest.mark.parametrize("name", ["compose.yaml", "compose.dagster.yaml"])
def test_compose_files_fit_the_specification(name: str, tmp_path: Path) -> None:
    assert refused(INFRA / name) == ""
    text = (INFRA / name).read_text()
    for right, wrong in (
        ("healthcheck:", "health_check:"),
        ("interval: 5s", "interval: [5]"),
        ('"127.0.0.1:', "{address: 127.0.0.1} #"),
    ):
        assert right in text
        (tmp_path / name).write_text(text.replace(right, wrong))
        assert refused(tmp_path / name), f"{wrong} went through"


def composed() -> Mapping[str, Any]:
    return yaml.safe_load((INFRA / "compose.dagster.yaml").read_text())  # type: ignore[no-any-return]


def test_the_compose_file_names_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (INFRA / "compose.dagster.yaml").read_text()
    for variable in re.findall(r"\$\{([^}]*)\}", text):
        assert ":?" in variable or ":-" in variable, f"${{{variable}}} is empty without a word"
    services = composed()["services"]
    assert set(services) == {"postgres", "webserver", "daemon"}
    volumes = {v.partition(":")[0] for s in services.values() for v in s["volumes"]}
    assert volumes == set(composed()["volumes"])
    daemon = services["daemon"]
    for copied in re.findall(r"COPY (.*) \S+$", daemon["build"]["dockerfile_inline"], re.MULTILINE):
        for name in copied.split():
            assert (ROOT / name).exists(), name
    needed = set(re.findall(r"\{env: (\w+)\}", (INFRA / "dagster.yaml").read_text()))
    assert needed <= set(daemon["environment"])
    for name in (n for n in daemon["environment"] if n.startswith("SCARECROW_") and n != "SCARECROW_BIN"):
        monkeypatch.setenv(name, "2026-01-01" if name.endswith("DAY") else "a value that is long enough")
        load_settings(None, {})  # raises for a name that is no setting
    assert {s["command"][0] for n, s in services.items() if n != "postgres"} == {"infra/dagster-service"}
    assert os.access(INFRA / "dagster-service", os.X_OK)


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("NOT LOOKED AT: systemd-analyze is not installed")
    unit = (INFRA / "scarecrow-dagster@.service").read_text()
    assert "/opt/scarecrow/infra/dagster-service %i" in unit
    copy = tmp_path / "scarecrow-dagster@.service"
    copy.write_text(unit.replace("/opt/scarecrow", str(ROOT)))
    (tmp_path / "scarecrow-dagster@daemon.service").symlink_to(copy.name)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "scarecrow-dagster@daemon.service")],
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "notice"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, [line for line in done.stderr.splitlines() if "scarecrow" in line]) == (0, [])


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def program_of_postgres(name: str) -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")) or [
        Path(p) for p in [shutil.which(name)] if p
    ]
    if not found:
        pytest.skip(f"NOT LOOKED AT: Postgres is not installed ({name} is missing)")
    return found[-1]


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A server of its own; environment of dagster.yaml."""
    if not list(BIN.parent.glob("lib/python*/site-packages/dagster_postgres")):
        pytest.skip(f"NOT LOOKED AT: dagster-postgres is not installed beside {BIN} (make production)")
    initdb, server = program_of_postgres("initdb"), program_of_postgres("postgres")
    home = tmp_path / "pg"
    home.mkdir()
    (home / "password").write_text("not a secret")
    user = "postgres" if os.getuid() == 0 else None  # it refuses to be run by root
    if user is not None:
        shutil.chown(home, user)
        shutil.chown(home / "password", user)
        for folder in [tmp_path, *tmp_path.parents][:-2]:
            folder.chmod(folder.stat().st_mode | 0o011)
    subprocess.run(
        [
            *(initdb, "-D", home / "data", "-U", "dagster"),
            *("--auth=scram-sha-256", "--pwfile", home / "password"),
        ],
        user=user, cwd=home, capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    port = str(free_port())
    process = subprocess.Popen(
        [
            *(server, "-D", home / "data", "-p", port, "-k", home),
            *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"),
        ],
        user=user, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    environment = {
        "DAGSTER_PG_HOST": "127.0.0.1", "DAGSTER_PG_PORT": port, "DAGSTER_PG_USERNAME": "dagster",
        "DAGSTER_PG_PASSWORD": "not a secret", "DAGSTER_PG_DB": "postgres",
    }  # fmt: skip
    try:
        yield environment
    finally:
        process.terminate()
        process.wait(60)


def ask(port: int, query: str, **variables: object) -> dict[str, Any]:
    """What the webserver answers; {} while it does not."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)["data"]
            return found
    except OSError:
        return {}


LAUNCH = """mutation launch($selector: JobOrPipelineSelector!) {
  launchPipelineExecution(executionParams: {selector: $selector, mode: "default"}) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
STATUS = "query status($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
RANKINGS = """{ runsOrError(filter: {pipelineName: "rank_day"}) {
  ... on Runs { results { status tags { key value } } } } }"""
WAIT_SECONDS = 300


@pytest.mark.timeout(1200)
def test_a_run_goes_through_webserver_daemon_and_postgres(tmp_path: Path, postgres: dict[str, str]) -> None:
    """A compaction, queued by the webserver and started by the daemon; then a ranking that a sensor asks for."""
    port = free_port()
    home = tmp_path / "home"
    home.mkdir()
    shutil.copyfile(INFRA / "dagster.yaml", home / "dagster.yaml")
    environment = {
        **os.environ, **postgres, "DAGSTER_HOME": str(home), "DAGSTER_PORT": str(port), "SCARECROW_BIN": str(BIN),
        "SCARECROW_LAKE__PATH": str(tmp_path / "lake"), "SCARECROW_MART__PATH": str(tmp_path / "mart.duckdb"),
    }  # fmt: skip
    shutil.copytree(small_world()[1].path, tmp_path / "lake")
    logs = tmp_path / "log"
    with logs.open("wb") as log:
        started = [
            subprocess.Popen(
                [INFRA / "dagster-service", part],
                env=environment,
                stdout=log,
                stderr=log,
                cwd=tmp_path,
                start_new_session=True,
            )
            for part in ("webserver", "daemon")
        ]
        try:
            selector = {
                "repositoryLocationName": "dagster_project.definitions",
                "repositoryName": "__repository__", "pipelineName": "compact_lake",
            }  # fmt: skip
            deadline = time.monotonic() + WAIT_SECONDS
            launched: dict[str, Any] = {}
            while not launched and time.monotonic() < deadline:
                time.sleep(1)
                assert [p.poll() for p in started] == [None, None], logs.read_text()[-3000:]
                launched = ask(port, LAUNCH, selector=selector)
            assert launched["launchPipelineExecution"]["__typename"] == "LaunchRunSuccess", launched
            run = launched["launchPipelineExecution"]["run"]["runId"]
            status = ""
            while status not in ("SUCCESS", "FAILURE") and time.monotonic() < deadline:
                time.sleep(1)
                status = ask(port, STATUS, id=run)["runOrError"]["status"]
            assert status == "SUCCESS", logs.read_text()[-3000:]
            ranked: list[dict[str, str]] = []
            while not ranked and time.monotonic() < deadline + WAIT_SECONDS:
                time.sleep(2)
                found = ask(port, RANKINGS)["runsOrError"]["results"]
                assert all(r["status"] != "FAILURE" for r in found), logs.read_text()[-3000:]
                ranked = [r for r in found if r["status"] == "SUCCESS"]
            assert {"key": "dagster/sensor_name", "value": "new_lake_version"} in ranked[-1]["tags"]
            assert (tmp_path / "mart.duckdb").exists()
        finally:
            for process in started:
                process.send_signal(signal.SIGINT)
            for process in started:
                process.wait(90)
                with suppress(ProcessLookupError):  # a code server may outlive who started it
                    os.killpg(process.pid, signal.SIGKILL)
    assert not list(home.rglob("*.db"))  # nothing fell back to SQLite
