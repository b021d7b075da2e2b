"""Addresses and settings: what is wrong is told in one sentence, and no secret is ever repeated."""

from pathlib import Path

import pytest

from pipelines.errors import UsageError
from pipelines.ingest.kafka import load_kafka_settings
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
        ({"SASL_USRNAME": "hush"}, "did you mean SCARECROW_KAFKA_SASL_USERNAME"),
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
        ({"SECURITY_PROTOCOL": "hush"}, "SCARECROW_KAFKA_SECURITY_PROTOCOL does not fit"),
        ({"STALL_SECONDS": "hush"}, "SCARECROW_KAFKA_STALL_SECONDS does not fit"),
        ({"TLS_CA_FILE": "/hush"}, "SCARECROW_KAFKA_TLS_CA_FILE does not fit"),
    ],
)
def test_wrong_settings(environment: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        load_kafka_settings({f"SCARECROW_KAFKA_{name}": value for name, value in environment.items()})
    assert "hush" not in str(caught.value)


def test_a_certificate_goes_with_its_key(tmp_path: Path) -> None:
    pem = tmp_path / "c.pem"
    pem.touch()
    with pytest.raises(UsageError, match="go together"):
        load_kafka_settings({"SCARECROW_KAFKA_TLS_CERTIFICATE_FILE": str(pem)})
