"""A schema registry (Confluent Schema Registry API, which others speak too): schemas by their number."""

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp

from domain.errors import Transient
from domain.sources.mapping import Unmappable

SECONDS = 10.0
MOST_REFERENCES = 64


@dataclass(frozen=True, slots=True)
class Schema:
    """As it was registered; `references` are what it imports, by the name it gives them, the innermost first."""

    kind: str
    text: str
    references: dict[str, "Schema"] = field(default_factory=dict)


class SchemaRegistry:
    """`auth` is user:password, where it asks for them. One connection pool, opened at the first question."""

    def __init__(self, url: str, auth: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._head = {"authorization": "Basic " + b64encode(auth.encode()).decode()} if auth else {}
        self._session: aiohttp.ClientSession | None = None

    async def schema(self, number: int) -> Schema:
        """With everything it imports. Raises Transient, and Unmappable where there is no such schema."""
        return await self._whole(await self._get(f"/schemas/ids/{number}"), [])

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _whole(self, answer: dict[str, Any], seen: list[str]) -> Schema:
        references = {}
        for one in answer.get("references") or ():
            name, subject, version = str(one["name"]), quote(str(one["subject"]), safe=""), int(one["version"])
            seen.append(name)
            if len(seen) > MOST_REFERENCES:
                raise Unmappable(f"the schema has more than {MOST_REFERENCES} references")
            found = await self._get(f"/subjects/{subject}/versions/{version}")
            references[name] = await self._whole(found, seen)
        return Schema(str(answer.get("schemaType") or "AVRO"), str(answer["schema"]), references)

    async def _get(self, path: str) -> dict[str, Any]:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=SECONDS)
            jar = aiohttp.DummyCookieJar()
            self._session = aiohttp.ClientSession(headers=self._head, timeout=timeout, cookie_jar=jar)
        try:
            async with self._session.get(self._url + path, allow_redirects=False) as response:
                if response.status == 404:
                    raise Unmappable(f"the schema registry knows nothing at {path}")
                if response.status != 200:
                    raise Transient(f"the schema registry answered {path} with {response.status}")
                found = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Transient(f"the schema registry does not answer ({type(error).__name__})") from error
        if not isinstance(found, dict) or "schema" not in found:
            raise Transient("the schema registry answered with something that is no schema")
        return found
