"""The settings of the HTTP API; see settings.py."""

from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationInfo, field_validator

from domain.outgoing.addresses import Network, parse_networks
from domain.sink_settings import own


class DoorSettings(BaseModel):
    """Where it listens, whom it believes, what it gives to one address."""

    api_host: str = own("API_HOST", "127.0.0.1", "Address the API listens on.")
    api_port: int = own("API_PORT", 8000, "Port the API listens on.", ge=1, le=65535)
    tls_certificate: str | None = own(
        "TLS_CERTIFICATE", None, "Path of the API's certificate chain (PEM): it speaks TLS 1.3 itself. With TLS_KEY."
    )
    tls_key: str | None = own("TLS_KEY", None, "Path of the certificate's key (PEM, PKCS#8).", validate_default=True)
    trusted_proxies: str = own(
        "TRUSTED_PROXIES",
        "",
        "Networks of proxies in front of the API: CIDRs separated by commas. X-Forwarded-For and X-Forwarded-Proto of "
        "nobody else are believed.",
    )
    cors_origins: str = own(
        "CORS_ORIGINS", "", "Origins whose pages may call the API from a browser, separated by commas; none by default."
    )
    address_requests_per_minute: int = own(
        "ADDRESS_REQUESTS_PER_MINUTE", 600_000, "Requests of one client address at one instance of the API.", ge=1
    )
    address_burst: int = own("ADDRESS_BURST", 100_000, "Of these, how many at once.", ge=1)
    address_connections: int = own("ADDRESS_CONNECTIONS", 4_000, "Connections of one client address at once.", ge=1)
    address_failures_per_minute: int = own(
        "ADDRESS_FAILURES_PER_MINUTE", 600, "Requests without a good key before an address gets 429.", ge=1
    )
    header_timeout_s: float = own(
        "HEADER_TIMEOUT_S",
        30.0,
        "Seconds a client has for a request's head, and a connection between two requests: longer than a proxy in "
        "front keeps one that is idle.",
        ge=1,
        le=300,
    )
    body_timeout_s: float = own("BODY_TIMEOUT_S", 30.0, "Seconds a client has for a request's body.", ge=1, le=3600)
    security_contact: str | None = own(
        "SECURITY_CONTACT",
        None,
        "Where vulnerabilities are reported, for /.well-known/security.txt: mailto:… or https://…",
        pattern=r"^(mailto:\S+@\S+|https://\S+)$",
    )

    @field_validator("tls_key")
    @classmethod
    def _both(cls, value: str | None, info: ValidationInfo) -> str | None:
        if (value is None) != (info.data.get("tls_certificate") is None):
            raise ValueError("STRUCTURED_PROMPT_TLS_CERTIFICATE and STRUCTURED_PROMPT_TLS_KEY go together: set both")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, value: str) -> str:
        parse_networks(value)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        for origin in listed(value):
            if not _is_origin(origin):
                raise ValueError(f"{origin!r} is no origin: name each as https://app.example.com, without a path or *")
        return value

    @property
    def proxy_networks(self) -> tuple[Network, ...]:
        return parse_networks(self.trusted_proxies)

    @property
    def origins(self) -> tuple[str, ...]:
        """In the order given, each once."""
        return listed(self.cors_origins)


def listed(text: str) -> tuple[str, ...]:
    """What commas separate, in the order given, each once."""
    names = (name.strip() for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def _is_origin(text: str) -> bool:
    parts = urlsplit(text)
    plain = f"{parts.scheme}://{parts.netloc}" == text
    return plain and parts.scheme in ("https", "http") and bool(parts.hostname) and not set(text) & set("*@ ")
