"""Texts as vectors: the adapter over HTTP, the one in this process, the models of a catalogue."""

import importlib
import importlib.util
import math
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors import catalog
from connectors.llm.embeddings import ApiEmbedder
from connectors.llm.local_embeddings import LocalEmbedder
from connectors.memory.embedder import MemoryEmbedder
from domain.errors import InvalidSettings, MissingExtra, ModelError
from domain.ports import Embedder
from domain.routing.embeddings import chosen, embeddings, local, simulated
from domain.settings import Settings
from ops.local.provider.server import Provider
from tests.llm.wire import HANG, RESET, http, wire

pytestmark = pytest.mark.timeout(600)
"""Importing PyTorch takes minutes on a machine in use."""
TEXTS = ["How do I reset my password?", "How can I reset my password?", "A völlig anderes Thema."]


@pytest.fixture(params=["simulated", "memory", "local"])
async def embedder(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Embedder]:
    if request.param == "memory":
        yield MemoryEmbedder()
        return
    if request.param == "local":
        own = LocalEmbedder(local(model_of_words(tmp_path)), 300.0)
        yield own
        await own.close()
        return
    provider = Provider()
    found = ApiEmbedder(simulated(f"http://127.0.0.1:{await provider.serve('127.0.0.1', 0)}/v1"), 2.0)
    yield found
    await found.close()
    await provider.close()


def model_of_words(place: Path) -> str:
    """A model of this test's words as sentence-transformers saves one, without a network: a direction for each word, so
    that texts of the same words are near. Skips where the extra `embeddings` is not installed.
    """
    pytest.importorskip("sentence_transformers", reason="the extra embeddings is not installed")
    modules = importlib.import_module("sentence_transformers.sentence_transformer.modules")
    tokenizers = importlib.import_module("tokenizers")
    words = {word: number for number, word in enumerate(["?", *sorted({*re.findall(r"\w+", " ".join(TEXTS))})])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="?"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    sentence_transformers = importlib.import_module("sentence_transformers")
    weights = importlib.import_module("numpy").identity(len(words), dtype="float32")
    embedding = modules.StaticEmbedding(tokenizer, embedding_weights=weights)
    sentence_transformers.SentenceTransformer(modules=[embedding]).save(str(place))
    return str(place)


async def test_a_local_model_that_is_not_there_is_a_model_error(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers", reason="the extra embeddings is not installed")
    embedder = LocalEmbedder(local(str(tmp_path / "none")), 300.0)
    with pytest.raises(ModelError, match="does not work") as caught:
        await embedder.embed(TEXTS)
    assert (caught.value.outcome, caught.value.retryable) == ("error", False)
    await embedder.close()


def cosine(one: Any, other: Any) -> float:
    return float(sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other)))


async def test_near_texts_are_near_and_the_same_text_is_the_same(embedder: Embedder) -> None:
    first, second, third = await embedder.embed(TEXTS)
    (again,) = await embedder.embed(TEXTS[:1])
    assert cosine(first.vector, again.vector) == pytest.approx(1.0)
    assert cosine(first.vector, second.vector) > 0.7 > cosine(first.vector, third.vector)
    assert first.tokens > 0
    assert (embedder.deployment.price.input > 0) is (embedder.deployment.provider != "local")


async def test_a_batch_is_one_call_with_a_key_and_its_tokens_are_dealt() -> None:
    rows = [{"index": 1, "embedding": [0.0, 1.0]}, {"index": 0, "embedding": [1.0, 0.0]}]
    async with wire(http({"data": rows, "usage": {"prompt_tokens": 9}})) as served:
        model = simulated(served.url)
        found = ApiEmbedder(model, 2.0)
        first, second = await found.embed(["aa", "b"])
        await found.close()
    assert (list(first.vector), list(second.vector)) == ([1.0, 0.0], [0.0, 1.0])
    assert (first.tokens, second.tokens) == (6, 3)
    (asked,) = served.asked
    assert (asked.path, asked.body["input"], asked.body["model"]) == ("/v1/embeddings", ["aa", "b"], "embedding")


