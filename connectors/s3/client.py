"""One bucket: put, get, list, sign. What S3 answers becomes *try later*: nothing in it ever refuses a row.

Requests are made once; whoever calls repeats them.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from connectors.alone import without
from connectors.s3.descriptions import Lean
from domain.errors import MissingExtra, Unavailable
from domain.exports.job import StoreTrouble, UploadGone
from domain.sources.objects import Found

PART = 8 * 1024 * 1024
"""Larger objects are uploaded in parts of so many bytes (S3 wants at least 5 MiB)."""
PAGE = 1000
"""Keys in one listing, at most."""
REMEDIES = {
    "NoSuchBucket": "create the bucket, or set another one",
    "AccessDenied": "check the access key and its secret, and grant s3:PutObject, s3:GetObject and s3:ListBucket on it",
    "InvalidAccessKeyId": "check the access key",
    "SignatureDoesNotMatch": "check the secret access key",
    "ExpiredToken": "renew the credentials",
    "PermanentRedirect": "set the bucket's own region",
    "AuthorizationHeaderMalformed": "set the bucket's own region",
    "SlowDown": "it asks for fewer requests",
    "InvalidBucketName": "check the bucket's name and region",
    "EntityTooLarge": "write smaller batches",
}

GONE = frozenset({"NoSuchUpload", "InvalidPart", "InvalidPartOrder"})
"""An upload in parts is not there any more, or not what it was."""
UNNAMED = {"301": "PermanentRedirect", "400": "InvalidBucketName", "403": "AccessDenied", "404": "NoSuchBucket"}
"""What an answer to HEAD means, which has no body to name it."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where it is. Without an endpoint: AWS; without keys: the usual chain (environment, profile, role)."""

    name: str
    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = None


