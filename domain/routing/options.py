"""Which fields of a provider's request belong to us: `provider_options` passes everything else through untouched."""

from typing import Any

from domain.errors import InvalidRequest, Problem

OURS = {
    "model": "`model` of the request",
    "messages": "`prompt`, `messages` or `template` of the request",
    "max_tokens": "`parameters.max_tokens`",
    "max_completion_tokens": "`parameters.max_tokens`",
    "n": "one request for each answer",
    "stream": "nothing: answers on the stream are whole",
    "stream_options": "nothing: answers on the stream are whole",
}
"""Each changes what is called or what it costs behind the back of price, budget and cache; mapped to what to use."""

DEARER = {"service_tier": "priority"}
"""Sold above the catalogue's price, which is what budgets hold for a call: refused. A cheaper tier passes."""


def check(options: dict[str, Any]) -> None:
    """Raises InvalidRequest("invalid_request") naming every option that is ours or changes the price."""
    problems = [Problem(f"/provider_options/{name}", f"is ours; use {OURS[name]}") for name in options if name in OURS]
    problems += [
        Problem(
            f"/provider_options/{name}",
            f"{value} is sold above the price that budgets hold; leave it out",
        )
        for name, value in DEARER.items()
        if options.get(name) == value
    ]
    if problems:
        raise InvalidRequest("invalid_request", f"{problems[0].path} {problems[0].message}", problems)
