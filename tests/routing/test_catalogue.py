"""A request's model is an alias or a provider's model; what cannot be called says what is missing."""

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.errors import InvalidRequest, InvalidSettings
from domain.routing import SHIPPED
from domain.routing.catalogue import Catalogue, environment_names
from domain.routing.model import Deployment, Price

TEXT = SHIPPED.read_text(encoding="utf-8")
ONE = """
price_version: "1"
providers:
  here: {base_url: "http://127.0.0.1:1/v1/"}
  there: {base_url: "https://${THERE_HOST}/v1", key_env: THERE_KEY}
models:
  - {provider: here, model: a/b, price: {input: 0.1, output: 0.2, version: mine}}
  - {provider: there, model: c, max_output_tokens: 9, price: {input: 1, output: 2}}
aliases: {fast: [there/c, here/a/b], smart: [there/c]}
"""


def refusal(catalogue: Catalogue, model: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        catalogue.resolve(model)
    assert caught.value.code == "unknown_model"
    assert caught.value.problems[0].path == "/model"
    return str(caught.value)


def names(catalogue: Catalogue, model: str) -> list[str]:
    return [deployment.name for deployment in catalogue.resolve(model)]


@pytest.mark.parametrize(
    ("keys", "provider"),
    [
        ({"OPENAI_API_KEY": "k"}, "openai"),
        ({"ANTHROPIC_API_KEY": "k"}, "anthropic"),
        ({"GEMINI_API_KEY": "k"}, "gemini"),
        ({"MISTRAL_API_KEY": "k"}, "mistral"),
        ({"GROQ_API_KEY": "k"}, "groq"),
        ({"DEEPSEEK_API_KEY": "k"}, "deepseek"),
        ({"AZURE_API_KEY": "k", "AZURE_API_BASE": "https://mine.openai.azure.com/"}, "azure"),
        ({"OPENROUTER_API_KEY": "k"}, "openrouter"),
        ({"OLLAMA_API_BASE": "http://127.0.0.1:11434"}, "ollama"),
    ],
)
def test_fast_and_smart_fit_whichever_key_is_set(keys: dict[str, str], provider: str) -> None:
    catalogue = Catalogue.load(TEXT, keys)
    for alias in ("fast", "smart"):
        assert [deployment.provider for deployment in catalogue.resolve(alias)] == [provider]
    assert not catalogue.needs_litellm


def test_an_alias_lists_its_deployments_in_order() -> None:
    both = Catalogue.load(ONE, {"THERE_HOST": "x", "THERE_KEY": "k"})
    assert names(both, "fast") == ["there/c", "here/a/b"]
    assert names(Catalogue.load(ONE, {}), "fast") == ["here/a/b"]


def test_a_deployment_carries_what_the_file_and_the_environment_say() -> None:
    there = Catalogue.load(ONE, {"THERE_HOST": "x.test", "THERE_KEY": "k"}).resolve("there/c")[0]
    assert (there.base_url, there.api_key, there.max_output_tokens) == ("https://x.test/v1", "k", 9)
    assert there.price == Price("1", Decimal(1), Decimal(2))
    here = Catalogue.load(ONE, {}).resolve("here/a/b")[0]
    assert (here.base_url, here.api_key, here.price.version) == ("http://127.0.0.1:1/v1", None, "mine")
    assert here.price.input == Decimal("0.1")


def test_a_key_is_never_shown() -> None:
    there = Catalogue.load(ONE, {"THERE_HOST": "x", "THERE_KEY": "sk-secret"}).resolve("there/c")
    assert "sk-secret" not in repr(there)


def test_without_any_key_the_remedy_is_named() -> None:
    assert "no provider key is set; set one of ANTHROPIC_API_KEY" in refusal(Catalogue.load(TEXT, {}), "fast")


def test_a_model_without_its_key_names_the_key() -> None:
    assert "set OPENAI_API_KEY" in refusal(Catalogue.load(TEXT, {"GROQ_API_KEY": "k"}), "openai/gpt-4o-mini")
    assert "set one of THERE_HOST, THERE_KEY" in refusal(Catalogue.load(ONE, {}), "smart")


def test_an_unknown_model_names_near_ones() -> None:
    catalogue = Catalogue.load(TEXT, {"OPENAI_API_KEY": "k"})
    assert "near names: openai/gpt-4o-mini" in refusal(catalogue, "gpt-4o-mini")
    assert "near names: fast" in refusal(catalogue, "fats")
    assert len(refusal(catalogue, "x" * 255)) < 400


def test_an_empty_key_is_no_key() -> None:
    assert "no provider key" in refusal(Catalogue.load(TEXT, {"OPENAI_API_KEY": ""}), "fast")


def test_the_simulated_provider_has_the_prices_of_a_real_model() -> None:
    catalogue = Catalogue.simulated("http://127.0.0.1:9/v1")
    (fast,) = catalogue.resolve("fast")
    mini = Catalogue.load(TEXT, {"OPENAI_API_KEY": "k"}).resolve("openai/gpt-4o-mini")[0]
    assert (fast.name, fast.provider, fast.base_url) == ("simulated/small", "simulated", "http://127.0.0.1:9/v1")
    assert replace(fast.price, version="") == replace(mini.price, version="")
    assert names(catalogue, "smart") == ["simulated/large"]
    assert not catalogue.needs_litellm


def beyond(name: str) -> Deployment | None:
    price = Price("beyond", Decimal(1), Decimal(1))
    return Deployment(name, "cohere", name, "litellm", "", price) if name.startswith("cohere/") else None


def test_a_model_beyond_the_catalogue_goes_through_litellm_where_it_is_installed() -> None:
    catalogue = Catalogue.load(TEXT, {"OPENAI_API_KEY": "k"}, beyond)
    assert catalogue.needs_litellm
    assert catalogue.resolve("cohere/command-r")[0].dialect == "litellm"
    assert "there is no model" in refusal(catalogue, "nobody/knows")
    assert "set GROQ_API_KEY" in refusal(catalogue, "groq/openai/gpt-oss-20b")


def test_a_provider_of_the_catalogue_may_use_litellm() -> None:
    text = ONE.replace('here: {base_url: "http://127.0.0.1:1/v1/"}', "here: {dialect: litellm}")
    assert Catalogue.load(text, {}).needs_litellm


def test_the_catalogue_names_the_variables_it_wants() -> None:
    assert environment_names(ONE) == {"THERE_HOST", "THERE_KEY"}
    assert "OPENAI_API_KEY" in environment_names(TEXT)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("price_version", "prices", "price_version: Field required"),
        ("provider: here,", "provider: nowhere,", "model nowhere/a/b: no such provider"),
        ("smart: [there/c]", "clever: [there/c]", "alias smart must exist"),
        ("fast: [there/c,", "fast: [there/d,", "alias fast: no model there/d"),
        ("model: c,", "model: c, typo: 1,", "Extra inputs are not permitted"),
        ("input: 0.1", "input: -1", "greater than or equal to 0"),
        ("http://127", "ftp://127", "base_url must be an http(s) address"),
        ("provider: there, model: c,", "provider: here, model: a/b,", "model here/a/b is listed twice"),
        ("providers:", "providers: [", "not YAML"),
    ],
)
def test_a_wrong_catalogue_says_where(old: str, new: str, reason: str) -> None:
    assert old in ONE
    with pytest.raises(InvalidSettings) as caught:
        Catalogue.load(ONE.replace(old, new), {})
    assert reason in str(caught.value)


def test_an_alias_may_name_a_strategy_and_weights() -> None:
    text = """
price_version: "1"
providers: {p: {base_url: "http://127.0.0.1:1/v1"}}
models:
  - {provider: p, model: a, price: {input: 1, output: 1}}
  - {provider: p, model: b, price: {input: 1, output: 1}}
aliases: {fast: [p/a, p/b], smart: {strategy: weighted, models: [p/a, {model: p/b, weight: 3}]}}
"""
    catalogue = Catalogue.load(text, {})
    fast, smart, one = (catalogue.route(name) for name in ("fast", "smart", "p/b"))
    assert (fast.strategy, [one.name for one in fast.deployments]) == ("pinned", ["p/a", "p/b"])
    assert (smart.strategy, smart.weights) == ("weighted", {"p/a": 1.0, "p/b": 3.0})
    assert [deployment.name for deployment in one.deployments] == ["p/b"]
    with pytest.raises(InvalidSettings, match="strategy"):
        Catalogue.load(text.replace("weighted", "luckiest"), {})
    with pytest.raises(InvalidRequest):
        catalogue.route("p/c")
