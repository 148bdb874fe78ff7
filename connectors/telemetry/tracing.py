"""Traces over OTLP, or none. Nothing of OpenTelemetry is imported unless an endpoint is set."""

from domain.errors import MissingExtra
from domain.tracing import NoTracing, Tracing


def tracing(endpoint: str | None, service: str, version: str) -> Tracing:
    """Traces to `endpoint` (the base URL, `/v1/traces` is added), or none. Raises MissingExtra.

    `service` names the process in the trace viewer, e.g. `structured-prompt-infer`.
    """
    if endpoint is None:
        return NoTracing()
    try:
        from connectors.telemetry.opentelemetry import provider_to, recorded_by
    except ImportError as error:
        raise MissingExtra("OTEL_EXPORTER_OTLP_ENDPOINT", "otel") from error
    return recorded_by(provider_to(endpoint, service, version))
