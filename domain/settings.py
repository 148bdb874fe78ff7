"""Every setting, once. Pure: `load` reads a mapping that main passes in. docs/settings.md is generated from here."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Literal

from pydantic import ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator

from domain.door_settings import DoorSettings, listed
from domain.errors import InvalidSettings
from domain.export_settings import ExportSettings
from domain.outgoing.addresses import Network, parse_networks
from domain.outgoing.places import Places
from domain.sink_settings import OWN, SinkSettings
from domain.sink_settings import own as _own
from topics.codec import is_tenant_name

SCHEMES = {
    "database_url": ("postgresql://", "postgres://"),
    "database_read_url": ("postgresql://", "postgres://"),
    "redis_url": ("redis://", "rediss://", "unix://"),
    "clickhouse_url": ("http://", "https://"),
    "sink_postgres_url": ("postgresql://", "postgres://"),
    "sink_s3_endpoint": ("http://", "https://"),
    "sink_bigquery_endpoint": ("http://", "https://"),
    "sink_sheets_endpoint": ("http://", "https://"),
    "export_s3_endpoint": ("http://", "https://"),
    "sink_snowflake_endpoint": ("http://",),
    "simulated_provider_url": ("http://", "https://"),
    "otel_endpoint": ("http://", "https://"),
    "sentry_dsn": ("http://", "https://"),
}
"""How the addresses may begin."""


class Settings(DoorSettings, SinkSettings, ExportSettings):
    """Read once by each main.py. Any secret may come from a file: NAME_FILE holds the path."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True)

    kafka: str = Field(alias="KAFKA_BOOTSTRAP_SERVERS", description="host:port of the brokers, separated by commas.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", alias="KAFKA_SECURITY_PROTOCOL", description="How to speak to the brokers."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(
        default=None, alias="KAFKA_SASL_MECHANISM", description="SASL mechanism, with SASL_PLAINTEXT or SASL_SSL."
    )
    kafka_sasl_username: str | None = Field(default=None, alias="KAFKA_SASL_USERNAME", description="SASL user.")
    kafka_sasl_password: SecretStr | None = Field(
        default=None, alias="KAFKA_SASL_PASSWORD", description="SASL password."
    )
    kafka_sasl_token_url: str | None = Field(
        default=None, alias="KAFKA_SASL_TOKEN_URL", description="With OAUTHBEARER: the token endpoint (OIDC)."
    )
    kafka_sasl_scope: str | None = Field(
        default=None, alias="KAFKA_SASL_SCOPE", description="With OAUTHBEARER: the scope to ask for."
    )
    kafka_ssl_cafile: str | None = Field(
        default=None, alias="KAFKA_SSL_CAFILE", description="CA certificates (PEM) of the brokers."
    )
    kafka_ssl_certfile: str | None = Field(default=None, alias="KAFKA_SSL_CERTFILE", description="Client certificate.")
    kafka_ssl_keyfile: str | None = Field(default=None, alias="KAFKA_SSL_KEYFILE", description="Client key.")
    database_url: SecretStr = Field(
        alias="DATABASE_URL", description="PostgreSQL, the authority: postgresql://user:password@host:port/name."
    )
    database_read_url: SecretStr | None = Field(
        default=None, alias="DATABASE_READ_URL", description="A replica for reads that may be a little old."
    )
    redis_url: SecretStr = Field(alias="REDIS_URL", description="Redis, the accelerator: redis://host:port/0.")
    clickhouse_url: SecretStr = Field(
        alias="CLICKHOUSE_URL", description="ClickHouse: http://user:password@host:port/structured_prompt."
    )

    topic_prefix: str = _own("TOPIC_PREFIX", "", "Put before every topic and consumer group.", pattern="^[a-z0-9._-]*$")
    replication: int = _own("REPLICATION_FACTOR", 3, "Replicas of every topic.", ge=1, le=9)
    models: str | None = _own("MODELS", None, "Path of the model catalogue (YAML); the shipped one when absent.")
    litellm: bool = _own(
        "LITELLM",
        False,
        "Reach models beyond the catalogue through LiteLLM (extra litellm; 190 MB and seconds to import).",
    )
    templates: str | None = _own("TEMPLATES", None, "A directory of template files beside the five shipped ones.")
    blocklist: str | None = _own(
        "BLOCKLIST", None, "A YAML file of names and regular expressions: prompts that hold one are `content_blocked`."
    )
    content_filter: str | None = _own(
        "CONTENT_FILTER",
        None,
        "`package.module:factory` of a content filter of your own (domain/ports/safety.py), in place of the blocklist.",
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
    )
    simulated_provider_url: str | None = _own(
        "SIMULATED_PROVIDER_URL", None, "Use only the simulated provider at this URL, which ends in /v1."
    )
    key_pepper: SecretStr = _own(
        "KEY_PEPPER",
        SecretStr(""),
        "Secret that API keys are hashed with; the same for all processes, >= 32 characters.",
    )
    requests_per_minute: int = _own("REQUESTS_PER_MINUTE", 600_000, "A tenant's limit unless it has its own.", ge=1)
    burst: int = _own("BURST", 100_000, "Requests a tenant may send at once unless it has its own.", ge=1)
    lane_in_flight: int = _own(
        "LANE_IN_FLIGHT", 2_000, "Calls of a tenant in flight in one lane; the rest waits its turn.", ge=1
    )
    tenant_topics: str = _own(
        "TENANT_TOPICS", "", "Tenants with a topic prompt.requests.TENANT of their own, separated by commas."
    )
    operators: str = _own(
        "OPERATORS", "", "Tenants whose API keys may operate the service over HTTP (/v1/sinks), separated by commas."
    )
    worker_name: str | None = _own(
        "WORKER_NAME", None, "Static name of this worker in its consumer group: a quick restart moves no partitions."
    )
    infer_slots: int = _own("INFER_SLOTS", 2_000, "Calls in flight of one infer worker.", ge=1, le=100_000)
    database_pool: int = _own("DATABASE_POOL", 4, "Connections of one process to PostgreSQL.", ge=1, le=100)
    re_asks: int = _own("RE_ASKS", 2, "How often an answer that breaks its schema is asked again.", ge=0, le=5)
    repair_syntax: bool = _own("REPAIR_SYNTAX", True, "Put the punctuation of an answer right where it is not JSON.")
    escalate: bool = _own("ESCALATE", True, "Ask the next stronger model of an alias where asking again did not help.")
    max_attempts: int = _own("MAX_ATTEMPTS", 5, "Provider attempts of a run, all kinds together.", ge=1, le=20)
    call_timeout_s: float = _own("CALL_TIMEOUT_S", 60.0, "Seconds until a provider call is given up.", gt=0, le=3600)
    cache_ttl_s: int = _own("CACHE_TTL_S", 86_400, "Seconds an exact answer is kept.", ge=0)
    cache_memory_mb: int = _own("CACHE_MEMORY_MB", 32, "Memory of a worker for cached answers.", ge=0)
    webhook_allow: str = _own(
        "WEBHOOK_ALLOW",
        "",
        "Private networks that webhooks may be sent to: CIDRs separated by commas. Public addresses need none.",
    )
    fetch: str = _own(
        "FETCH",
        "",
        "Places that documents in requests are read from, separated by commas: `https://host/path/`, "
        "`https://*.example.com/`, `s3://bucket/prefix/{tenant}/` (extra s3). Nothing is read from elsewhere.",
    )
    fetch_allow: str = _own(
        "FETCH_ALLOW", "", "Private networks that these hosts may be in: CIDRs separated by commas."
    )
    fetch_max_mb: int = _own("FETCH_MAX_MB", 10, "MiB of all documents of a request together.", ge=1, le=100)
    fetch_memory_mb: int = _own(
        "FETCH_MEMORY_MB", 64, "Memory of a worker for documents; at least four times FETCH_MAX_MB is taken.", ge=1
    )
    sources: str | None = _own(
        "SOURCES", None, "A YAML file of topics and webhooks that become requests (docs/sources.md)."
    )
    embeddings: str | None = _own(
        "EMBEDDINGS",
        None,
        "What turns questions into vectors (semantic cache): `provider/model` of the catalogue's `embeddings`, "
        "`local/MODEL` (extra embeddings) or `none`; the first of the catalogue that can be called when absent.",
    )
    embeddings_timeout_s: float = _own(
        "EMBEDDINGS_TIMEOUT_S", 2.0, "Seconds until a call for vectors is given up; it counts as a miss.", gt=0, le=60
    )
    sink_rows: int = _own("SINK_ROWS", 10_000, "Rows a sink writes at once, at most.", ge=1)
    sink_mb: int = _own("SINK_MB", 8, "Mebibytes of values a sink writes at once, at most.", ge=1, le=256)
    sink_interval_s: float = _own("SINK_INTERVAL_S", 1.0, "Seconds a sink waits for more rows.", gt=0, le=60)
    deliveries_in_flight: int = _own(
        "DELIVERIES_IN_FLIGHT", 512, "Webhooks that one process of destinations sends at a time.", ge=8, le=10_000
    )
    deliveries_waiting: int = _own(
        "DELIVERIES_WAITING",
        100_000,
        "Deliveries that may wait for a destination that accepts nothing; the oldest beyond are given up.",
        ge=100,
        le=10_000_000,
    )
    delivery_days: int = _own(
        "DELIVERY_DAYS", 7, "Days a delivery and its attempts are kept; what still waits stays.", ge=4, le=365
    )
    audit_days: int = _own("AUDIT_DAYS", 400, "Days a row of the audit log is kept.", ge=30, le=36_500)
    drain_s: float = _own("DRAIN_S", 25.0, "Seconds a stopping worker finishes its calls.", gt=0, le=3600)
    metrics_host: str = _own("METRICS_HOST", "127.0.0.1", "Address of /healthz, /readyz and /metrics.")
    metrics_port: int = _own("METRICS_PORT", 9400, "Port of /healthz, /readyz and /metrics; 0 chooses one.", ge=0)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _own("LOG_LEVEL", "INFO", "Least severe log line.")
    log_format: Literal["json", "text"] = _own("LOG_FORMAT", "json", "json for machines, text for people.")
    otel_endpoint: str | None = Field(
        default=None, alias="OTEL_EXPORTER_OTLP_ENDPOINT", description="Traces go here over OTLP/HTTP; off when absent."
    )
    sentry_dsn: SecretStr | None = Field(
        default=None,
        alias="SENTRY_DSN",
        description="Faults are told there, without their data (extra sentry); off when absent.",
    )

    @field_validator("kafka", "sink_kafka")
    @classmethod
    def _brokers(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if "://" in value or not all(one.strip() and " " not in one.strip() for one in value.split(",")):
            raise ValueError("must be host:port, or several separated by commas")
        return value

    @field_validator(*SCHEMES)
    @classmethod
    def _address(cls, value: SecretStr | str | None, info: ValidationInfo) -> SecretStr | str | None:
        """The message leaves the address out: it may hold a password."""
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        starts = SCHEMES[info.field_name or ""]
        if text is not None and (not text.startswith(starts) or text in starts):
            raise ValueError(f"must be an address that starts with {' or '.join(starts)}")
        return value

    @field_validator("tenant_topics", "operators")
    @classmethod
    def _tenants(cls, value: str) -> str:
        for name in filter(None, value.split(",")):
            if not is_tenant_name(name.strip()):
                raise ValueError(f"{name.strip()!r} is no name of a tenant")
        return value

    @field_validator("webhook_allow", "fetch_allow")
    @classmethod
    def _networks(cls, value: str) -> str:
        parse_networks(value)
        return value

    @field_validator("fetch")
    @classmethod
    def _places(cls, value: str) -> str:
        Places.parse(value)
        return value

    @property
    def dsn(self) -> str | None:
        """Where faults are told."""
        return None if self.sentry_dsn is None else self.sentry_dsn.get_secret_value()

    @property
    def places(self) -> Places:
        return Places.parse(self.fetch)

    @property
    def fetch_networks(self) -> tuple[Network, ...]:
        return parse_networks(self.fetch_allow)

    @property
    def webhook_networks(self) -> tuple[Network, ...]:
        return parse_networks(self.webhook_allow)

    @property
    def tenants_with_topics(self) -> tuple[str, ...]:
        """In the order given, each once."""
        return listed(self.tenant_topics)

    @property
    def operating_tenants(self) -> tuple[str, ...]:
        """In the order given, each once."""
        return listed(self.operators)

    @property
    def cache_ttl(self) -> timedelta:
        return timedelta(seconds=self.cache_ttl_s)


def load(environ: Mapping[str, str], read_file: Callable[[str], str]) -> Settings:
    """Settings from environment variables. Raises InvalidSettings naming every problem at once."""
    values, problems = _values(environ, read_file)
    known = {field.alias for field in Settings.model_fields.values()}
    for name in sorted(values):
        if name.startswith(OWN) and name not in known:
            problems.append(f"{name}: no such setting; docs/settings.md lists them")
    try:
        settings = Settings.model_validate({name: text for name, text in values.items() if name in known and text})
    except ValidationError as error:
        problems += [f"{e['loc'][0]}: {_reason(e['type'], e['msg'])}" for e in error.errors()]
    if problems:
        raise InvalidSettings("these settings are wrong:\n  " + "\n  ".join(problems))
    return settings


def _values(environ: Mapping[str, str], read_file: Callable[[str], str]) -> tuple[dict[str, str], list[str]]:
    values = dict(environ)
    problems = []
    known = {field.alias for field in Settings.model_fields.values()}
    for name, path in environ.items():
        target = name.removesuffix("_FILE")
        if target == name or target not in known:
            continue
        values.pop(name)
        try:
            values[target] = read_file(path).strip()
        except OSError as error:
            problems.append(f"{name}: cannot read {path}: {error.strerror}")
    return values, problems


def _reason(kind: str, message: str) -> str:
    return "is required; see docs/settings.md" if kind == "missing" else message.removeprefix("Value error, ")
