"""One bucket: put, get, list, sign. What S3 answers becomes *try later*: nothing in it ever refuses a row.

Requests are made once; whoever calls repeats them.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from domain.errors import MissingExtra, Unavailable

PART = 8 * 1024 * 1024
"""Larger objects are uploaded in parts of so many bytes (S3 wants at least 5 MiB)."""
PAGE = 1000
"""Keys in one listing, at most."""
REMEDIES = {
    "NoSuchBucket": "create the bucket, or set another one",
    "AccessDenied": "grant s3:PutObject, s3:GetObject and s3:ListBucket on it",
    "InvalidAccessKeyId": "check the access key",
    "SignatureDoesNotMatch": "check the secret access key",
    "ExpiredToken": "renew the credentials",
    "PermanentRedirect": "set the bucket's own region",
    "AuthorizationHeaderMalformed": "set the bucket's own region",
    "SlowDown": "it asks for fewer requests",
    "InvalidBucketName": "check the bucket's name and region",
    "EntityTooLarge": "write smaller batches",
}

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
    """For one event loop; `open` before use."""

    def __init__(self, bucket: Bucket, part: int = PART) -> None:
        """Raises MissingExtra without aiobotocore."""
        _session()
        self._bucket = bucket
        self._part = part
        self._stack = AsyncExitStack()
        self._client: Any = None

    async def open(self) -> None:
        """Raises Unavailable where the bucket is not to be had."""
        if self._client is None:
            self._client = await self._stack.enter_async_context(_connection(self._bucket))
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

    async def signed(self, key: str, seconds: int) -> str:
        """A URL that gives the object to whoever has it, for so long."""
        given = {"Bucket": self._bucket.name, "Key": key}
        url: str = await self._live().generate_presigned_url("get_object", Params=given, ExpiresIn=seconds)
        return url

    async def _put_in_parts(self, key: str, body: bytes) -> None:
        upload = (await self._call("create_multipart_upload", Key=key))["UploadId"]
        try:
            parts = []
            for number, at in enumerate(range(0, len(body), self._part), 1):
                piece = body[at : at + self._part]
                answer = await self._call("upload_part", Key=key, UploadId=upload, PartNumber=number, Body=piece)
                parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            await self._call("complete_multipart_upload", Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
        except BaseException:
            with suppress(Unavailable):
                await asyncio.shield(self._call("abort_multipart_upload", Key=key, UploadId=upload))
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
            return Unavailable(f"{self._place} does not answer: {type(error).__name__}; check endpoint and credentials")
        return error

    def _answered(self, response: Mapping[str, Any]) -> Unavailable:
        head = response.get("ResponseMetadata", {})
        code = str(response.get("Error", {}).get("Code", ""))
        code = UNNAMED.get(code, code)
        remedy = REMEDIES.get(code, "see what it says to this code")
        wait = str(head.get("HTTPHeaders", {}).get("retry-after", ""))
        said = f"{self._place} answered {head.get('HTTPStatusCode')} {code}: {remedy}"
        return Unavailable(said, float(wait) if wait.isdigit() else None)

    @property
    def _place(self) -> str:
        return f"S3 bucket {self._bucket.name}" + (f" at {self._bucket.endpoint}" if self._bucket.endpoint else "")


@cache
def _session() -> Any:
    """One a process: it remembers what it read of S3's description, which takes a second."""
    try:
        from aiobotocore.session import get_session
    except ImportError:
        raise MissingExtra("S3", "s3") from None
    return get_session()


def _connection(bucket: Bucket) -> Any:
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
