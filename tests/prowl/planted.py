"""A door with a fault of each kind that wapiti must find: what it overlooks here it would overlook in ours."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

FAULTS = frozenset({
    "Reflected Cross Site Scripting", "Stored Cross Site Scripting", "SQL Injection", "Path Traversal",
    "Command execution", "Open Redirect", "CRLF Injection", "Internal Server Error",
    "Content Security Policy Configuration", "Clickjacking Protection", "MIME Type Confusion",
    "HttpOnly Flag cookie", "Secure Flag cookie",
})  # fmt: skip
"""As wapiti names them."""
SYNTAX = "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version"
SAID: list[str] = []


def _run(command: str) -> str:
    return "HOME=/srv\nPWD=/srv\nPATH=/usr/bin" if "env" in command else ""


def _say(text: str) -> str:
    SAID.append(text)
    return "kept"


ROUTES: dict[str, tuple[str, Callable[[str], str]]] = {
    "/greet": ("name", lambda name: f"<p>Hello {name}</p>"),
    "/find": ("id", lambda asked: SYNTAX if "'" in asked or '"' in asked else "found"),
    "/read": ("file", lambda file: "root:x:0:0:root:/root:/bin/sh" if "etc/passwd" in file else ""),
    "/run": ("command", _run),
    "/say": ("text", _say),
    "/said": ("page", lambda _page: "".join(SAID)),
}


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        given = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        if url.path == "/openapi.json":
            self._answer(200, json.dumps(_document()), "content-type: application/json")
        elif url.path == "/go":
            # the value as it came: whoever asks may add lines of his own
            self._answer(302, "", f"location: {given.get('to', '/')}")
        elif url.path == "/fall":
            self._answer(500 if given.get("count") != "1" else 200, "")
        else:
            name, make = ROUTES.get(url.path, ("", lambda _: "<p>Welcome</p>"))
            self._answer(200, f"<html><body>{make(given.get(name, ''))}</body></html>", "set-cookie: session=1")

    def _answer(self, status: int, text: str, *more: str) -> None:
        body = text.encode(errors="replace")
        head = ["content-type: text/html", *more] if not any("content-type" in one for one in more) else more
        lines = [f"HTTP/1.1 {status} X", *head, f"content-length: {len(body)}", "", ""]
        self.wfile.write("\r\n".join(lines).encode(errors="replace") + body)

    def log_message(self, *_: object) -> None:
        """Of no interest."""


def _document() -> dict[str, object]:
    fields = {path: name for path, (name, _) in ROUTES.items()} | {"/go": "to", "/fall": "count"}
    return {
        "openapi": "3.0.0",
        "info": {"title": "planted", "version": "1"},
        "paths": {path: {"get": _operation(name)} for path, name in fields.items()},
    }


def _operation(name: str) -> dict[str, object]:
    kind = "integer" if name == "count" else "string"
    return {
        "parameters": [{"name": name, "in": "query", "schema": {"type": kind}}],
        "responses": {"200": {"description": "It is there."}},
    }


@contextmanager
def planted() -> Iterator[int]:
    """The port it listens on."""
    SAID.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Door)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
