"""Generic webhook: CloudEvents, signed as Standard Webhooks say, so that receivers can use its libraries.

Headers: webhook-id (the idempotency key, the same in every try), webhook-timestamp (seconds, of this try) and
webhook-signature, `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`.
"""

import base64
import binascii
import hashlib
import hmac

from pydantic import SecretStr

from pipelines.alerts.channels.base import Delivery
from pipelines.alerts.channels.cloudevents import CONTENT_TYPE, encoded, event
from pipelines.alerts.channels.http import Endpoint
from pipelines.alerts.notice import Notice
from pipelines.errors import UsageError

_PREFIX = "whsec_"


def signature(key: bytes, delivery_id: str, timestamp: int, body: bytes) -> str:
    """The webhook-signature header (Standard Webhooks 1.0)."""
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def signing_key(secret: SecretStr) -> bytes:
    """The key's bytes: base64 after `whsec_`, otherwise the text itself."""
    text = secret.get_secret_value()
    if not text.startswith(_PREFIX):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise UsageError(
            "The setting alerts.webhook.key has no base64 after whsec_; copy the key again."
        ) from None


class Webhook:
    """A receiver of CloudEvents."""

    name = "webhook"
    takes_digests = True

    def __init__(self, endpoint: Endpoint, key: SecretStr | None, installation: str) -> None:
        self._endpoint = endpoint
        self._key = None if key is None else signing_key(key)
        self._installation = installation

    def send(self, notice: Notice, delivery: Delivery) -> str | None:
        """Posts the event."""
        body = encoded(event(notice, delivery.key, self._installation))
        timestamp = delivery.now_ms // 1000
        headers = {
            "Content-Type": CONTENT_TYPE,
            "webhook-id": delivery.key,
            "webhook-timestamp": str(timestamp),
        }
        if self._key is not None:
            headers["webhook-signature"] = signature(self._key, delivery.key, timestamp, body)
        self._endpoint.post(body, headers)
        return None

    def close(self) -> None:
        """Nothing is kept open."""
