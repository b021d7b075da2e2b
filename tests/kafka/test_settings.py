"""Addresses and settings: what is wrong is told in one sentence, and no secret is ever repeated."""

import os
import pickle
from pathlib import Path

import pytest

from pipelines.cli.app import run
from pipelines.errors import UsageError
from pipelines.ingest.kafka import KafkaSource, load_kafka_settings
from pipelines.ingest.kafka.address import PartitionId, parse_address, parse_app_id
from pipelines.ingest.kafka.clients import bulk_options, python_options


@pytest.mark.parametrize(
    ("uri", "servers", "topic"),
    [
        ("kafka://localhost:9092/llm-requests", "localhost:9092", "llm-requests"),
        ("kafka://a,b:1/T.x_1", "a:9092,b:1", "T.x_1"),
        ("kafka://[::1]:9093/t", "[::1]:9093", "t"),
    ],
)
def test_addresses(uri: str, servers: str, topic: str) -> None:
    address = parse_address(uri)
    assert (address.servers, address.topic) == (servers, topic)
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "uri",
    [
        "kafka://host",
        "kafka://host/",
        "kafka:///t",
        "kafka://h:99999/t",
        "kafka://h/a b",
        "http://h/t",
        "kafka://h/.",
    ],
)
def test_wrong_addresses(uri: str) -> None:
    with pytest.raises(UsageError, match="write kafka://HOST:PORT/TOPIC"):
        parse_address(uri)


def test_credentials_in_an_address_are_refused_without_repeating_them() -> None:
    with pytest.raises(UsageError) as caught:
        parse_address("kafka://me:hush-hush@h:1/t")
    assert "hush" not in str(caught.value)
    assert "SCARECROW_KAFKA_SASL_PASSWORD" in str(caught.value)


def test_app_ids_go_both_ways() -> None:
    where = PartitionId("a.b-c_d", "0d6e-77", 12)
    assert where.app_id == "kafka:a.b-c_d:0d6e-77:12"
    assert parse_app_id(where.app_id) == where
    assert where.name == "a.b-c_d[12]"


def test_settings_from_the_environment() -> None:
    settings = load_kafka_settings(
        {
            "SCARECROW_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "SCARECROW_KAFKA__SASL_MECHANISM": "SCRAM-SHA-256",
            "SCARECROW_KAFKA_SASL_USERNAME": "alice",
            "SCARECROW_KAFKA_SASL_PASSWORD": "hush-hush",
            "SCARECROW_KAFKA_STALL_SECONDS": "5",
            "OTHER": "x",
        }
    )
    assert "hush" not in repr(settings) + str(settings) + settings.model_dump_json()
    bulk, python = bulk_options(settings, "h:1"), python_options(settings, "h:1")
    assert bulk["sasl.password"] == python["sasl_plain_password"] == "hush-hush"
    assert bulk["sasl.mechanism"] == python["sasl_mechanism"] == "SCRAM-SHA-256"
    assert python["request_timeout_ms"] == 5000


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (
            {"SASL_USRNAME": "hush"},
            r"SCARECROW_KAFKA_SASL_USRNAME\) is not a setting; did you mean kafka\.sasl_username",
        ),
        ({"SASL_MECHANISM": "PLAIN"}, "goes with security_protocol"),
        ({"SECURITY_PROTOCOL": "SASL_SSL"}, "goes with security_protocol"),
        (
            {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "PLAIN", "SASL_PASSWORD": "hush"},
            "PLAIN needs sasl_username and sasl_password",
        ),
        (
            {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "OAUTHBEARER", "OAUTH_CLIENT_SECRET": "hush"},
            "OAUTHBEARER needs",
        ),
        ({"SECURITY_PROTOCOL": "hush"}, r"SCARECROW_KAFKA_SECURITY_PROTOCOL\) does not fit"),
        ({"STALL_SECONDS": "hush"}, r"SCARECROW_KAFKA_STALL_SECONDS\) does not fit"),
        ({"TLS_CA_FILE": "/hush"}, r"SCARECROW_KAFKA_TLS_CA_FILE\) does not fit"),
    ],
)
def test_wrong_settings(environment: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        load_kafka_settings({f"SCARECROW_KAFKA_{name}": value for name, value in environment.items()})
    assert "hush" not in str(caught.value)


def test_settings_from_one_file_with_everything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("SCARECROW_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    named = tmp_path / "other.toml"
    named.write_text(
        "[ingest]\nslice_mib = 3\n[kafka]\nsecurity_protocol = 'SASL_SSL'\nsasl_mechanism = 'PLAIN'\n"
        "sasl_username = 'alice'\nsasl_password = 'hush-hush'\ngroup = 'from file'\n"
    )
    monkeypatch.setenv("SCARECROW_KAFKA_GROUP", "one underscore")
    assert load_kafka_settings(file=named).group == "one underscore"
    monkeypatch.setenv("SCARECROW_KAFKA__GROUP", "two")
    settings = load_kafka_settings(file=named)
    assert (settings.group, settings.sasl_username) == ("two", "alice")
    assert load_kafka_settings().sasl_username is None, "no such file is in force"
    assert run(["--settings", str(named), "settings"]) == 0
    shown = capsys.readouterr().out
    assert "hush" not in shown
    assert "(set)" in shown
    assert "environment SCARECROW_KAFKA__GROUP" in shown
    # A source that is opened again elsewhere asks the same file, and carries nothing of it.
    source = KafkaSource("kafka://h:1/t", settings_file=named)
    pickled = pickle.dumps(source)
    assert b"hush" not in pickled
    assert pickle.loads(pickled)._settings == settings


def test_what_a_container_platform_sets_is_no_setting() -> None:
    given = {"SCARECROW_KAFKA_PORT": "tcp://10.0.0.1:9092", "SCARECROW_KAFKA_SERVICE_HOST": "10.0.0.1"}
    assert load_kafka_settings(given) == load_kafka_settings({})


def test_a_certificate_goes_with_its_key(tmp_path: Path) -> None:
    pem = tmp_path / "c.pem"
    pem.touch()
    with pytest.raises(UsageError, match="go together"):
        load_kafka_settings({"SCARECROW_KAFKA_TLS_CERTIFICATE_FILE": str(pem)})
