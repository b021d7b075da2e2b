"""One typed settings object: flags over environment over a TOML file over defaults.

Belongs here: every setting of the product with its meaning, where each value came from, and the key of the
keyed hashes. Not here: flags themselves (`pipelines.cli`), and what detection makes of its bars
(`pipelines.detect.options`).

Environment names are SCARECROW_ and the path with two underscores: `ingest.workers` is
SCARECROW_INGEST__WORKERS. Kafka's may have one: SCARECROW_KAFKA_GROUP.
"""

import difflib
import hashlib
import json
import os
import re
import secrets
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from pipelines.detect.options import DEFAULT, Options
from pipelines.errors import ScarecrowError, UsageError
from pipelines.kafka_settings import KafkaSettings

SETTINGS_FILE = "scarecrow.toml"
PREFIX = "SCARECROW_"
_KAFKA = PREFIX + "KAFKA_"
# What a container platform sets for a service that is called scarecrow-kafka.
_SERVICE = re.compile(r"SERVICE_(HOST|PORT)|PORT($|_)")


class Section(BaseModel):
    """A group of settings. A name that is not one of them is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LakeSettings(Section):
    path: str = Field(default="lake", description="folder or object-store address of the lake")


class MartSettings(Section):
    path: str = Field(default="mart.duckdb", description="file of the mart")


class IngestSettings(Section):
    source: str | None = Field(
        default=None, description="what Dagster ingests every hour: files or kafka://HOST:PORT/TOPIC"
    )
    format: str = Field(default="native", description="format of the log, or a mapping file")
    runner: Literal["inprocess", "prism", "dask"] = Field(default="inprocess", description="Beam runner")
    workers: int = Field(default=0, ge=0, le=1024, description="worker processes; 0 is one per core")
    cycle_mib: int = Field(default=256, ge=1, description="MiB of input that one cycle plans and commits")
    slice_mib: int = Field(default=32, ge=1, description="MiB of input that one worker reads as one slice")
    dedup_horizon: int = Field(
        default=4_000_000,
        ge=0,
        description="events per source partition over which event_id is unique; 0 never looks",
    )
    cycle_seconds: float = Field(
        default=3,
        ge=0,
        le=3600,
        description="while following, seconds from one cycle to the next unless the source is far ahead",
    )

    def worker_count(self) -> int:
        """Worker processes, 0 resolved to one per core."""
        return self.workers or os.cpu_count() or 1


class DetectSettings(Section):
    """Bars of detection."""

    min_prompts: int = Field(
        default=DEFAULT.min_prompts,
        ge=4,
        description="distinct prompts below which an account is 'insufficient': in no campaign, without a p-value",
    )
    smallest_campaign: int = Field(
        default=DEFAULT.smallest_campaign, ge=4, description="accounts from which a group is a campaign"
    )
    shown_score: float = Field(
        default=DEFAULT.shown_score, description="score in nats from which a campaign is shown"
    )
    membership: float = Field(
        default=DEFAULT.membership,
        ge=0,
        lt=1,
        description="probability below which an account is no member of a campaign",
    )

    def options(self) -> Options:
        """As detection reads them."""
        return Options(**self.model_dump())


class RankSettings(Section):
    horizon_days: float = Field(default=14, gt=0, le=400, description="days before --as-of that are ranked")
    weights: dict[str, float] = Field(
        default_factory=dict, description="factor of an evidence family, instead of what labels made of it"
    )
    detect: DetectSettings = DetectSettings()


class PrivacySettings(Section):
    hash_key: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="secret of the keyed hashes, at least 16 characters; without it, a generated key file",
    )


class DagsterSettings(Section):
    first_day: str = Field(
        default="2026-01-01", pattern=r"^\d{4}-\d{2}-\d{2}$", description="first daily partition of Dagster"
    )
    shadow: str | None = Field(
        default=None, description="settings file of the shadow ranking; none without it"
    )


class SlackSettings(Section):
    url: SecretStr | None = Field(default=None, description="incoming webhook of a Slack channel")


class WebhookSettings(Section):
    url: SecretStr | None = Field(default=None, description="address that receives CloudEvents by POST")
    key: SecretStr | None = Field(
        default=None, min_length=16, description="HMAC key of the signature (`whsec_` and base64, or text)"
    )


class PagerDutySettings(Section):
    routing_key: SecretStr | None = Field(
        default=None, description="integration key of an Events API v2 service"
    )
    url: str = Field(default="https://events.pagerduty.com/v2/enqueue", description="Events API v2")


class EmailSettings(Section):
    host: str | None = Field(default=None, description="SMTP server")
    port: int = Field(default=587, ge=1, le=65535, description="port of the SMTP server")
    security: Literal["starttls", "tls", "none"] = Field(default="starttls", description="encryption of SMTP")
    user: str | None = Field(default=None, description="SMTP user, if the server asks for one")
    password: SecretStr | None = Field(default=None, description="SMTP password")
    sender: str | None = Field(default=None, description="address that alerts come from")
    to: str | None = Field(default=None, description="addresses that alerts go to, separated by commas")


class AlertSettings(Section):
    """When somebody is told, and by which channels. A channel without an address is off."""

    first_campaigns: int = Field(
        default=10, ge=0, le=1000, description="campaigns of the ranking that are told"
    )
    first_accounts: int = Field(
        default=10, ge=0, le=1000, description="accounts outside campaigns that are told"
    )
    min_score: float = Field(default=0.0, description="score in nats below which nobody is told")
    false_discovery_rate: float = Field(
        default=0.1, gt=0, le=1, description="share of what is told that may be ordinary (e-BH); 1 tells all"
    )
    family_nats: float = Field(default=0.1, ge=0, description="nats from which a family counts as one of two")
    worse_nats: float = Field(default=1.0, gt=0, description="rise of the score that is told again")
    worse_accounts: float = Field(default=1.5, gt=1, description="growth of a campaign that is told again")
    quiet_hours: float = Field(default=24, ge=0, description="hours without a second alert on one finding")
    resolve_after: int = Field(default=2, ge=1, description="rankings without a finding until it is resolved")
    per_day: int = Field(default=20, ge=0, description="alerts per day (UTC); what is over it waits")
    digest_hour: int | None = Field(default=7, ge=0, le=23, description="UTC hour of the daily digest")
    attempts: int = Field(default=5, ge=1, le=20, description="tries of one delivery within one run")
    timeout_seconds: float = Field(default=10, gt=0, le=120, description="wait for a receiver")
    backoff_seconds: float = Field(
        default=0.5, ge=0, le=60, description="mean of the first pause between tries"
    )
    give_up_days: float = Field(default=3, gt=0, description="days after which a delivery is given up")
    name: str = Field(
        default="scarecrow", pattern=r"^[a-z0-9.-]{1,63}$", description="name of this installation"
    )
    is_shadow: bool = Field(default=False, description="mark findings as experimental")
    slack: SlackSettings = SlackSettings()
    webhook: WebhookSettings = WebhookSettings()
    pagerduty: PagerDutySettings = PagerDutySettings()
    email: EmailSettings = EmailSettings()
    kafka: str | None = Field(default=None, description="topic of CloudEvents, kafka://HOST:PORT/TOPIC")
    ocsf: str | None = Field(
        default=None, description="file (JSON lines) or topic of OCSF 1.8 Detection Findings"
    )
    osprey: str | None = Field(default=None, description="Osprey's input topic, kafka://HOST:PORT/TOPIC")


class EnforceSettings(Section):
    """Scores in nats from which an action is proposed, and how it is taken back."""

    watch: float = Field(default=0.0, description="score from which: watch")
    verify_identity: float = Field(default=1.0, description="score from which: verify identity")
    rate_limit: float = Field(default=2.0, description="score from which: lower the rate limit")
    vary_outputs: float = Field(default=3.0, description="score from which: vary or watermark outputs")
    review: float = Field(default=4.0, description="score from which: a person reviews")
    hysteresis_nats: float = Field(default=0.5, ge=0, description="how far below its score an action is kept")
    hold_hours: float = Field(default=24, ge=0, description="hours for which an action is not lowered")
    expiry_hours: float = Field(default=72, gt=0, description="hours after which an action ends by itself")
    max_p: float = Field(
        default=0.05, gt=0, le=1, description="p-value above which an account's own score has no action"
    )
    membership: float = Field(
        default=0.5, ge=0, le=1, description="membership from which a campaign's action counts for an account"
    )
    rate_floor: int = Field(default=10, ge=1, description="calls per day below which no limit goes")
    usd_per_request: float = Field(
        default=0.01, gt=0, description="cost of a call, for gateways that budget in dollars"
    )
    is_dry_run: bool = Field(
        default=True, description="actions are proposals that a gateway must not carry out"
    )
    topic: str | None = Field(default=None, description="compacted topic, kafka://HOST:PORT/TOPIC")


class Settings(BaseSettings):
    """Everything that can be set. Built by `load_settings`; immutable."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=False
    )

    lake: LakeSettings = LakeSettings()
    mart: MartSettings = MartSettings()
    ingest: IngestSettings = IngestSettings()
    rank: RankSettings = RankSettings()
    privacy: PrivacySettings = PrivacySettings()
    alerts: AlertSettings = AlertSettings()
    enforce: EnforceSettings = EnforceSettings()
    dagster: DagsterSettings = DagsterSettings()
    kafka: KafkaSettings = KafkaSettings()

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is handed in: `load_settings` reads the sources, to know where a value came from."""
        return (init_settings,)

    def origin(self, name: str) -> str:
        """Where the value of a dotted name came from: flag, environment NAME, file PATH, or default."""
        return self._origins.get(name, "default")


@dataclass(frozen=True)
class SettingRow:
    """One setting as it is shown. value: never a secret; None when not set."""

    name: str
    value: object
    origin: str
    meaning: str
    is_secret: bool


def load_settings(file: Path | None = None, flags: Mapping[str, object] | None = None) -> Settings:
    """The settings in force.

    file: a TOML file; without it, SCARECROW_SETTINGS or `scarecrow.toml` of the working directory, if there.
    flags: dotted names and values from the command line; None means that the flag was not given.
    Raises UsageError for an unreadable file, a name that is no setting and a value that does not fit.
    """
    path = _settings_file(file)
    layers: list[_Layer] = []
    if path is not None:
        layers.append((lambda name: f"file {path}", _read_toml(path)))
    layers.append((lambda name: f"environment {_short(name)}", _read_short(os.environ)))
    layers.append((lambda name: f"environment {variable(name)}", _read_environment()))
    layers.append((lambda name: "flag", _nested(flags or {})))
    return _validated(layers)


_Layer = tuple[Callable[[str], str], dict[str, Any]]
"""Where a dotted name of a layer came from, and the layer."""


def _validated(layers: list[_Layer]) -> Settings:
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers:
        _merge(merged, layer)
        for name in _leaves(layer):
            origins[name] = origin(name)
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise UsageError(_sentence(error, origins)) from None
    settings._origins.update(origins)
    return settings


def variable(name: str) -> str:
    """The environment variable of a dotted name."""
    return PREFIX + name.replace(".", "__").upper()


def kafka_from(environment: Mapping[str, str]) -> KafkaSettings:
    """Kafka's settings of nothing but an environment. Raises UsageError as `load_settings` does."""
    return _validated([(lambda name: f"environment {_short(name)}", _read_short(environment))]).kafka


