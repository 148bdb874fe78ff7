"""The format of a model catalogue: a closed YAML document, read once at start. models.yaml describes it."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from domain.errors import InvalidSettings
from domain.routing.model import Dialect, Strategy

PLACEHOLDER = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
Structured = Literal["json_schema", "json_object", "tool", "none"]


def _in_utc(at: datetime) -> datetime:
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


_Dollars = Annotated[Decimal, Field(ge=0, le=100_000, max_digits=20)]
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class PriceEntry(_Closed):
    """US dollars per million tokens. A price that replaces another one says from when on, UTC."""

    version: str | None = None
    valid_from: Annotated[datetime, AfterValidator(_in_utc)] | None = None
    input: _Dollars
    output: _Dollars
    cached_input: _Dollars | None = None
    reasoning: _Dollars | None = None
    cache_write: _Dollars | None = None
    batch_discount: Annotated[Decimal, Field(ge=0, le=1)] | None = None


class ProviderEntry(_Closed):
    """`${NAME}` in base_url is taken from the environment."""

    dialect: Dialect = "openai"
    base_url: str = ""
    key_env: str | None = None
    structured: Structured = "json_schema"
    timeout_s: float = Field(default=60.0, gt=0, le=3600)
    headers: dict[str, str] = {}

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if self.dialect != "litellm" and not re.match(r"https?://|\$\{", self.base_url):
            raise ValueError("base_url must be an http(s) address")
        return self

    @property
    def variables(self) -> frozenset[str]:
        """What must be set in the environment for this provider to be available."""
        return frozenset(PLACEHOLDER.findall(self.base_url)) | ({self.key_env} if self.key_env else frozenset())


class ModelEntry(_Closed):
    """What is not given is the provider's."""

    provider: _Name
    model: Annotated[str, StringConstraints(min_length=1, max_length=190)]
    price: PriceEntry | Annotated[list[PriceEntry], Field(min_length=1)]
    context_tokens: int = Field(default=128_000, ge=1)
    max_output_tokens: int = Field(default=4_096, ge=1)
    output_limit: int = Field(default=0, ge=0)
    structured: Structured | None = None
    timeout_s: float | None = Field(default=None, gt=0, le=3600)
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    omits: tuple[str, ...] = ()
    takes: tuple[Literal["image_url", "file"], ...] | None = None

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.model}"

    @property
    def prices(self) -> list[PriceEntry]:
        return self.price if isinstance(self.price, list) else [self.price]

    @model_validator(mode="after")
    def _prices_follow_each_other(self) -> Self:
        first, *later = self.prices
        starts = [entry.valid_from for entry in later]
        if first.valid_from is not None or None in starts or starts != sorted(set(starts), key=str):
            raise ValueError("the first price has no valid_from, each later one has a later valid_from")
        if any(entry.version is None for entry in later):
            raise ValueError("a price with valid_from needs a version of its own")
        return self


class EmbeddingEntry(_Closed):
    """A model that turns texts into vectors; `price` in US dollars per million tokens."""

    provider: _Name
    model: Annotated[str, StringConstraints(min_length=1, max_length=190)]
    price: _Dollars
    version: str | None = None


class Member(_Closed):
    """A model of an alias; `weight` counts with the strategy `weighted`."""

    model: str
    weight: float = Field(default=1.0, gt=0, le=1_000_000)


class HedgeEntry(_Closed):
    """A second call of the interactive lane goes to the next model when the first took longer than so many per cent
    of its answers; at most one in twenty."""

    after: Literal["p90", "p95", "p99"] = "p95"

    @property
    def percent(self) -> int:
        return int(self.after[1:])


class AliasEntry(_Closed):
    """`strategy`: pinned takes the first, cheapest what costs least for the request, fastest what answered soonest of
    late, weighted draws. What cannot answer is left out, and the next one takes its place."""

    strategy: Strategy = "pinned"
    models: list[Member] = []
    hedge: HedgeEntry | None = None
    spillover_s: float | None = Field(default=5.0, ge=0.05, le=5)

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        """A list alone is pinned, a name alone weighs 1."""
        given = {"models": value} if isinstance(value, list) else value
        if not isinstance(given, dict) or not isinstance(given.get("models"), list):
            return given
        return {**given, "models": [{"model": one} if isinstance(one, str) else one for one in given["models"]]}

    @model_validator(mode="after")
    def _a_hedge_has_somewhere_to_go(self) -> Self:
        if self.hedge is not None and len(self.models) < 2:
            raise ValueError("hedge needs two models: the second call goes to the next one")
        return self

    @property
    def names(self) -> list[str]:
        return [member.model for member in self.models]


class CatalogueFile(_Closed):
    """The whole document; every name it mentions exists."""

    price_version: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    providers: dict[_Name, ProviderEntry]
    models: list[ModelEntry] = Field(min_length=1)
    aliases: dict[_Name, AliasEntry]
    embeddings: list[EmbeddingEntry] = []

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        names = [entry.name for entry in self.models]
        wrong = [f"model {name} is listed twice" for name in sorted({n for n in names if names.count(n) > 1})]
        wrong += [f"model {e.name}: no such provider" for e in self.models if e.provider not in self.providers]
        unknown = [e for e in self.embeddings if e.provider not in self.providers]
        wrong += [f"embedding {e.provider}/{e.model}: no such provider" for e in unknown]
        wrong += [f"alias {alias} must exist" for alias in ("fast", "smart") if alias not in self.aliases]
        for alias, entry in self.aliases.items():
            wrong += [f"alias {alias}: no model {member}" for member in entry.names if member not in names]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


def read(text: str) -> CatalogueFile:
    """Raises InvalidSettings naming every problem of the document."""
    try:
        document: Any = yaml.safe_load(text)
        return CatalogueFile.model_validate(document)
    except yaml.YAMLError as error:
        raise InvalidSettings(f"the model catalogue is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'the document'}: {e['msg']}" for e in error.errors()]
        raise InvalidSettings("the model catalogue is wrong:\n  " + "\n  ".join(lines)) from error
