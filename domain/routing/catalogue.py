"""The models a process can call: what a request's `model` stands for, in order of preference."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches

from domain.errors import InvalidRequest, Problem
from domain.routing.catalogue_file import (
    PLACEHOLDER,
    AliasEntry,
    CatalogueFile,
    ModelEntry,
    PriceEntry,
    ProviderEntry,
    read,
)
from domain.routing.model import Alias, Deployment, Price
from domain.routing.parts import nobody, takers

NO_PARTS: frozenset[str] = frozenset()
Foreign = Callable[[str], Deployment | None]
"""Finds a `provider/model` that is not in the catalogue (LiteLLM knows thousands), with its price."""

_SIMULATED = """
price_version: simulated-1
providers:
  simulated: {base_url: "${URL}"}
models:
  - {provider: simulated, model: small, output_limit: 16384, price: {input: 0.15, output: 0.60, cached_input: 0.075}}
  - {provider: simulated, model: large, output_limit: 32768, price: {input: 2.50, output: 10, cached_input: 1.25}}
aliases: {fast: [simulated/small], smart: [simulated/large], careful: [simulated/small, simulated/large]}
"""


def environment_names(text: str) -> frozenset[str]:
    """The variables a catalogue wants, keys and addresses, for main to read (NAME or NAME_FILE)."""
    return frozenset().union(*(provider.variables for provider in read(text).providers.values()))


class Catalogue:
    """`deployments` are those that can be called, `aliases` lists them by alias in order of preference."""

    def __init__(
        self,
        deployments: Iterable[Deployment],
        aliases: Mapping[str, AliasEntry],
        file: CatalogueFile,
        foreign: Foreign | None,
    ) -> None:
        self._by_name = {deployment.name: deployment for deployment in deployments}
        self._file = file
        self._foreign = foreign
        self.deployments = tuple(self._by_name.values())
        self.aliases = {
            alias: tuple(self._by_name[name] for name in entry.names if name in self._by_name)
            for alias, entry in aliases.items()
        }
        self._routes = {alias: _alias(self.aliases[alias], entry) for alias, entry in aliases.items()}

    @classmethod
    def load(cls, text: str, environ: Mapping[str, str], foreign: Foreign | None = None) -> "Catalogue":
        """A catalogue from its YAML and the environment's keys. Raises InvalidSettings with every problem.

        foreign: finds models beyond the catalogue; given where LiteLLM is installed.
        """
        file = read(text)
        available = {
            name: provider
            for name, provider in file.providers.items()
            if all(environ.get(v) for v in provider.variables)
        }
        deployments = [
            _deployment(entry, available[entry.provider], file.price_version, environ)
            for entry in file.models
            if entry.provider in available
        ]
        return cls(deployments, file.aliases, file, foreign)

    @classmethod
    def simulated(cls, url: str) -> "Catalogue":
        """Only the simulated provider, at a URL that ends in /v1, at the prices of real models."""
        return cls.load(_SIMULATED, {"URL": url})

    @property
    def needs_litellm(self) -> bool:
        """Whether a request may lead to LiteLLM; it is then imported at start, which takes seconds."""
        return self._foreign is not None or any(deployment.dialect == "litellm" for deployment in self.deployments)

    def resolve(self, model: str) -> tuple[Deployment, ...]:
        """The deployments for an alias or a `provider/model`, at least one. Raises InvalidRequest("unknown_model")."""
        found = self.aliases.get(model)
        if found:
            return found
        one = self._by_name.get(model) or self._beyond(model)
        if one is None:
            raise self._unknown(model)
        return (one,)

    def route(self, model: str, wanted: frozenset[str] = NO_PARTS) -> Alias:
        """The same as `resolve`, with how to choose among them; only those that take content parts of types `wanted`.

        Raises InvalidRequest: unknown_model, invalid_request where none takes them.
        """
        found = self._routes.get(model)
        alias = found if found is not None and found.deployments else Alias(self.resolve(model))
        if not wanted:
            return alias
        left = takers(alias.deployments, wanted)
        if not left:
            raise nobody(model, alias.deployments, wanted)
        return replace(alias, deployments=left)

    def _beyond(self, model: str) -> Deployment | None:
        known = {entry.name for entry in self._file.models} | self._file.aliases.keys()
        return self._foreign(model) if self._foreign and "/" in model and model not in known else None

    def _unknown(self, model: str) -> InvalidRequest:
        shown = model[:100]
        if not self.deployments:
            wanted = ", ".join(sorted({p.key_env for p in self._file.providers.values() if p.key_env}))
            message = f"no model can be called: no provider key is set; set one of {wanted}"
        elif model in self.aliases:
            wanted = ", ".join(sorted(self._wanted(self._file.aliases[model].names)))
            message = f"no model of the alias {shown!r} can be called; set one of {wanted}"
        elif wanting := self._wanted([model]):
            message = f"model {shown!r} cannot be called: set {', '.join(sorted(wanting))}"
        else:
            near = self._near(model)
            message = f"there is no model {shown!r}; near names: {', '.join(near)}"
        return InvalidRequest("unknown_model", message, [Problem("/model", message)])

    def _wanted(self, names: Iterable[str]) -> set[str]:
        providers = {entry.provider for entry in self._file.models if entry.name in set(names)}
        return {variable for name in providers for variable in self._file.providers[name].variables}

    def _near(self, model: str) -> list[str]:
        known = [*(alias for alias, members in self.aliases.items() if members), *self._by_name]
        same = [name for name in self._by_name if name.partition("/")[2] == model]
        return same or get_close_matches(model[:100], known, n=3, cutoff=0.4) or known[:5]


def _deployment(entry: ModelEntry, provider: ProviderEntry, version: str, environ: Mapping[str, str]) -> Deployment:
    first, *later = entry.prices
    return Deployment(
        name=entry.name,
        provider=entry.provider,
        model=entry.model,
        dialect=provider.dialect,
        base_url=PLACEHOLDER.sub(lambda found: environ[found[1]].rstrip("/"), provider.base_url).rstrip("/"),
        price=_price(first, version),
        api_key=environ[provider.key_env] if provider.key_env else None,
        structured=entry.structured or provider.structured,
        context_tokens=entry.context_tokens,
        max_output_tokens=entry.max_output_tokens,
        output_limit=entry.output_limit,
        timeout_s=entry.timeout_s or provider.timeout_s,
        headers=dict(provider.headers),
        max_tokens_field=entry.max_tokens_field,
        omits=entry.omits,
        takes=entry.takes,
        later_prices=tuple((one.valid_from, _price(one, version)) for one in later if one.valid_from is not None),
    )


def _alias(deployments: tuple[Deployment, ...], entry: AliasEntry) -> Alias:
    weights = {one.model: one.weight for one in entry.models}
    return Alias(deployments, entry.strategy, weights, entry.hedge.percent if entry.hedge else None, entry.spillover_s)


def _price(entry: PriceEntry, version: str) -> Price:
    parts = (entry.input, entry.output, entry.cached_input, entry.reasoning, entry.cache_write, entry.batch_discount)
    return Price(entry.version or version, *parts)
