"""Real receivers on loopback: an HTTP server that fails, hangs and forgets to answer, and an SMTP server."""

import asyncio
import email
import email.policy
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behaviour = Callable[[], str]
"""What to do with a request: `ok`; `500`, `429` (refused, nothing kept); `lost` (kept, then the connection is
cut without an answer); `late` (kept, answered after the sender's patience); `cut` (nothing kept,
connection cut).
"""


@dataclass
class Arrival:
    """One POST."""

    path: str
    headers: dict[str, str]
    body: bytes
    done: str


@dataclass
class HttpReceiver:
    """Keeps what arrives. acted: keys acted upon, once each, as a receiver does that honours webhook-id."""

    behaviour: Behaviour = lambda: "ok"
    late_seconds: float = 0.5
    arrivals: list[Arrival] = field(default_factory=list)
    acted: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self.lock:
            done = self.behaviour()
            kept = done in ("ok", "lost", "late")
            self.arrivals.append(
                Arrival(handler.path, {k.lower(): v for k, v in handler.headers.items()}, body, done)
            )
            key = handler.headers.get("webhook-id")
            if kept and key is not None and not self.acted[handler.path][key]:
                self.acted[handler.path][key] += 1
        if done == "late":
            time.sleep(self.late_seconds)
        if done in ("lost", "cut"):
            handler.close_connection = True
            handler.connection.close()
            return
        status = {"ok": 202, "late": 202}.get(done) or int(done)
        handler.send_response(status)
        if status == 429:
            handler.send_header("Retry-After", "0")
        if 300 <= status < 400:
            handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok")


@contextmanager
def http_receiver(behaviour: Behaviour | None = None, late_seconds: float = 0.5) -> Iterator[HttpReceiver]:
    """A receiver for the time of a with statement."""
    receiver = HttpReceiver(behaviour or (lambda: "ok"), late_seconds)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            try:
                receiver.take(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the sender has lost patience

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def unreliable(seed: int, **weights: float) -> Behaviour:
    """Draws behaviours with the given weights; what is left is `ok`."""
    draw = random.Random(seed)
    names = [name.lstrip("_") for name in weights]
    shares = list(weights.values())
    return lambda: draw.choices([*names, "ok"], [*shares, 1 - sum(shares)])[0]


@dataclass
class SmtpReceiver:
    """Speaks enough SMTP for smtplib. codes: answers to the next RCPT commands (250 when used up)."""

    mails: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    cut_after_data: int = 0
    port: int = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(text: str) -> None:
            writer.write(text.encode() + b"\r\n")

        say("220 test")
        try:
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb in (b"EHLO", b"HELO"):
                    say("250 test")
                elif verb == b"RCPT":
                    say(f"{self.codes.pop(0) if self.codes else 250} rcpt")
                elif verb == b"DATA":
                    say("354 go on")
                    body = b""
                    while (part := await reader.readline()) != b".\r\n":
                        if not part:
                            return
                        body += part[1:] if part.startswith(b"..") else part
                    self.raw.append(body)
                    parsed = email.message_from_bytes(body, policy=email.policy.default)
                    assert isinstance(parsed, EmailMessage)
                    self.mails.append(parsed)
                    if self.cut_after_data:
                        self.cut_after_data -= 1
                        return
                    say("250 kept")
                elif verb == b"QUIT":
                    say("221 bye")
                    return
                else:
                    say("250 ok")
                await writer.drain()
        except (ConnectionResetError, BrokenPipeError):
            return
        finally:
            writer.close()


@contextmanager
def smtp_receiver() -> Iterator[SmtpReceiver]:
    """A receiver for the time of a with statement."""
    receiver = SmtpReceiver()
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(receiver.talk, "127.0.0.1", 0))
    receiver.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def stop() -> None:
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)
        loop.stop()

    try:
        yield receiver
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop)
        thread.join()
        loop.close()
