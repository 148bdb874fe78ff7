"""The models of a catalogue that turn texts into vectors, each as a deployment at its price."""

from collections.abc import Mapping
from decimal import Decimal

from domain.errors import InvalidSettings
from domain.routing.catalogue_file import PLACEHOLDER, EmbeddingEntry, ProviderEntry, read
from domain.routing.model import Deployment, Price

PRICE = Decimal("0.02")


def embeddings(text: str, environ: Mapping[str, str]) -> list[Deployment]:
    """Those that can be called, in order of preference. Raises InvalidSettings."""
    file = read(text)
    pairs = [(entry, file.providers[entry.provider]) for entry in file.embeddings]
    return [
        _deployment(entry, provider, file.price_version, environ)
        for entry, provider in pairs
        if all(environ.get(name) for name in provider.variables)
    ]


def simulated(url: str) -> Deployment:
    """The simulated provider's, at a URL that ends in /v1, at the price of a real one."""
    price = Price("simulated-1", PRICE, Decimal(0))
    return Deployment("simulated/embedding", "simulated", "embedding", "openai", url.rstrip("/"), price)


def local(model: str) -> Deployment:
    """A model in this process."""
    return Deployment(f"local/{model}", "local", model, "openai", "", Price("free", Decimal(0), Decimal(0)))


def chosen(available: list[Deployment], name: str | None) -> Deployment | None:
    """The one of this name, the first without a name. Raises InvalidSettings where the name is none of them."""
    if name is None:
        return available[0] if available else None
    found = next((one for one in available if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in available) or "none: no key of a provider with embeddings is set"
        raise InvalidSettings(f"STRUCTURED_PROMPT_EMBEDDINGS: {name!r} cannot be called; these can: {known}")
    return found


def _deployment(entry: EmbeddingEntry, provider: ProviderEntry, version: str, environ: Mapping[str, str]) -> Deployment:
    base_url = PLACEHOLDER.sub(lambda found: environ[found[1]].rstrip("/"), provider.base_url).rstrip("/")
    return Deployment(
        name=f"{entry.provider}/{entry.model}",
        provider=entry.provider,
        model=entry.model,
        dialect="openai",
        base_url=base_url,
        price=Price(entry.version or version, entry.price, Decimal(0)),
        api_key=environ[provider.key_env] if provider.key_env else None,
        headers=dict(provider.headers),
    )
