"""Sources, as the operator's file says them (STRUCTURED_PROMPT_SOURCES). Pure."""

import re
from collections.abc import Mapping as Fields
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from domain.errors import InvalidSettings
from domain.sources.mapping import Mapping, Unmappable, merged
from domain.sources.objects import Prefix
from domain.sources.signature import keys
from topics.codec import MAX_BYTES, is_tenant_name
from topics.request import PromptRequest

HEADER = "structured-prompt-source"
"""On a source's requests, and so on their results: which source they are of."""
_ID = re.compile(r"[A-Za-z0-9._:@=+,~-]{1,255}")
_OTHER = re.compile(r"[^A-Za-z0-9._:@=+,~-]")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
Topic = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,249}$")]


class Wrong(ValueError):
    """A source is not as it must be; `reasons` are all that is wrong."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


class _Webhook(BaseModel):
    model_config = ConfigDict(extra="forbid")

    secret_env: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")]


class _Registry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s@?#]{1,300}$")]
    auth_env: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")] | None = None


class _Bucket(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    prefix: Annotated[str, StringConstraints(max_length=500)] = ""
    endpoint: Annotated[str, StringConstraints(pattern=r"^https?://[^\s@?#]{1,300}$")] | None = None
    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{2,40}$")] | None = None
    access_key_env: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")] | None = None
    secret_key_env: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")] | None = None
    every_s: Annotated[float, Field(gt=0, le=86_400)] = 30.0
    in_order: bool = False


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    topic: Topic | None = None
    webhook: _Webhook | None = None
    bucket: _Bucket | None = None
    format: Literal["json", "avro", "protobuf"] = "json"
    registry: _Registry | None = None
    since: datetime | None = None
    request: dict[str, Any] = {}
    mapped: dict[str, Any] = Field(default={}, alias="map")
    output: Topic | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """How a topic's events are written. registry: where their schemas are, `auth` its user:password."""

    name: Literal["json", "avro", "protobuf"] = "json"
    registry: str | None = None
    auth: str | None = None


JSON = Format()


@dataclass(frozen=True, slots=True)
class Source:
    """A topic or a bucket, a webhook, or both, whose events become requests.

    since: records that were logged before are left alone. output: a topic that its results are copied to.
    secrets: what signs its webhook; there is none without.
    """

    name: str
    topic: str | None
    constants: Fields[str, Any]
    mapping: Mapping
    since: datetime | None = None
    output: str | None = None
    secrets: tuple[bytes, ...] = ()
    format: Format = JSON
    bucket: Prefix | None = None

    @property
    def tenant(self) -> str | None:
        """The tenant of every event, None where each says its own."""
        found = self.constants.get("tenant")
        return found if isinstance(found, str) else None

    def request(self, event: Any, otherwise: str) -> dict[str, Any]:
        """The fields of a request; `otherwise` is its id where none is mapped. Raises Unmappable.

        Only what attributes it is checked: everything else is refused by intake, with a result.
        """
        fields = merged(self.constants, self.mapping.apply(event))
        id, tenant = fields.setdefault("id", _OTHER.sub("_", otherwise)[:255]), fields.get("tenant")
        if not isinstance(id, str) or not _ID.fullmatch(id):
            raise Unmappable("/id: is not 1 to 255 letters, digits or one of ._:@=+,~-")
        if not isinstance(tenant, str) or not is_tenant_name(tenant):
            raise Unmappable("/tenant: is not the name of a tenant")
        return fields


def encoded(fields: Fields[str, Any]) -> bytes:
    """The record of a request; the same event gives the same bytes. Raises Unmappable."""
    try:
        raw = orjson.dumps(fields)
    except TypeError as error:
        raise Unmappable(f"the request is no JSON: {error}") from None
    if len(raw) > MAX_BYTES:
        raise Unmappable(f"the request has {len(raw)} bytes; it may have {MAX_BYTES}")
    return raw


def secret_names(text: str) -> list[str]:
    """The environment variables that a file of sources names; nothing where it cannot be read."""
    return re.findall(r"\b(?:secret_env|auth_env|access_key_env|secret_key_env):\s*[\"']?([A-Z][A-Z0-9_]*)", text)


