"""Documents in S3 and what speaks its protocol. Credentials, region and endpoint come as for every AWS client:
AWS_ACCESS_KEY_ID, a profile, a role of the machine; AWS_REGION; AWS_ENDPOINT_URL_S3 for another store."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from domain.errors import MissingExtra, Permanent, Transient
from domain.outgoing.places import bucket_and_key
from domain.ports import Opened

CONNECT_S, READ_S, CONNECTIONS = 5, 30, 32
_GONE = frozenset({400, 401, 403, 404, 405, 410, 412})


def needed() -> Any:
    """aiobotocore's session module. Raises MissingExtra."""
    try:
        from aiobotocore import session
    except ImportError as error:
        raise MissingExtra("reading documents from s3://", "s3") from error
    return session


class S3Documents:
    """Implements Documents; the client is made at the first document. `options` are create_client's, for a test."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        self._options = options or {}
        self._stack = AsyncExitStack()
        self._client: Any = None
        self._found: Any = None
        self._making = asyncio.Lock()

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator[Opened]:
        named = bucket_and_key(url)
        if named is None:
            raise Permanent("an address of S3 is s3://bucket/key")
        bucket, key = named
        with _told(bucket):
            client = self._client or await self._make()
            found = await client.get_object(Bucket=bucket, Key=key)
        async with found["Body"] as body:

            async def read(most: int) -> tuple[bytes, bool]:
                with _told(bucket):
                    data = await _at_most(body, most + 1)
                return data[:most], len(data) <= most

            yield Opened(found.get("ContentType", ""), found.get("ContentLength"), read)

    async def close(self) -> None:
        await self._stack.aclose()

    async def _make(self) -> Any:
        async with self._making:
            if self._client is None:
                client = await self._stack.enter_async_context(self._created("auto"))
                if ".amazonaws." not in client.meta.endpoint_url:
                    # another store rarely answers to a host name for each bucket
                    client = await self._stack.enter_async_context(self._created("path"))
                self._client = client
            return self._client

    def _created(self, addressing: str) -> Any:
        from aiobotocore.config import AioConfig

        config = AioConfig(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            max_pool_connections=CONNECTIONS,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": addressing},
        )
        return self._session().create_client("s3", config=config, **self._options)

    def _session(self) -> Any:
        """One for both: it remembers what it read of S3's description, which takes a second."""
        if self._found is None:
            self._found = needed().get_session()
        return self._found


async def _at_most(body: Any, most: int) -> bytes:
    pieces, size = [], 0
    while size < most and (piece := await body.read(min(1 << 16, most - size))):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


@contextmanager
def _told(bucket: str) -> Iterator[None]:
    """botocore's exceptions in our words; aiohttp's, when a connection breaks, come through it as they are."""
    import aiohttp
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        said = f"the bucket {bucket} answered {error.response.get('Error', {}).get('Code', '')} ({status})"
        raise (Permanent(said) if status in _GONE else Transient(said)) from error
    except (BotoCoreError, aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Transient(f"the bucket {bucket} does not answer ({type(error).__name__})") from error
