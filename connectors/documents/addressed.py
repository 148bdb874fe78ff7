"""Each document from where its address says."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from connectors.documents.http import HttpDocuments
from connectors.documents.s3 import S3Documents, needed
from domain.errors import Permanent
from domain.outgoing.addresses import Network
from domain.ports import Opened


class AddressedDocuments:
    """Implements Documents. Without `buckets` nothing of S3 is imported. Raises MissingExtra."""

    def __init__(self, allow: Sequence[Network] = (), *, buckets: bool = False) -> None:
        self._http = HttpDocuments(allow)
        self._s3 = S3Documents() if buckets else None
        if buckets:
            needed()

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator[Opened]:
        in_a_bucket = url[:5].lower() == "s3://"
        if in_a_bucket and self._s3 is None:
            raise Permanent("no bucket is read from here (STRUCTURED_PROMPT_FETCH)")
        source = self._s3 if in_a_bucket and self._s3 is not None else self._http
        async with source.open(url) as opened:
            yield opened

    async def close(self) -> None:
        await self._http.close()
        if self._s3 is not None:
            await self._s3.close()