def load(text: str, environ: Fields[str, str]) -> dict[str, Source]:
    """Every source by name. Raises InvalidSettings with everything that is wrong."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidSettings(f"STRUCTURED_PROMPT_SOURCES is no YAML: {error}") from error
    entries = found.get("sources") if isinstance(found, dict) else None
    if not isinstance(entries, dict) or set(found) != {"sources"}:
        raise InvalidSettings("STRUCTURED_PROMPT_SOURCES: the file holds `sources:` and, under it, a name for each")
    sources, problems = {}, []
    for name, fields in entries.items():
        try:
            sources[str(name)] = one_of(str(name), fields or {}, environ)
        except Wrong as error:
            problems += [f"{name}: {reason}" for reason in error.reasons]
    problems += circles({name: (one.topic, one.output) for name, one in sources.items()}).values()
    if problems:
        raise InvalidSettings("STRUCTURED_PROMPT_SOURCES: these sources are wrong:\n  " + "\n  ".join(problems))
    return sources


def one_of(name: str, fields: Any, environ: Fields[str, str]) -> Source:
    """One source, of what stands under its name. Raises Wrong."""
    try:
        return _source(name, _Entry.model_validate(fields), environ)
    except ValidationError as error:
        raise Wrong([f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]) from None
    except ValueError as error:
        raise Wrong([str(error)]) from None


def _source(name: str, entry: _Entry, environ: Fields[str, str]) -> Source:
    if not _NAME.fullmatch(name):
        raise ValueError("a name is up to 40 small letters, digits and hyphens")
    if entry.topic is None and entry.bucket is None and entry.webhook is None:
        raise ValueError("it needs a `topic` or a `bucket`, a `webhook`, or both")
    if entry.topic is not None and entry.bucket is not None:
        raise ValueError("a topic and a bucket are two sources: give each its name")
    if entry.output is not None and entry.topic is None and entry.bucket is None:
        raise ValueError("only what comes from a topic or a bucket has an `output`; a webhook's results are jobs")
    _check_constants(entry.request)
    mapping = Mapping(entry.mapped)
    if "tenant" not in entry.request and (entry.webhook is not None or "tenant" not in entry.mapped):
        raise ValueError("`request.tenant` names the tenant; only a topic may have it in `map.tenant` instead")
    if entry.webhook is not None and "tenant" in entry.mapped:
        raise ValueError("whoever signs a webhook must not choose the tenant: leave `map.tenant` out")
    since = entry.since
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    secrets, format = _secrets(entry.webhook, environ), _format(entry, environ)
    bucket = None if entry.bucket is None else _bucket(entry.bucket, environ)
    return Source(name, entry.topic, entry.request, mapping, since, entry.output, secrets, format, bucket)


def _bucket(asked: _Bucket, environ: Fields[str, str]) -> Prefix:
    named = (asked.access_key_env, asked.secret_key_env)
    if (named[0] is None) != (named[1] is None):
        raise ValueError("bucket: `access_key_env` and `secret_key_env` come together")
    access, secret = (environ.get(one) if one else None for one in named)
    if named[0] is not None and not (access and secret):
        raise ValueError(f"bucket: {named[0]} and {named[1]} are not both set")
    place = asked.name, asked.prefix, asked.endpoint, asked.region
    return Prefix(*place, access, secret, asked.every_s, asked.in_order)


def _format(entry: _Entry, environ: Fields[str, str]) -> Format:
    registry = entry.registry
    if (entry.format == "json") != (registry is None):
        raise ValueError("`registry` says where the schemas of avro and protobuf are; json needs none")
    if registry is None:
        return JSON
    if entry.topic is None:
        raise ValueError("events of webhooks and buckets are JSON, or CSV by their name: leave `format` out")
    auth = environ.get(registry.auth_env, "") if registry.auth_env else None
    if auth is not None and ":" not in auth:
        raise ValueError(f"{registry.auth_env}: is not user:password")
    return Format(entry.format, registry.url, auth)


def _check_constants(constants: Fields[str, Any]) -> None:
    unknown = [name for name in constants if name not in PromptRequest.model_fields]
    if unknown:
        raise ValueError(f"request: {unknown[0]!r} is no field of a request")
    if "id" in constants:
        raise ValueError("request: an id that is the same for all would be one request; put it under `map`")
    try:
        orjson.dumps(constants)
    except TypeError as error:
        raise ValueError(f"request: {error}") from None
    tenant = constants.get("tenant")
    if tenant is not None and not (isinstance(tenant, str) and is_tenant_name(tenant)):
        raise ValueError("request: tenant is not the name of a tenant")


def _secrets(webhook: _Webhook | None, environ: Fields[str, str]) -> tuple[bytes, ...]:
    if webhook is None:
        return ()
    try:
        return keys(environ.get(webhook.secret_env, ""))
    except ValueError as error:
        raise ValueError(f"{webhook.secret_env}: {error}") from None


def circles(topics: Fields[str, tuple[str | None, str | None]]) -> dict[str, str]:
    """What is wrong, by name, of (topic, output) by name: a topic that is an input and an output would feed itself."""
    inputs = {topic for topic, _ in topics.values() if topic}
    return {
        name: f"{name}: its output {output} is the topic of a source, which would go round for ever"
        for name, (_, output) in topics.items()
        if output in inputs
    }
