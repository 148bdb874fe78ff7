"""References in content parts: read here, read by the provider, or refused. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.errors import InvalidRequest, Problem
from domain.outgoing.places import Places

NOT_PASSED_ON = ("s3://", "gs://", "file:", "ftp://")
"""No provider reads these."""
NOBODY = (
    "is in no place that documents are read from here (STRUCTURED_PROMPT_FETCH names them); "
    "send it as data:…;base64,… or as an https address that the provider can reach"
)
MOST = 16
"""Documents of a request."""
Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Reference:
    """A content part that names a document; `kind` is image_url or file, `name` the file's."""

    message: int
    part: int
    kind: str
    url: str
    name: str

    @property
    def path(self) -> str:
        """A JSON pointer."""
        return f"/messages/{self.message}/content/{self.part}"


def read_here(messages: Messages, tenant: str, places: Places) -> list[Reference]:
    """Those that a worker reads; the others are the provider's. Raises InvalidRequest for what nobody would read."""
    found = []
    for reference in _references(messages):
        if places.hold(reference.url, tenant):
            found.append(reference)
        elif reference.url.lower().startswith(NOT_PASSED_ON):
            raise refused(reference, NOBODY)
    if len(found) > MOST:
        raise refused(found[MOST], f"is one more than the {MOST} documents that are read for a request")
    return found


def refused(reference: Reference, reason: str) -> InvalidRequest:
    """Why a document cannot be asked about; its address is left out, it may hold a secret."""
    return InvalidRequest(
        "invalid_request", f"{reference.path}: the document {reason}", [Problem(reference.path, reason)]
    )


def replaced(messages: Messages, parts: Mapping[tuple[int, int], Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages with other parts at (message, part)."""
    touched = {message for message, _ in parts}
    return [
        {**message, "content": [parts.get((place, index), part) for index, part in enumerate(message["content"])]}
        if place in touched
        else dict(message)
        for place, message in enumerate(messages)
    ]


def still_unknown(messages: Messages, here: Sequence[Reference]) -> list[dict[str, Any]]:
    """The messages without the files that are read here: whether they are text is known when they were read."""
    nothing = {"type": "text", "text": ""}
    return replaced(messages, {(one.message, one.part): nothing for one in here if one.kind == "file"})


def _references(messages: Messages) -> list[Reference]:
    found = []
    for place, message in enumerate(messages):
        content = message.get("content")
        for index, part in enumerate(content if isinstance(content, list) else ()):
            kind = str(part.get("type"))
            held = part.get(kind)
            url = _url(held) if isinstance(held, Mapping) else ""
            if url and url[:5].lower() != "data:":
                found.append(Reference(place, index, kind, url, _name(held, url)))
    return found


def _url(held: Mapping[str, Any]) -> str:
    return str(held.get("url") or held.get("file_data") or held.get("file_url") or "")


def _name(held: Any, url: str) -> str:
    given = held.get("filename")
    return given if isinstance(given, str) else url.partition("?")[0].partition("#")[0].rpartition("/")[2]
