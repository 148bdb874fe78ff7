"""How to reach the brokers, from settings, for both clients: librdkafka (ours) and aiokafka (below Faust)."""

import ssl
from typing import Any

from domain.errors import InvalidSettings
from domain.settings import Settings

OURS = "KAFKA_"


def librdkafka(settings: Settings, prefix: str = OURS) -> dict[str, Any]:
    """Configuration of confluent-kafka clients. Raises InvalidSettings when credentials are missing.

    prefix: how the names of these settings begin, where they are of another cluster.
    """
    check(settings, prefix)
    config: dict[str, Any] = {
        "bootstrap.servers": settings.kafka,
        "security.protocol": settings.kafka_security_protocol.lower(),
        "ssl.ca.location": settings.kafka_ssl_cafile,
        "ssl.certificate.location": settings.kafka_ssl_certfile,
        "ssl.key.location": settings.kafka_ssl_keyfile,
        **_sasl(settings),
    }
    return {name: value for name, value in config.items() if value is not None}


def aiokafka(settings: Settings) -> dict[str, Any]:
    """Configuration of aiokafka's client. Raises InvalidSettings as `librdkafka` and `tls` do."""
    check(settings)
    user, password = credentials(settings)
    config = {
        "bootstrap_servers": settings.kafka,
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": tls(settings),
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "sasl_plain_username": user,
        "sasl_plain_password": password,
        "sasl_oauth_token_provider": tokens(settings),
    }
    return {name: value for name, value in config.items() if value is not None}


def _sasl(settings: Settings) -> dict[str, Any]:
    if not settings.kafka_security_protocol.startswith("SASL"):
        return {}
    user, password = credentials(settings)
    if settings.kafka_sasl_mechanism == "OAUTHBEARER":
        return {
            "sasl.mechanisms": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.client.id": user,
            "sasl.oauthbearer.client.secret": password,
            "sasl.oauthbearer.token.endpoint.url": settings.kafka_sasl_token_url,
            "sasl.oauthbearer.scope": settings.kafka_sasl_scope,
        }
    return {"sasl.mechanisms": settings.kafka_sasl_mechanism, "sasl.username": user, "sasl.password": password}


def tls(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context of aiokafka and Faust, None without TLS. Raises InvalidSettings when a file is unusable."""
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
        if settings.kafka_ssl_certfile:
            context.load_cert_chain(settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
    except OSError as error:  # ssl.SSLError is one
        raise InvalidSettings(f"KAFKA_SSL_CAFILE, KAFKA_SSL_CERTFILE or KAFKA_SSL_KEYFILE: {error}") from error
    return context


def tokens(settings: Settings) -> Any:
    """What aiokafka and Faust get their tokens from with OAUTHBEARER (ClientTokens); None with another mechanism."""
    user, password = credentials(settings)
    url = settings.kafka_sasl_token_url
    if settings.kafka_sasl_mechanism != "OAUTHBEARER" or url is None:
        return None
    # imported only where it is used: aiokafka is 3 MB of a process that has no other use for it
    from connectors.kafka.tokens import ClientTokens

    return ClientTokens(url, (user or "", password or ""), settings.kafka_sasl_scope)


def credentials(settings: Settings) -> tuple[str | None, str | None]:
    """User and password; with OAUTHBEARER the client id and its secret."""
    password = settings.kafka_sasl_password
    return settings.kafka_sasl_username, password.get_secret_value() if password else None


def check(settings: Settings, prefix: str = OURS) -> None:
    """Raises InvalidSettings naming every setting that the chosen protocol needs and that is not there."""
    missing = []
    if settings.kafka_security_protocol.startswith("SASL"):
        needed = {
            f"{prefix}SASL_MECHANISM": settings.kafka_sasl_mechanism,
            f"{prefix}SASL_USERNAME": settings.kafka_sasl_username,
            f"{prefix}SASL_PASSWORD": settings.kafka_sasl_password,
        }
        if settings.kafka_sasl_mechanism == "OAUTHBEARER":
            needed[f"{prefix}SASL_TOKEN_URL"] = settings.kafka_sasl_token_url
        missing = [name for name, value in needed.items() if not value]
    if bool(settings.kafka_ssl_certfile) != bool(settings.kafka_ssl_keyfile):
        missing.append(f"{prefix}SSL_CERTFILE and {prefix}SSL_KEYFILE, both or neither")
    if missing:
        listed = "\n  ".join(f"{name}: is required with {settings.kafka_security_protocol}" for name in missing)
        raise InvalidSettings(f"these settings are missing:\n  {listed}")
