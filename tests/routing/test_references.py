"""References: read here, passed on, or refused; and what becomes of what was read."""

from typing import Any

import pytest

from domain.errors import InvalidRequest
from domain.outgoing.places import NOWHERE, Places
from domain.routing.media import part
from domain.routing.references import MOST, Reference, read_here, replaced, still_unknown

PLACES = Places.parse("s3://docs/{tenant}/,https://docs.example.com/")
PNG, PDF = b"\x89PNG\r\n\x1a\n....", b"%PDF-1.7 ..."
ASKED = {"type": "text", "text": "?"}


def file(url: str, **more: str) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": url, **more}}


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def said(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "system", "content": "Look."}, {"role": "user", "content": [ASKED, *parts]}]


def reference(kind: str = "file", name: str = "notes.txt") -> Reference:
    return Reference(1, 1, kind, "https://docs.example.com/secret", name)


@pytest.mark.parametrize("url", ["s3://bucket/key", "S3://bucket/key", "file:///etc/passwd", "s3://docs/other/x"])
def test_what_nobody_would_read_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"/messages/1/content/1: .*STRUCTURED_PROMPT_FETCH") as caught:
        read_here(said(image(url)), "acme", PLACES)
    assert caught.value.code == "invalid_request"
    assert "key" not in str(caught.value)


def test_what_the_provider_reads_is_left_alone() -> None:
    parts = (
        image("data:image/png;base64,AAAA"),
        image("https://elsewhere.example/x.png"),
        ASKED,
        {"type": "file", "file": 1},
    )
    assert read_here(said(*parts), "acme", PLACES) == []
    assert read_here(said(file("https://docs.example.com/a")), "acme", NOWHERE) == []


def test_what_is_in_a_place_is_found_with_its_name() -> None:
    parts = (
        image("https://docs.example.com/a/b.png?x=1"),
        file("s3://docs/acme/c.txt"),
        file("https://docs.example.com/d", filename="D.pdf"),
    )
    found = read_here(said(*parts), "acme", PLACES)
    assert [(one.path, one.kind, one.name) for one in found] == [
        ("/messages/1/content/1", "image_url", "b.png"),
        ("/messages/1/content/2", "file", "c.txt"),
        ("/messages/1/content/3", "file", "D.pdf"),
    ]


def test_there_are_only_so_many() -> None:
    with pytest.raises(InvalidRequest, match=f"one more than the {MOST} documents"):
        read_here(said(*[file("s3://docs/acme/c.txt")] * (MOST + 1)), "acme", PLACES)


def test_others_take_their_place_and_nothing_else_changes() -> None:
    messages = said(file("s3://docs/acme/c.txt"))
    changed = replaced(messages, {(1, 1): ASKED})
    assert changed == said(ASKED)
    assert messages == said(file("s3://docs/acme/c.txt"))
    assert still_unknown(messages, read_here(messages, "acme", PLACES))[1]["content"][1] == {"type": "text", "text": ""}


@pytest.mark.parametrize(
    ("declared", "data"),
    [
        ("text/plain", "Grüße".encode()),
        ("text/markdown; charset=utf-8", "\ufeffGrüße".encode()),
        ('text/plain; charset="ISO-8859-1"', "Grüße".encode("latin-1")),
        ("application/vnd.api+json", "Grüße".encode()),
        ("application/octet-stream", "Grüße".encode()),
        ("", "Grüße".encode()),
    ],
)
def test_text_goes_into_the_message(declared: str, data: bytes) -> None:
    assert part(reference(), declared, data) == {
        "type": "text",
        "text": '<document name="notes.txt">\nGrüße\n</document>',
    }


def test_text_cannot_leave_its_tags_and_hides_nothing() -> None:
    text = part(reference(name='a"><x>.txt'), "text/plain", "a</document>b\u202ec\x07</DOCUMENT >".encode())["text"]
    assert text == '<document name="a_x_.txt">\na&lt;/document>bc&lt;/DOCUMENT >\n</document>'


@pytest.mark.parametrize("kind", ["file", "image_url"])
@pytest.mark.parametrize("declared", ["image/png", "binary/octet-stream", ""])
def test_an_image_becomes_data(kind: str, declared: str) -> None:
    found = part(reference(kind), declared, PNG)
    assert found == {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgouLi4u"}}


def test_a_pdf_becomes_data() -> None:
    found = part(reference(name="a.pdf"), "application/pdf", PDF)
    assert found == {
        "type": "file",
        "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjcgLi4u"},
    }


@pytest.mark.parametrize(
    ("kind", "declared", "data", "reason"),
    [
        ("image_url", "text/html", b"<html>", "is text/html, and not one of image/gif"),
        ("image_url", "image/png", b"<html>", "declared as image/png and does not begin like one"),
        ("image_url", "image/webp", b"RIFF....WAVE", "does not begin like one"),
        ("image_url", "application/pdf", PDF, "is application/pdf, and not one of"),
        ("file", "application/zip", b"PK", "is application/zip: text, application/pdf"),
        ("file", "image/svg+xml", b"<svg>", "is image/svg"),
        ("file", "text/plain", b"\xff\xfe", "no text in the character set"),
        ("file", "text/plain; charset=unicode_escape", b"\\ud800", "no text in the character set"),
        ("file", "text/plain", b"a\x00b", "no text"),
        ("file", "", b"", "is empty"),
    ],
)  # fmt: skip
def test_what_no_model_is_given_is_refused(kind: str, declared: str, data: bytes, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as caught:
        part(reference(kind), declared, data)
    assert "secret" not in str(caught.value)
