"""How to reach Kafka: names, meanings and consistency of the settings below `kafka`, every secret behind SecretStr.

Not here: where values come from (`pipelines.settings`), and client options made of them, the one place where
secrets are revealed (`pipelines.ingest.kafka.clients`). This module imports no Kafka client.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FilePath, SecretStr, model_validator


class KafkaSettings(BaseModel):
    """How to reach brokers and how to read. Immutable; equal settings are equal and hash alike."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="protocol of the brokers' listener"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(
        default=None, description="how to authenticate on a SASL listener"
    )
    sasl_username: str | None = Field(default=None, description="user of PLAIN and SCRAM")
    sasl_password: SecretStr | None = Field(default=None, description="password of PLAIN and SCRAM")
    oauth_token_url: str | None = Field(
        default=None, description="token endpoint for the client-credentials grant"
    )
    oauth_client_id: str | None = Field(default=None, description="client id at the token endpoint")
    oauth_client_secret: SecretStr | None = Field(
        default=None, description="client secret at the token endpoint"
    )
    oauth_scope: str | None = Field(default=None, description="scope asked for at the token endpoint")
    oauth_token_file: Path | None = Field(
        default=None, description="file that always holds a valid JWT, instead of a token endpoint"
    )
    tls_ca_file: FilePath | None = Field(
        default=None, description="PEM of the authorities; the system's if not set"
    )
    tls_certificate_file: FilePath | None = Field(default=None, description="PEM of the client's certificate")
    tls_key_file: FilePath | None = Field(default=None, description="PEM of the client's key")
    tls_key_password: SecretStr | None = Field(default=None, description="password of the client's key")
    tls_check_hostname: bool = Field(default=True, description="the broker's certificate must name the host")
    group: str = Field(
        default="scarecrow", min_length=1, description="consumer group for advice and scale-out"
    )
    stall_seconds: float = Field(
        default=30, gt=0, le=600, description="wait for a silent broker before giving up"
    )
    session_seconds: float = Field(
        default=10, ge=6, le=600, description="after this silence a follower's partitions go to the others"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.security_protocol.startswith("SASL") != (self.sasl_mechanism is not None):
            raise ValueError(
                "sasl_mechanism goes with security_protocol SASL_PLAINTEXT or SASL_SSL, and only with them"
            )
        if self.sasl_mechanism == "OAUTHBEARER":
            endpoint = (self.oauth_token_url, self.oauth_client_id, self.oauth_client_secret)
            if self.oauth_token_file is None and None in endpoint:
                raise ValueError(
                    "OAUTHBEARER needs oauth_token_file, or oauth_token_url with oauth_client_id and"
                    " oauth_client_secret"
                )
        elif self.sasl_mechanism is not None and (self.sasl_username is None or self.sasl_password is None):
            raise ValueError(f"{self.sasl_mechanism} needs sasl_username and sasl_password")
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file go together")
        return self
