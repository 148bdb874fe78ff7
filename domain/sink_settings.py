"""The settings of the operator's sinks; see settings.py."""

from typing import Any, Literal

from pydantic import BaseModel, Field, SecretStr

OWN = "STRUCTURED_PROMPT_"


def own(name: str, default: Any, description: str, **rules: Any) -> Any:
    """A setting of ours."""
    return Field(default=default, alias=OWN + name, description=description, **rules)


class SinkSettings(BaseModel):
    """Bounds of a batch, and where the sinks write that are not an engine of the line. Each sink reads its own."""

    sink_rows: int = own("SINK_ROWS", 10_000, "Rows a sink writes at once, at most.", ge=1)
    sink_mb: int = own("SINK_MB", 8, "Mebibytes of values a sink writes at once, at most.", ge=1, le=256)
    sink_interval_s: float = own("SINK_INTERVAL_S", 1.0, "Seconds a sink waits for more rows.", gt=0, le=3600)
    sink_answers: Literal["consented", "all", "none"] = own(
        "SINK_ANSWERS",
        "consented",
        "Whose answers (`output`) all sinks but ClickHouse carry: those of tenants created with "
        "--store-answers, of all, of none.",
    )
    sink_withhold: str = own(
        "SINK_WITHHOLD",
        "",
        "Fields that sinks leave out, commas between: output, subject, metadata, tags, api_key_id, batch_id, data; "
        "`s3:tags` for one sink alone.",
    )
    sink_redact: str = own(
        "SINK_REDACT",
        "",
        "Personal data that sinks replace in what is left: email, phone, card, iban, ip, ssn, secret; `kafka:email` "
        "for one sink alone.",
    )
    sink_postgres_url: SecretStr | None = own(
        "SINK_POSTGRES_URL", None, "Sink `postgres`: postgresql://user:password@host:port/name."
    )
    sink_s3_bucket: str | None = own("SINK_S3_BUCKET", None, "Sink `s3` (extra s3): the bucket.")
    sink_s3_prefix: str = own(
        "SINK_S3_PREFIX", "", "Sink `s3`: what every key begins with.", pattern="^[A-Za-z0-9._/=-]*$"
    )
    sink_s3_format: Literal["parquet", "jsonl"] = own(
        "SINK_S3_FORMAT", "parquet", "Sink `s3`: Parquet (extra parquet), or JSON lines under gzip."
    )
    sink_s3_endpoint: str | None = own(
        "SINK_S3_ENDPOINT", None, "Sink `s3`: http(s)://host:port of a store that is not AWS."
    )
    sink_s3_region: str | None = own("SINK_S3_REGION", None, "Sink `s3`: region of the bucket.")
    sink_s3_access_key_id: str | None = own(
        "SINK_S3_ACCESS_KEY_ID", None, "Sink `s3`: access key; without it the usual chain of AWS (environment, role)."
    )
    sink_s3_secret_access_key: SecretStr | None = own(
        "SINK_S3_SECRET_ACCESS_KEY", None, "Sink `s3`: the secret of the access key."
    )
    sink_bigquery_dataset: str | None = own(
        "SINK_BIGQUERY_DATASET",
        None,
        "Sink `bigquery` (extra bigquery): `project.dataset`.",
        pattern=r"^[A-Za-z0-9:.-]*[A-Za-z0-9]\.[A-Za-z0-9_]+$",
    )
    sink_bigquery_credentials: SecretStr | None = own(
        "SINK_BIGQUERY_CREDENTIALS",
        None,
        "Sink `bigquery`: the JSON of a service account's key; without it Application Default Credentials.",
    )
    sink_bigquery_endpoint: str = own(
        "SINK_BIGQUERY_ENDPOINT",
        "https://bigquery.googleapis.com",
        "Sink `bigquery`: where tables are made. One with http:// is a server for tests: it gets no credentials.",
    )
    sink_bigquery_write_endpoint: str | None = own(
        "SINK_BIGQUERY_WRITE_ENDPOINT", None, "Sink `bigquery`: host:port of the Storage Write API, if not Google's."
    )
    sink_sheets_spreadsheet: str | None = own(
        "SINK_SHEETS_SPREADSHEET",
        None,
        "Sink `sheets` (extra sheets): the spreadsheet's id.",
        pattern="^[A-Za-z0-9_-]+$",
    )
    sink_sheets_tab: str = own("SINK_SHEETS_TAB", "results", "Sink `sheets`: the tab; it is made.", pattern="^[^'!:]+$")
    sink_sheets_credentials: SecretStr | None = own(
        "SINK_SHEETS_CREDENTIALS",
        None,
        "Sink `sheets`: the JSON of a service account's key; without it Application Default Credentials.",
    )
    sink_sheets_endpoint: str = own(
        "SINK_SHEETS_ENDPOINT",
        "https://sheets.googleapis.com",
        "Sink `sheets`: where the API is. One with http:// is a server for tests: it gets no credentials.",
    )
    sink_snowflake_account: str | None = own(
        "SINK_SNOWFLAKE_ACCOUNT", None, "Sink `snowflake` (extra snowflake): the account, as `organisation-account`."
    )
    sink_snowflake_user: str | None = own("SINK_SNOWFLAKE_USER", None, "Sink `snowflake`: the user.")
    sink_snowflake_private_key: SecretStr | None = own(
        "SINK_SNOWFLAKE_PRIVATE_KEY", None, "Sink `snowflake`: PEM of the user's private key, without a passphrase."
    )
    sink_snowflake_password: SecretStr | None = own(
        "SINK_SNOWFLAKE_PASSWORD", None, "Sink `snowflake`: a programmatic access token, or a password, without a key."
    )
    sink_snowflake_database: str | None = own("SINK_SNOWFLAKE_DATABASE", None, "Sink `snowflake`: the database.")
    sink_snowflake_schema: str = own("SINK_SNOWFLAKE_SCHEMA", "STRUCTURED_PROMPT", "Sink `snowflake`: the schema.")
    sink_snowflake_warehouse: str | None = own(
        "SINK_SNOWFLAKE_WAREHOUSE", None, "Sink `snowflake`: the warehouse; without it the user's own."
    )
    sink_snowflake_role: str | None = own(
        "SINK_SNOWFLAKE_ROLE", None, "Sink `snowflake`: the role; without it the user's own."
    )
    sink_snowflake_endpoint: str | None = own(
        "SINK_SNOWFLAKE_ENDPOINT", None, "Sink `snowflake`: http://host:port of a server for tests; it gets no secret."
    )
    sink_kafka: str | None = own(
        "SINK_KAFKA_BOOTSTRAP_SERVERS", None, "Sink `kafka`: host:port of the other cluster's brokers."
    )
    sink_kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = own(
        "SINK_KAFKA_SECURITY_PROTOCOL", "PLAINTEXT", "How to speak to the other cluster."
    )
    sink_kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = own(
        "SINK_KAFKA_SASL_MECHANISM", None, "SASL mechanism at the other cluster."
    )
    sink_kafka_sasl_username: str | None = own("SINK_KAFKA_SASL_USERNAME", None, "SASL user at the other cluster.")
    sink_kafka_sasl_password: SecretStr | None = own(
        "SINK_KAFKA_SASL_PASSWORD", None, "SASL password at the other cluster."
    )
    sink_kafka_sasl_token_url: str | None = own(
        "SINK_KAFKA_SASL_TOKEN_URL", None, "With OAUTHBEARER at the other cluster: the token endpoint (OIDC)."
    )
    sink_kafka_sasl_scope: str | None = own(
        "SINK_KAFKA_SASL_SCOPE", None, "With OAUTHBEARER at the other cluster: the scope to ask for."
    )
    sink_kafka_ssl_cafile: str | None = own(
        "SINK_KAFKA_SSL_CAFILE", None, "CA certificates (PEM) of the other cluster."
    )
    sink_kafka_ssl_certfile: str | None = own("SINK_KAFKA_SSL_CERTFILE", None, "Client certificate for it.")
    sink_kafka_ssl_keyfile: str | None = own("SINK_KAFKA_SSL_KEYFILE", None, "Client key for it.")
    sink_kafka_topic_prefix: str = own(
        "SINK_KAFKA_TOPIC_PREFIX", "", "Put before every topic at the other cluster.", pattern="^[A-Za-z0-9._-]*$"
    )
