"""Throw-away certificates, users and a token issuer for brokers with TLS and SASL listeners.

Here: what a test or a demonstration needs to open secured listeners, made with `openssl` when asked for. Not
here: anything to protect real data with; keys live a few days, unencrypted, in the cluster's data folder.
"""

import base64
import json
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.kafka.jars import required_tool

DAYS = 7
ISSUER = "scarecrow-test-issuer"
AUDIENCE = "kafka"


def _openssl(folder: Path, *words: str, data: bytes | None = None) -> bytes:
    program = required_tool("openssl", "install OpenSSL to make test certificates")
    done = subprocess.run([program, *words], cwd=folder, input=data, capture_output=True, check=True)
    return done.stdout


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True)
class TokenIssuer:
    """Signs access tokens (RS256) that the broker checks against `jwks`: a stand-in identity provider."""

    key: Path
    jwks: Path

    def token(self, subject: str, now: float, seconds: int = 300) -> str:
        """A signed JWT for `subject`, valid from `now` (epoch seconds) on."""
        head = {"alg": "RS256", "typ": "JWT", "kid": "test"}
        claims = {"sub": subject, "iss": ISSUER, "aud": AUDIENCE, "iat": int(now), "exp": int(now) + seconds}
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in (head, claims))
        signature = _openssl(self.key.parent, "dgst", "-sha256", "-sign", self.key.name, data=signed.encode())
        return f"{signed}.{_base64url(signature)}"


@dataclass(frozen=True)
class Security:
    """What secured listeners need: a folder of PEM files, users with passwords, and a token issuer.

    The folder holds ca.pem; server.pem (key and certificate), client.pem, client.key; the broker asks TLS
    clients of the SSL listener for a certificate of this CA. Names are valid for localhost and 127.0.0.1.
    """

    folder: Path
    users: Mapping[str, str]
    issuer: TokenIssuer

    @property
    def ca(self) -> Path:
        """The certificate authority that clients have to trust."""
        return self.folder / "ca.pem"

    @property
    def client_certificate(self) -> Path:
        """A client's certificate chain."""
        return self.folder / "client.pem"

    @property
    def client_key(self) -> Path:
        """The key of `client_certificate`."""
        return self.folder / "client.key"


def _certificate(folder: Path, name: str, extension: str) -> None:
    _openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
             "-subj", f"/CN={name}")  # fmt: skip
    (folder / f"{name}.ext").write_text(extension)
    _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem",
             "-CAkey", "ca.key", "-CAcreateserial", "-days", str(DAYS),
             "-extfile", f"{name}.ext", "-out", f"{name}.pem")  # fmt: skip


def make_security(folder: Path, users: Mapping[str, str]) -> Security:
    """Makes everything of `Security` in `folder`, or reads what an earlier call made there."""
    issuer = TokenIssuer(folder / "issuer.key", folder / "jwks.json")
    made = Security(folder, dict(users), issuer)
    if issuer.jwks.exists():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
             "-days", str(DAYS), "-subj", "/CN=scarecrow test authority")  # fmt: skip
    _certificate(folder, "server", "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    _certificate(folder, "client", "extendedKeyUsage=clientAuth\n")
    # Kafka's PEM key store wants key and certificate in one file.
    pem = (folder / "server.key").read_text() + (folder / "server.pem").read_text()
    (folder / "server-store.pem").write_text(pem)
    _openssl(folder, "genrsa", "-out", "issuer.key", "2048")
    modulus = (
        _openssl(folder, "rsa", "-in", "issuer.key", "-noout", "-modulus").decode().strip().partition("=")[2]
    )
    public = {
        "kty": "RSA",
        "kid": "test",
        "use": "sig",
        "alg": "RS256",
        "n": _base64url(bytes.fromhex(modulus)),
        "e": "AQAB",
    }
    issuer.jwks.write_text(json.dumps({"keys": [public]}))
    return made


def random_password() -> str:
    """A password for one test run."""
    return secrets.token_urlsafe(12)