GOOD = {"data": [{"index": 0, "embedding": [1.0]}], "usage": {"prompt_tokens": 1}}
BAD = {
    "a status": (http({"error": {"message": "no"}}, "500 Oops"), "error"),
    "a limit": (http({}, "429 Too Many Requests"), "rate_limited"),
    "no JSON": (http(b"<html>"), "error"),
    "nothing in it": (http({}), "error"),
    "a vector too few": (http({"data": []}), "error"),
    "vectors of no length": (http({"data": [{"index": 0, "embedding": []}]}), "error"),
    "no numbers": (http({"data": [{"index": 0, "embedding": ["a"]}]}), "error"),
    "no base64": (http({"data": [{"index": 0, "embedding": "???"}]}), "error"),
    "a reset": (http(GOOD)[:40] + RESET, "error"),
    "silence": (HANG, "timeout"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_whatever_a_provider_does_is_a_model_error(kind: str) -> None:
    answer, outcome = BAD[kind]
    async with wire(answer) as served:
        found = ApiEmbedder(simulated(served.url), 0.3)
        with pytest.raises(ModelError) as caught:
            await found.embed(["a"])
        await found.close()
    assert caught.value.outcome == outcome


def test_a_local_model_names_the_extra_it_needs() -> None:
    if importlib.util.find_spec("sentence_transformers") is not None:
        pytest.skip("the extra is installed")
    with pytest.raises(MissingExtra, match=r"structured-prompt\[embeddings\]"):
        LocalEmbedder(local("all-MiniLM-L6-v2"), 2.0)


CATALOGUE = """
price_version: "1"
providers:
  a: {base_url: "https://a.example/v1", key_env: A_KEY}
  b: {base_url: "${B_BASE}/v1"}
models: [{provider: a, model: m, price: {input: 1, output: 1}}]
aliases: {fast: [a/m], smart: [a/m]}
embeddings:
  - {provider: a, model: small, price: 0.02}
  - {provider: b, model: own, price: 0, version: mine}
"""


def test_the_embeddings_of_a_catalogue_are_those_whose_provider_can_be_called() -> None:
    assert embeddings(CATALOGUE, {}) == []
    small, own = embeddings(CATALOGUE, {"A_KEY": "k", "B_BASE": "http://b/"})
    assert (small.name, small.base_url, small.api_key, small.price.input) == (
        "a/small", "https://a.example/v1", "k", Decimal("0.02"),
    )  # fmt: skip
    assert (own.base_url, own.price.version) == ("http://b/v1", "mine")
    assert chosen([small, own], None) is small
    assert chosen([small, own], "b/own") is own
    assert chosen([], None) is None
    with pytest.raises(InvalidSettings, match="a/small, b/own"):
        chosen([small, own], "c/none")
    with pytest.raises(InvalidSettings, match="z/small: no such provider"):
        embeddings(CATALOGUE.replace("provider: a, model: small", "provider: z, model: small"), {})


def settings(**more: Any) -> Settings:
    urls = {"database_url": "postgresql://x/y", "redis_url": "redis://x", "clickhouse_url": "http://x/y"}
    return Settings(kafka="x:1", **urls, **more)


def test_what_embeds_is_chosen_by_the_settings() -> None:
    assert catalog.embedder(settings(), {}) is None
    assert catalog.embedder(settings(embeddings="none", simulated_provider_url="http://x/v1"), {}) is None
    names = {
        "openai/text-embedding-3-small": catalog.embedder(settings(), {"OPENAI_API_KEY": "k"}),
        "mistral/mistral-embed": catalog.embedder(
            settings(embeddings="mistral/mistral-embed"), {"OPENAI_API_KEY": "k", "MISTRAL_API_KEY": "k"}
        ),
        "simulated/embedding": catalog.embedder(settings(simulated_provider_url="http://x/v1"), {}),
    }
    assert {name: found.deployment.name for name, found in names.items() if found} == {name: name for name in names}
    with pytest.raises(InvalidSettings, match="STRUCTURED_PROMPT_EMBEDDINGS"):
        catalog.embedder(settings(embeddings="openai/none"), {})
