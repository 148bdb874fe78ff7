"""What was read, as a content part: text into the message, images and PDF as data. Pure."""

import re
from base64 import b64encode
from typing import Any

from domain.routing.references import Reference, refused
from domain.safety.sanitise import sanitised
from domain.safety.tags import guard, guarded

IMAGES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff", "image/gif": b"GIF8", "image/webp": b"RIFF"}
"""How they begin: what is declared is not believed."""
PDF, PDF_BEGINS = "application/pdf", b"%PDF-"
OF_NO_TYPE = frozenset({"", "application/octet-stream", "binary/octet-stream"})
"""What stores say of what they were told nothing about: the content tells."""
_TEXT = re.compile(
    r"text/[\w.+-]+|application/(?:[\w.-]+\+)?(?:json|xml|yaml)|application/(?:x-)?(?:ndjson|jsonl|yaml|toml|csv)"
)
_CHARSET = re.compile(r"charset\s*=\s*\"?(?P<name>[\w.:-]+)", re.IGNORECASE)
_KNOWN = re.compile(
    r"utf-?8(?:-sig)?|utf-16(?:le|be)?|us-ascii|ascii|iso-8859-\d+|latin-?1|windows-125\d|shift_jis|euc-(?:jp|kr)|gb\w+|big5"
)
"""Character sets; Python knows codecs besides, such as unicode_escape."""
_NAME = re.compile(r"[^\w. ()+-]+")
_OURS = guard(["document"])


def part(reference: Reference, content_type: str, data: bytes) -> dict[str, Any]:
    """In place of the part that named it. Raises InvalidRequest for what no model is given."""
    media = _media(reference, content_type, data)
    if media in IMAGES:
        return {"type": "image_url", "image_url": {"url": _data_url(media, data)}}
    if reference.kind == "image_url":
        raise refused(reference, f"is {media}, and not one of {', '.join(sorted(IMAGES))}")
    if media == PDF:
        return {"type": "file", "file": {"filename": _named(reference.name), "file_data": _data_url(media, data)}}
    return {"type": "text", "text": _text(reference, content_type, data)}


def _media(reference: Reference, content_type: str, data: bytes) -> str:
    """Image or PDF, or text/…. Raises InvalidRequest."""
    declared = content_type.partition(";")[0].strip().lower()
    known = {**IMAGES, PDF: PDF_BEGINS}
    begins = next((media for media, start in known.items() if data.startswith(start)), None)
    if begins == "image/webp" and data[8:12] != b"WEBP":
        begins = None
    if declared in known:
        if begins != declared:
            raise refused(reference, f"is declared as {declared} and does not begin like one")
        return declared
    if declared in OF_NO_TYPE:
        return begins or "text/plain"
    if _TEXT.fullmatch(declared):
        return declared
    raise refused(reference, f"is {declared[:100]}: text, {', '.join(sorted(known))} can be read")


def _text(reference: Reference, content_type: str, data: bytes) -> str:
    """Between tags that nothing in it can close, without hidden characters, as a request's own text."""
    found = _CHARSET.search(content_type)
    charset = found["name"].lower() if found else "utf-8-sig"
    try:
        text = data.decode(charset) if _KNOWN.fullmatch(charset) else ""
    except (UnicodeDecodeError, LookupError):
        text = ""
    if not text or "\x00" in text:
        raise refused(reference, "is empty, or no text in the character set it should have (UTF-8 unless declared)")
    safe = guarded(sanitised(text), _OURS) if _OURS is not None else ""
    return f'<document name="{_named(reference.name)}">\n{safe}\n</document>'


def _named(name: str) -> str:
    return _NAME.sub("_", sanitised(name))[:100] or "document"


def _data_url(media: str, data: bytes) -> str:
    return f"data:{media};base64,{b64encode(data).decode()}"
