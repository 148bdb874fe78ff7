"""What every answer tells a browser, errors included. Plain ASGI, as api/middleware.py; the outermost layer.

The sources are OWASP's Secure Headers Project and REST Security Cheat Sheet.
"""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.shield.peers import CLIENT, Peers

DATA_POLICY = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
PAGE_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""The documentation page: no inline script or style, nothing from elsewhere."""
PAGES = ("/docs", "/docs/")
PUBLIC = ("/docs/", "/docs", "/openapi.json", "/asyncapi.json", "/postman.json", "/.well-known/security.txt")

Headers = tuple[tuple[bytes, bytes], ...]
_ALWAYS: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"server", b"structured-prompt"),
)
_PRIVATE: Headers = (*_ALWAYS, (b"content-security-policy", DATA_POLICY), (b"cache-control", b"no-store"))
_DOCUMENT: Headers = (*_ALWAYS, (b"content-security-policy", DATA_POLICY), (b"cache-control", b"no-cache"))
_PAGE: Headers = (
    *_ALWAYS,
    (b"content-security-policy", PAGE_POLICY),
    (b"cache-control", b"no-cache"),
    (b"cross-origin-embedder-policy", b"require-corp"),
)
_STRICT: Headers = ((b"strict-transport-security", b"max-age=31536000"),)
"""Subdomains are not ours to speak for; a proxy may say more."""
_OURS = frozenset(name for name, _ in (*_PRIVATE, *_PAGE, *_STRICT))


class ResponseHeaders:
    """Also finds out who the client is, once for all layers further in."""

    def __init__(self, app: ASGIApp, peers: Peers) -> None:
        self._app = app
        self._peers = peers

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        client = scope[CLIENT] = self._peers.of(scope)
        added = headers_of(scope["path"], secure=client.secure)

        def headed(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message.get("headers", ()) if pair[0] not in _OURS]
                message["headers"] = [*kept, *added]
            return send(message)

        return self._app(scope, receive, headed)


def headers_of(path: str, *, secure: bool) -> Headers:
    """What an answer to a request for `path` carries."""
    if not path.startswith(PUBLIC):
        return _PRIVATE + _STRICT if secure else _PRIVATE
    chosen = _PAGE if path in PAGES else _DOCUMENT
    return chosen + _STRICT if secure else chosen