def setting_rows(settings: Settings) -> list[SettingRow]:
    """Every setting in order of declaration; of secrets only whether they are set."""
    return [_row(name, field, value, settings.origin(name)) for name, field, value in _fields(settings)]


def _row(name: str, field: FieldInfo, value: object, origin: str) -> SettingRow:
    is_secret = _is_secret(field)
    shown = ("(set)" if value is not None else None) if is_secret else value
    return SettingRow(name, shown, origin, field.description or "", is_secret)


def _open_values(settings: Settings) -> dict[str, Any]:
    """All settings but secrets and how brokers are reached."""
    return {
        name: value
        for name, field, value in _fields(settings)
        if not (_is_secret(field) or name.startswith("kafka."))
    }


def changed(before: Settings, after: Settings) -> dict[str, tuple[Any, Any]]:
    """Values before and after of the settings that differ, by name; secrets and how brokers are reached left out."""
    old, new = _open_values(before), _open_values(after)
    return {name: (value, new[name]) for name, value in old.items() if value != new[name]}


def settings_hash(settings: Settings) -> str:
    """16 hexadecimal digits over all settings but secrets and how brokers are reached."""
    text = json.dumps(_open_values(settings), sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def key_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the generated key is kept: $XDG_CONFIG_HOME/scarecrow/hash.key, by default below ~/.config."""
    home = environment.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "scarecrow" / "hash.key"


def hash_key(settings: Settings) -> bytes:
    """The 16 bytes that key every hash of prompts and identifiers: BLAKE2b of the given key or the key file.

    Without a given key, a random 128-bit one is generated once per user and kept with mode 0600. Raises
    ScarecrowError when it can be neither read nor written.
    """
    given = settings.privacy.hash_key
    text = given.get_secret_value() if given is not None else _generated_key(key_file())
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _generated_key(path: Path) -> str:
    # Written whole beside its place, then linked there: of several processes that start at once one link
    # succeeds, and nobody ever reads half a key.
    remedy = f"set {variable('privacy.hash_key')} instead"
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".hash.key.")  # O_EXCL, mode 0600
            try:
                with os.fdopen(descriptor, "w") as file:
                    file.write(secrets.token_hex(16) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                os.link(draft, path)
            except FileExistsError:
                pass
            finally:
                Path(draft).unlink()
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ScarecrowError(f"The key file {path} cannot be read or made ({error}); {remedy}.") from error
    if len(text) < 32:
        raise ScarecrowError(f"The key file {path} holds no key of 32 characters; restore it, or {remedy}.")
    return text


def _settings_file(file: Path | None) -> Path | None:
    named = file or (Path(os.environ[PREFIX + "SETTINGS"]) if os.environ.get(PREFIX + "SETTINGS") else None)
    if named is None:
        found = Path(SETTINGS_FILE)
        return found if found.is_file() else None
    if not named.is_file():
        raise UsageError(f"The settings file {named} does not exist; name another one with --settings.")
    return named


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return TomlConfigSettingsSource(Settings, toml_file=path)()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"The settings file {path} is not TOML ({error}); correct it.") from error
    except OSError as error:
        raise UsageError(
            f"The settings file {path} cannot be read ({error.strerror}); check its access."
        ) from error


def _read_environment() -> dict[str, Any]:
    try:
        return EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise UsageError(f"The environment has a setting that is not JSON ({error}); correct it.") from error


def _short(name: str) -> str:
    return _KAFKA + name.removeprefix("kafka.").upper()


def _read_short(environment: Mapping[str, str]) -> dict[str, Any]:
    """SCARECROW_KAFKA_GROUP for `kafka.group`, and SCARECROW_KAFKA__GROUP, which wins."""
    given: dict[str, str] = {}
    for variable_name in sorted(environment):
        name = variable_name.removeprefix(_KAFKA)
        if name != variable_name and not _SERVICE.match(name):
            given.setdefault(name.removeprefix("_").lower(), environment[variable_name])
    return {"kafka": given} if given else {}


def _nested(flags: Mapping[str, object]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in flags.items():
        if value is None:
            continue
        *parents, leaf = name.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return tree


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            _merge(below[key], value)
        else:
            below[key] = dict(value) if isinstance(value, dict) else value


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _fields(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, FieldInfo, Any]]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _fields(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field, value


def _is_secret(field: FieldInfo) -> bool:
    return field.annotation is SecretStr or SecretStr in get_args(field.annotation)


def _sentence(error: ValidationError, origins: Mapping[str, str]) -> str:
    """One sentence for the first error. The value is shown only of a known setting that is no secret."""
    first = error.errors(include_url=False)[0]
    known = {name: field for name, field, _ in _fields(Settings())}
    name = ".".join(str(part) for part in first["loc"])
    origin = origins.get(name) or next((o for n, o in origins.items() if n.startswith(name + ".")), "flag")
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else "`scarecrow settings` lists them."
        return f"{name} ({origin}) is not a setting; {hint}"
    field = known.get(name)
    # A password in the wrong one of Kafka's variables is a password all the same.
    is_shown = field is not None and not _is_secret(field) and not name.startswith("kafka.")
    value = f" = {str(first['input'])[:80]!r}" if is_shown else ""
    said = first["msg"].removeprefix("Value error, ")
    said = said if said[1:2].isupper() else said[:1].lower() + said[1:]
    return f"The setting {name}{value} ({origin}) does not fit: {said}."
