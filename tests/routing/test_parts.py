"""Content that is no text goes to models that take it."""

from typing import Any

import pytest

from domain.errors import InvalidRequest
from domain.routing.catalogue import Catalogue
from domain.routing.parts import PART_CHARACTERS, kinds, length

FILE = """
price_version: "1"
providers: {a: {base_url: "http://127.0.0.1:1/v1"}}
models:
  - {provider: a, model: text, takes: [], price: {input: 1, output: 1}}
  - {provider: a, model: eyes, takes: [image_url], price: {input: 1, output: 1}}
  - {provider: a, model: unknown, price: {input: 1, output: 1}}
aliases: {fast: [a/text, a/eyes], smart: [a/text, a/eyes, a/unknown]}
"""
CATALOGUE = Catalogue.load(FILE, {})
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
DOCUMENT = {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}}


def said(*parts: Any) -> list[dict[str, Any]]:
    return [
        {"role": "system", "content": "Look."},
        {"role": "user", "content": [{"type": "text", "text": "?"}, *parts]},
    ]


@pytest.mark.parametrize(
    ("model", "parts", "names"),
    [
        ("fast", (), ["a/text", "a/eyes"]),
        ("fast", (IMAGE,), ["a/eyes"]),
        ("smart", (IMAGE, DOCUMENT), ["a/unknown"]),
        ("a/unknown", (DOCUMENT,), ["a/unknown"]),
    ],
)
def test_a_request_goes_to_those_that_take_it(model: str, parts: tuple[Any, ...], names: list[str]) -> None:
    assert [one.name for one in CATALOGUE.route(model, kinds(said(*parts))).deployments] == names


@pytest.mark.parametrize(
    ("model", "parts", "lacking"), [("a/text", (IMAGE,), "image_url"), ("fast", (DOCUMENT,), "file")]
)
def test_where_nobody_takes_it_the_error_says_what(model: str, parts: tuple[Any, ...], lacking: str) -> None:
    with pytest.raises(InvalidRequest, match=f"does not take content of type {lacking}") as caught:
        CATALOGUE.route(model, kinds(said(*parts)))
    assert caught.value.code == "invalid_request"


def test_an_image_counts_for_a_page_and_not_for_its_bytes() -> None:
    large = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    assert length(said(large)[1]["content"]) == 1 + PART_CHARACTERS
    assert length("four") == 4
    assert kinds([{"role": "user", "content": "text"}]) == frozenset()
