"""What the running API says, where `API_URL` and `API_KEY` are known, as `up` writes them into DIR/env."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

PATIENCE_S = 10.0


class _NoRedirect(HTTPRedirectHandler):
    """The key goes where it was meant to go."""

    def redirect_request(self, *_: Any) -> None:
        return None


def ask(environ: Mapping[str, str], path: str) -> Mapping[str, Any] | None:
    """The answer to a GET; None where there is no API to ask, or it answers with anything but 200 and JSON."""
    url, key = environ.get("API_URL", ""), environ.get("API_KEY", "")
    if not key or not url.startswith(("http://", "https://")):
        return None
    request = Request(url.rstrip("/") + path, headers={"authorization": f"Bearer {key}"})  # noqa: S310 - checked above
    try:
        with build_opener(ProxyHandler({}), _NoRedirect).open(request, timeout=PATIENCE_S) as answer:
            found = json.loads(answer.read())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
