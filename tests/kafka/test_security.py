"""SASL and TLS against a broker that really asks for them, with both clients; secrets stay out of every
message.
"""

import base64
import http.server
import logging
import threading
import time
import urllib.parse
from collections.abc import Iterator

import orjson
import pytest

from pipelines.ingest.kafka import KafkaRefused, KafkaSettings, KafkaSource, KafkaUnavailable
from pipelines.ingest.kafka.tokens import TokenSource
from tests.kafka.broker import Broker, Lake
from tests.kafka.test_reading import values

PASSWORD = "wonderland-7"
CLIENT_SECRET = "client-hush-3"


def secured(broker: Broker, listener: str, **options: object) -> KafkaSettings:
    security = broker.cluster.security
    assert security is not None
    tls = {"tls_ca_file": security.ca} if listener.endswith("SSL") else {}
    return KafkaSettings.model_validate(
        {"security_protocol": listener, "stall_seconds": 8, **tls, **options}, strict=False
    )


def read_all(broker: Broker, listener: str, topic: str, settings: KafkaSettings) -> Lake:
    lake = Lake()
    source = KafkaSource(f"kafka://{broker.cluster.bootstrap(listener)}/{topic}", settings=settings)
    lake.drain(source)
    source.status(lake.committed)
    return lake


@pytest.fixture
def token_endpoint(broker: Broker) -> Iterator[str]:
    """An HTTP server that answers the client-credentials grant as an identity provider does."""
    security = broker.cluster.security
    assert security is not None
    issuer = security.issuer

    class Endpoint(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            wanted = "Basic " + base64.b64encode(f"scarecrow:{CLIENT_SECRET}".encode()).decode()
            is_allowed = self.headers["Authorization"] == wanted and form["grant_type"] == [
                "client_credentials"
            ]
            answer = {"access_token": issuer.token("alice", time.time()), "expires_in": 300}
            self.send_response(200 if is_allowed else 401)
            self.end_headers()
            self.wfile.write(orjson.dumps(answer if is_allowed else {"error": "invalid_client"}))

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/token"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("listener", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_user_and_password(broker: Broker, listener: str, mechanism: str) -> None:
    topic = broker.topic()
    broker.send(topic, values(20))
    settings = secured(
        broker, listener, sasl_mechanism=mechanism, sasl_username="alice", sasl_password=PASSWORD
    )
    assert read_all(broker, listener, topic, settings).values() == values(20)


def test_client_certificate(broker: Broker) -> None:
    topic = broker.topic()
    broker.send(topic, values(20))
    security = broker.cluster.security
    assert security is not None
    settings = secured(
        broker, "SSL", tls_certificate_file=security.client_certificate, tls_key_file=security.client_key
    )
    assert read_all(broker, "SSL", topic, settings).values() == values(20)


def test_oauthbearer_by_token_endpoint(broker: Broker, token_endpoint: str) -> None:
    topic = broker.topic()
    broker.send(topic, values(20))
    settings = secured(
        broker, "SASL_SSL", sasl_mechanism="OAUTHBEARER", oauth_token_url=token_endpoint,
        oauth_client_id="scarecrow", oauth_client_secret=CLIENT_SECRET,
    )  # fmt: skip
    assert read_all(broker, "SASL_SSL", topic, settings).values() == values(20)


def test_oauthbearer_by_file(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> None:
    topic = broker.topic()
    broker.send(topic, values(20))
    security = broker.cluster.security
    assert security is not None
    file = tmp_path_factory.mktemp("token") / "jwt"
    file.write_text(security.issuer.token("alice", time.time()) + "\n")
    settings = secured(broker, "SASL_PLAINTEXT", sasl_mechanism="OAUTHBEARER", oauth_token_file=file)
    assert read_all(broker, "SASL_PLAINTEXT", topic, settings).values() == values(20)


def test_tokens_are_kept_until_shortly_before_they_expire(broker: Broker, token_endpoint: str) -> None:
    now = [1_000_000.0]
    settings = secured(
        broker, "SASL_SSL", sasl_mechanism="OAUTHBEARER", oauth_token_url=token_endpoint,
        oauth_client_id="scarecrow", oauth_client_secret=CLIENT_SECRET,
    )  # fmt: skip
    tokens = TokenSource(settings, lambda: now[0])
    first, expires = tokens.token_and_expiry()
    assert expires == now[0] + 300
    now[0] += 200
    assert tokens.token() == first
    now[0] += 80
    assert tokens.token_and_expiry()[1] == now[0] + 300


def test_a_refused_client_secret_is_told_without_it(broker: Broker, token_endpoint: str) -> None:
    settings = secured(
        broker, "SASL_SSL", sasl_mechanism="OAUTHBEARER", oauth_token_url=token_endpoint,
        oauth_client_id="scarecrow", oauth_client_secret="wrong-hush-4",
    )  # fmt: skip
    with pytest.raises(KafkaUnavailable, match="gave no token \\(HTTP 401\\)") as caught:
        TokenSource(settings).token()
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_wrong_password_is_refused_at_once_and_never_shown(
    broker: Broker, mechanism: str, caplog: pytest.LogCaptureFixture
) -> None:
    topic = broker.topic()
    broker.send(topic, values(3))
    wrong = secured(
        broker,
        "SASL_PLAINTEXT",
        sasl_mechanism=mechanism,
        sasl_username="alice",
        sasl_password="wrong-hush-5",
    )
    address = f"kafka://{broker.cluster.bootstrap('SASL_PLAINTEXT')}/{topic}"
    began = time.monotonic()
    with caplog.at_level(logging.DEBUG), pytest.raises(KafkaRefused) as caught:
        KafkaSource(address, settings=wrong).plan(lambda app_id: None, 1000)
    assert time.monotonic() - began < 6
    # The bulk reader, too, gives up early instead of waiting for its patience to end.
    right = secured(
        broker, "SASL_PLAINTEXT", sasl_mechanism=mechanism, sasl_username="alice", sasl_password=PASSWORD
    )
    (part,) = KafkaSource(address, settings=right).plan(lambda app_id: None, 1000)
    with caplog.at_level(logging.DEBUG), pytest.raises(KafkaRefused):
        list(KafkaSource(address, settings=wrong).read(part))
    assert time.monotonic() - began < 12
    assert "hush" not in caplog.text + str(caught.value)
    assert PASSWORD not in caplog.text


def test_an_untrusted_broker_is_not_talked_to(
    broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Somebody else's authority: the client certificate is no authority for the broker's.
    security = broker.cluster.security
    assert security is not None
    settings = secured(
        broker,
        "SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_username="alice",
        sasl_password=PASSWORD,
        stall_seconds=2,
    ).model_copy(update={"tls_ca_file": security.client_certificate})
    source = KafkaSource(f"kafka://{broker.cluster.bootstrap('SASL_SSL')}/t", settings=settings)
    with pytest.raises(KafkaRefused, match="certificate"):
        source.plan(lambda app_id: None, 1000)
