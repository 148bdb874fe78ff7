"""One object into a tenant's bucket: signed with its credentials, sent the way that every URL of a tenant's is."""

import re
from typing import Any
from urllib.parse import quote

from connectors.guarded import Outgoing
from domain.errors import MissingExtra
from domain.webhooks.kinds import Bucket

_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,80})</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]{1,300})</Message>")


def putting(bucket: Bucket, secret: str, key: str, body: bytes) -> Outgoing:
    """Signature Version 4. Raises MissingExtra without botocore."""
    auth, request, credentials = _botocore()
    url = f"{bucket.place.rstrip('/')}/{bucket.name}/{quote(key, safe='/~')}"
    asked = request(method="PUT", url=url, data=body, headers={"content-type": "application/gzip"})
    auth(credentials(bucket.access_key, secret), "s3", bucket.region).add_auth(asked)
    return Outgoing("PUT", url, dict(asked.headers.items()), body)


def objection(status: int, body: bytes) -> str:
    """What S3 says in its answer, "" where it took the object."""
    if 200 <= status <= 299:
        return ""
    code, message = _CODE.search(body), _MESSAGE.search(body)
    said = [found[1].decode("utf-8", "replace") for found in (code, message) if found]
    return ": ".join(said) or "without a reason that can be read"


def _botocore() -> tuple[Any, Any, Any]:
    """Its signer alone: a client of botocore's reads megabytes of descriptions first."""
    try:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
    except ImportError:
        raise MissingExtra("putting objects into buckets", "s3") from None
    return S3SigV4Auth, AWSRequest, Credentials
