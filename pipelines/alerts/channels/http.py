"""One POST, and what its outcome means. Addresses are secrets (a webhook's address is its password): errors
name the host only. Redirects are not followed, for they would carry the message elsewhere.
"""

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from typing import IO
from urllib.parse import urlsplit

from pydantic import SecretStr

from pipelines.alerts.channels.base import Refused, TryAgain
from pipelines.errors import UsageError

_AGAIN = {408, 425, 429}
_LONGEST_WAIT = 60.0


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Leaves the redirect to be an error."""


_opener = urllib.request.build_opener(_Stay)


class Endpoint:
    """An address to post to. Raises UsageError, without showing it, for what is no http(s) address."""

    def __init__(self, setting: str, url: SecretStr, timeout_seconds: float) -> None:
        self._url = url
        self._timeout = timeout_seconds
        try:
            parts = urlsplit(url.get_secret_value())
            self.host = parts.hostname or ""
            usable = parts.scheme in ("http", "https") and bool(self.host) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise UsageError(f"The setting {setting} is no http(s) address; correct it.")

    def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Returns when the receiver has said 2xx. Raises TryAgain or Refused."""
        request = urllib.request.Request(  # noqa: S310  # the scheme was checked
            self._url.get_secret_value(),
            data=body,
            method="POST",
            headers={"User-Agent": "scarecrow", **headers},
        )
        try:
            with _opener.open(request, timeout=self._timeout) as response:
                response.read(1 << 16)
        except urllib.error.HTTPError as error:
            error.close()
            said = f"{self.host} answered HTTP {error.code}"
            if error.code in _AGAIN or error.code >= 500:
                raise TryAgain(f"{said}.", _asked_wait(error.headers.get("Retry-After"))) from None
            hint = (
                "redirects are not followed"
                if 300 <= error.code < 400
                else "check the address and its rights"
            )
            raise Refused(f"{said}; {hint}.") from None
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise Refused(f"{self.host} shows no valid certificate; check the address.") from None
            raise TryAgain(f"{self.host} cannot be reached ({_plain(reason)}).") from None


def _plain(reason: object) -> str:
    return "timed out" if isinstance(reason, TimeoutError) else type(reason).__name__


def _asked_wait(value: str | None) -> float | None:
    if value is None or not value.isascii() or not value.isdigit():
        return None  # a date is allowed too; then our own pause does
    return min(float(value), _LONGEST_WAIT)
