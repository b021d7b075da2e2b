"""E-mail by SMTP: plain text only, so that nothing in it can act.

Message-ID is made of the idempotency key: a mail that arrives twice is one for the mail store and its reader.
"""

import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from pipelines.alerts.channels.base import Delivery, Refused, TryAgain
from pipelines.alerts.notice import Alert, Notice
from pipelines.alerts.text import headline, lines
from pipelines.errors import UsageError
from pipelines.settings import EmailSettings


def mail(notice: Notice, key: str, name: str, sender: str, to: list[str], created_ms: int) -> EmailMessage:
    """The mail. Mails on one subject form one thread."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = f"[{name}] {headline(notice)}"
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Date"] = format_datetime(datetime.fromtimestamp(created_ms // 1000, UTC))
    message["Message-ID"] = f"<{key}@{name}.invalid>"
    message["References"] = f"<{notice.uid}@{name}.invalid>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Scarecrow-Key"] = key
    if isinstance(notice, Alert):
        message["X-Scarecrow-Event"] = notice.event
    message.set_content("\n".join([headline(notice), "", *lines(notice)]) + "\n", cte="quoted-printable")
    return message


class Email:
    """One list of addresses behind one SMTP server."""

    name = "email"
    takes_digests = True

    def __init__(self, settings: EmailSettings, installation: str, timeout_seconds: float) -> None:
        if not settings.sender or not settings.to:
            raise UsageError("alerts.email.host needs alerts.email.sender and alerts.email.to; set both.")
        if (settings.user is None) != (settings.password is None):
            raise UsageError("alerts.email.user and alerts.email.password go together; set both.")
        self._settings = settings
        self._sender = settings.sender
        self._to = [address.strip() for address in settings.to.split(",") if address.strip()]
        if any(c in address for address in (self._sender, *self._to) for c in "\r\n"):
            raise UsageError(
                "alerts.email.sender and alerts.email.to are addresses of one line; correct them."
            )
        self._installation = installation
        self._timeout = timeout_seconds

    def send(self, notice: Notice, delivery: Delivery) -> str | None:
        """Hands the mail to the server; the remark names how many addresses it would not take."""
        message = mail(notice, delivery.key, self._installation, self._sender, self._to, delivery.created_ms)
        host = self._settings.host or ""
        try:
            with self._connected(host) as server:
                if self._settings.user is not None and self._settings.password is not None:
                    server.login(self._settings.user, self._settings.password.get_secret_value())
                turned_down = server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise _failure(host, min(codes, default=550)) from None
        except smtplib.SMTPResponseException as error:
            raise _failure(host, error.smtp_code) from None
        except ssl.SSLCertVerificationError:
            raise Refused(f"The mail server {host} shows no valid certificate; check its name.") from None
        except smtplib.SMTPNotSupportedError:
            raise Refused(
                f"The mail server {host} cannot do what alerts.email.security and user ask for; correct them."
            ) from None
        except (OSError, smtplib.SMTPException) as error:
            raise TryAgain(f"The mail server {host} cannot be reached ({type(error).__name__}).") from None
        return f"{len(turned_down)} of {len(self._to)} addresses were refused" if turned_down else None

    def _connected(self, host: str) -> smtplib.SMTP:
        settings = self._settings
        if settings.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, settings.port, timeout=self._timeout, context=context)
        server = smtplib.SMTP(host, settings.port, timeout=self._timeout)
        if settings.security == "starttls":
            try:
                server.starttls(context=ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server

    def close(self) -> None:
        """Every mail has its own connection."""


def _failure(host: str, code: int) -> TryAgain | Refused:
    # RFC 5321: 4yz asks to come back, 5yz is final.
    said = f"The mail server {host} answered {code}"
    return (
        TryAgain(f"{said}.") if 400 <= code < 500 else Refused(f"{said}; check sender, addresses and login.")
    )
