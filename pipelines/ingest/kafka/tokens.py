"""Access tokens for SASL OAUTHBEARER: from a token endpoint (client-credentials grant, RFC 6749 section 4.4)
or a file.

Here: fetching and keeping a token until shortly before it expires, for both clients. Not here: checking
tokens, which is the broker's business; the payload is read without verification, for its expiry only.
"""

import base64
import binascii
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable

import orjson
from kafka.net.sasl.oauth import AbstractTokenProvider

from pipelines.errors import ScarecrowError
from pipelines.ingest.kafka.errors import KafkaUnavailable
from pipelines.ingest.kafka.settings import KafkaSettings

_MARGIN_SECONDS = 30.0
_ASK_SECONDS = 10.0
_SHORTEST_SECONDS = 5.0


class TokenSource(AbstractTokenProvider):  # type: ignore[misc]  # kafka-python is untyped
    """One token for all connections of a process, renewed 30 s before it expires. Thread-safe."""

    def __init__(self, settings: KafkaSettings, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._expires = 0.0

    def token(self) -> str:
        """A valid token (kafka-python's hook)."""
        return self.token_and_expiry()[0]

    def token_and_expiry(self) -> tuple[str, float]:
        """A valid token and its expiry in epoch seconds. Raises KafkaUnavailable when none can be had."""
        with self._lock:
            if self._clock() > self._expires - _MARGIN_SECONDS:
                self._token, self._expires = self._fetch()
            return self._token, self._expires

    def for_librdkafka(self, _config: str) -> tuple[str, float]:
        """librdkafka's hook."""
        return self.token_and_expiry()

    def _fetch(self) -> tuple[str, float]:
        path = self._settings.oauth_token_file
        if path is not None:
            try:
                token = path.read_text().strip()
            except OSError as error:
                raise KafkaUnavailable(
                    f"The token file {path} cannot be read ({error.strerror}); restore it."
                ) from None
            return token, self._expiry(token, None)
        return self._ask()

    def _ask(self) -> tuple[str, float]:
        settings = self._settings
        url, secret = settings.oauth_token_url, settings.oauth_client_secret
        if url is None or secret is None or settings.oauth_client_id is None:
            raise ScarecrowError("OAUTHBEARER has no token endpoint; set SCARECROW_KAFKA_OAUTH_TOKEN_URL.")
        if not url.startswith(("https://", "http://")):
            raise ScarecrowError("SCARECROW_KAFKA_OAUTH_TOKEN_URL is no http(s) address; correct it.")
        form = {"grant_type": "client_credentials"} | (
            {"scope": settings.oauth_scope} if settings.oauth_scope else {}
        )
        pair = ":".join(
            urllib.parse.quote_plus(s) for s in (settings.oauth_client_id, secret.get_secret_value())
        )
        request = urllib.request.Request(  # noqa: S310  # the scheme was checked
            url,
            data=urllib.parse.urlencode(form).encode(),
            headers={
                "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
                "Accept": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=_ASK_SECONDS) as response:  # noqa: S310
                answer = orjson.loads(response.read(1 << 20))
            token = str(answer["access_token"])
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
            said = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else type(error).__name__
            raise KafkaUnavailable(
                f"The token endpoint {url} gave no token ({said}); check it and"
                " SCARECROW_KAFKA_OAUTH_CLIENT_SECRET."
            ) from None
        return token, self._expiry(token, answer.get("expires_in"))

    def _expiry(self, token: str, expires_in: object) -> float:
        now = self._clock()
        if isinstance(expires_in, int | float):
            return max(now + float(expires_in), now + _SHORTEST_SECONDS)
        try:
            body = token.split(".")[1]
            return float(orjson.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["exp"])
        except (IndexError, binascii.Error, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return now + 300.0  # an opaque token: ask again within five minutes