class S3:
    """For one event loop; `open` before use. Implements domain.ports.Files."""

    def __init__(self, bucket: Bucket, part: int = PART) -> None:
        """Raises MissingExtra without aiobotocore, which is loaded with the first connection."""
        if find_spec("aiobotocore") is None:
            raise MissingExtra("S3", "s3")
        self._bucket = bucket
        self._part = part
        self._stack = AsyncExitStack()
        self._client: Any = None

    async def open(self) -> None:
        """Raises Unavailable where the bucket is not to be had."""
        await self._connect()
        await self._call("head_bucket")

    async def close(self) -> None:
        self._client = None
        await self._stack.aclose()

    async def put(self, key: str, body: bytes) -> None:
        """Returns when the object is durable. Raises Unavailable."""
        if len(body) > self._part:
            await self._put_in_parts(key, body)
        else:
            await self._call("put_object", Key=key, Body=body)

    async def get(self, key: str) -> bytes:
        """Raises Unavailable."""
        answer = await self._call("get_object", Key=key)
        try:
            async with answer["Body"] as stream:
                found: bytes = await stream.read()
        except Exception as error:
            raise self._translate(error) from error
        return found

    async def keys(self, prefix: str, after: str = "") -> list[str]:
        """At most PAGE, in the order of their bytes, behind `after`. Raises Unavailable."""
        answer = await self._call("list_objects_v2", Prefix=prefix, StartAfter=after, MaxKeys=PAGE)
        return [one["Key"] for one in answer.get("Contents", ())]

    async def listed(self, prefix: str, after: str = "") -> list[Found]:
        """As `keys`, with what is known of each. Raises Unavailable."""
        answer = await self._call("list_objects_v2", Prefix=prefix, StartAfter=after, MaxKeys=PAGE)
        return [
            Found(one["Key"], one["ETag"].strip('"'), one["Size"], one["LastModified"])
            for one in answer.get("Contents", ())
        ]

    async def signed(self, key: str, seconds: int, name: str) -> str:
        """A URL that gives the object to whoever has it, for so long. Nothing is asked of the bucket."""
        await self._connect()
        given = {"Bucket": self._bucket.name, "Key": key}
        given["ResponseContentDisposition"] = f'attachment; filename="{name}"'
        try:
            url: str = await self._live().generate_presigned_url("get_object", Params=given, ExpiresIn=seconds)
        except Exception as error:
            raise self._translate(error) from error
        return url

    async def begin(self, key: str) -> str:
        return str((await self._call("create_multipart_upload", Key=key))["UploadId"])

    async def part(self, key: str, upload: str, number: int, body: bytes) -> str:
        answer = await self._call("upload_part", Key=key, UploadId=upload, PartNumber=number, Body=body)
        return str(answer["ETag"])

    async def finish(self, key: str, upload: str, parts: Sequence[str]) -> None:
        listed = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(parts, 1)]
        await self._call("complete_multipart_upload", Key=key, UploadId=upload, MultipartUpload={"Parts": listed})

    async def abort(self, key: str, upload: str) -> None:
        with suppress(UploadGone):
            await self._call("abort_multipart_upload", Key=key, UploadId=upload)

    async def clear(self, prefix: str, keep: str | None = None) -> None:
        for key in await self.keys(prefix):
            if key != keep:
                await self._call("delete_object", Key=key)

    async def _connect(self) -> None:
        if self._client is None:
            self._client = await self._stack.enter_async_context(_connection(self._bucket))

    async def _put_in_parts(self, key: str, body: bytes) -> None:
        upload = await self.begin(key)
        try:
            pieces = enumerate(range(0, len(body), self._part), 1)
            parts = [await self.part(key, upload, number, body[at : at + self._part]) for number, at in pieces]
            await self.finish(key, upload, parts)
        except BaseException:
            with suppress(Unavailable):
                await asyncio.shield(self.abort(key, upload))
            raise

    async def _call(self, name: str, **given: Any) -> Mapping[str, Any]:
        method = getattr(self._live(), name)
        try:
            answer: Mapping[str, Any] = await method(Bucket=self._bucket.name, **given)
        except Exception as error:
            raise self._translate(error) from error
        return answer

    def _live(self) -> Any:
        if self._client is None:
            raise Unavailable("the S3 client is not open; call open() first")
        return self._client

    def _translate(self, error: Exception) -> Exception:
        """Raises nothing: what is no error of S3's or of the network is a fault of ours, and stays what it is."""
        import aiohttp
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        if isinstance(error, ClientError):
            return self._answered(error.response)
        if isinstance(error, (BotoCoreError, HTTPClientError, aiohttp.ClientError, OSError, TimeoutError)):
            return StoreTrouble(
                f"{self._place} does not answer: {type(error).__name__}; check endpoint and credentials"
            )
        return error

    def _answered(self, response: Mapping[str, Any]) -> StoreTrouble:
        head = response.get("ResponseMetadata", {})
        code = str(response.get("Error", {}).get("Code", ""))
        code = UNNAMED.get(code, code)
        remedy = REMEDIES.get(code, "see what it says to this code")
        wait = str(head.get("HTTPHeaders", {}).get("retry-after", ""))
        said = f"{self._place} answered {head.get('HTTPStatusCode')} {code}: {remedy}"
        kind = UploadGone if code in GONE else StoreTrouble
        return kind(said, float(wait) if wait.isdigit() else None)

    @property
    def _place(self) -> str:
        return f"S3 bucket {self._bucket.name}" + (f" at {self._bucket.endpoint}" if self._bucket.endpoint else "")


@cache
def _session() -> Any:
    """One a process: it remembers what it read of S3's description, which takes a second."""
    from aiobotocore.session import get_session

    session = get_session()
    session.get_component("data_loader").file_loader = Lean()
    return session


def _connection(bucket: Bucket) -> Any:
    # it takes another HTTP client, and another TLS for a third one, where they are: 14 MB
    with without("httpx", "OpenSSL"):
        from aiobotocore.config import AioConfig

    config = AioConfig(
        signature_version="s3v4",
        # hosts named after the bucket are AWS's own; others may have no such names
        s3={"addressing_style": "path" if bucket.endpoint else "auto"},
        retries={"total_max_attempts": 1},
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=16,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return _session().create_client(
        "s3",
        endpoint_url=bucket.endpoint,
        region_name=bucket.region or ("us-east-1" if bucket.endpoint else None),
        aws_access_key_id=bucket.access_key,
        aws_secret_access_key=bucket.secret_key,
        config=config,
    )
